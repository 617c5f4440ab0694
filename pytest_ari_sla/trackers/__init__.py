"""Trackers that are built in, registered through the public hook as any plug-in registers its own."""
