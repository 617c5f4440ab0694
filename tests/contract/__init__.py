"""One contract for all targets: what an ARI application may rely on, checked on real Asterisks and on the simulator."""
