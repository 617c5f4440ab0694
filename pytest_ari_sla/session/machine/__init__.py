"""What this machine is, and how many calls it can carry."""
