"""An Asterisk of our own: its installation, its configuration, and the process, which lives as long as the session."""
