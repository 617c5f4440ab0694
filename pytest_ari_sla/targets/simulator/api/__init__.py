"""ARI in front of the simulated PBX: operations, events, and their description."""
