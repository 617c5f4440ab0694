"""Values and text as people read them, on any terminal and in any format."""
