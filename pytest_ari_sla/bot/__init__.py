"""A small voice bot: the application that scripts are tried on, and that tells in its log what it heard and said."""
