"""The operations of ARI: a function for each, found by its route."""
