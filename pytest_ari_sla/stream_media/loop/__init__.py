"""The process that moves frames over connections."""
