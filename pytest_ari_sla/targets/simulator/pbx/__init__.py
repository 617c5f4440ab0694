"""The simulated PBX: channels, bridges, playbacks, and who is told of what."""
