"""Evidence of bad calls: packets kept in memory, and written as pcapng."""
