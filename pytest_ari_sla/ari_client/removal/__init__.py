"""The promise to leave nothing behind at Asterisk: what is ours, and how it is removed."""
