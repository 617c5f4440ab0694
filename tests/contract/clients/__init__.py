"""Programs on independent ARI clients: each bridges two calls, and prints the events that it was told of."""
