"""RTP as pure functions over arrays: no socket, no clock; time is an argument."""
