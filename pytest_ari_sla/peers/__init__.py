"""What answers the media of calls where Asterisk does not: the echo server with its impairments, and the relay."""
