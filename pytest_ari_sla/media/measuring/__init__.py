"""The thread that measures, and what this machine can be trusted with."""
