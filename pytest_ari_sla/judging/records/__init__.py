"""What is written down of a load for reports: its figures, its worst calls, and whose packets are kept."""
