"""The media of a load's own legs: a process that sends and receives, and a thread that measures."""
