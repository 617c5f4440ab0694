"""Callers that follow a script: what they say, what they hear, and what came of it."""
