"""What transports have in common whose media is moved by a process of its own: its loop, its memory, its log."""
