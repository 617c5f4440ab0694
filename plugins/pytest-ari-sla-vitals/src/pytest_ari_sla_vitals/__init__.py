"""Vitals for pytest-ari-sla: what a load costs the Asterisk under it, and whether it gets it back."""
