"""What is heard: audio decoded, recognised, and held to what was said."""
