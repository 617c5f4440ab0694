"""What a session tells: live views, the report, and the interim one that a crash leaves behind."""
