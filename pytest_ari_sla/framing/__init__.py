"""How media frames travel in byte streams: AudioSocket, WebSocket, and the control messages of chan_websocket. Pure."""
