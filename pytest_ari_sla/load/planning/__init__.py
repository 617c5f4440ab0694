"""What load to make: how many calls when, and what their legs say over what."""
