"""Processes of ours: how they are started and told things, how they end, and what sees to it that none is left."""
