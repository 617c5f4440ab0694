"""What is played and recorded, and how much audio a frame holds."""
