"""What stands in for the engines of a third-party voice agent: its own code is not touched."""
