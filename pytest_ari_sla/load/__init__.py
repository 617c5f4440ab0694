"""Putting calls on a target: when they start, what they send, and what comes of it."""
