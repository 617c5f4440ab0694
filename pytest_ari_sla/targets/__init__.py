"""What a load is put on: an Asterisk that runs somewhere, one of our own, or the simulator."""
