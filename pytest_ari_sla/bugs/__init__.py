"""Known faults of Asterisk: provoked on an Asterisk of one's own, watched, and told in words."""
