"""What the target does while it is loaded: whether its ARI answers, and whether it is still the same Asterisk."""
