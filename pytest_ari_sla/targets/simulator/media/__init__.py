"""RTP of the simulated PBX, in a process of its own."""
