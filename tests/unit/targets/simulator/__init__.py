"""The simulator's rules, without HTTP, without a clock and mostly without sockets."""
