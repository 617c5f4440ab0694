"""Events as they come: a WebSocket read on a thread or process of its own."""
