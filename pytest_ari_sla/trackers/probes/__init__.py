"""What becomes of our own packets: each is known by its probe, or counted where none comes through."""
