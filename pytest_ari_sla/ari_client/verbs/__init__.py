"""What a session can have Asterisk do: make something, and do something with what exists."""
