"""How calls go: one from its request to its end, and all of them in their time."""
