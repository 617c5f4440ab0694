"""Sockets, timers and HTTP: the thin shell around the pure rules."""
