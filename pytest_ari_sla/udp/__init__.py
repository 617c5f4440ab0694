"""Datagrams in batches, the timer that paces them, and leases of RTP ports."""
