"""How the channels of one call are joined; registered through the public hook, like anybody's."""
