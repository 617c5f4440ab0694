"""Media over RTP and UDP: a process that moves packets in batches, and the memory that it shares with who measures."""
