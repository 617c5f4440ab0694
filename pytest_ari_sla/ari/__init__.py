"""ARI without I/O: its address, its resources and events, and the life of a channel."""
