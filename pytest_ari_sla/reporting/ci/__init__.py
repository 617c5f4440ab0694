"""What CI systems are told, each in its own way."""
