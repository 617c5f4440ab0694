"""Media over byte streams: AudioSocket and WebSocket, moved by a process of their own, frame by frame."""
