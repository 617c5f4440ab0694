"""The relay: forwards calls to an echo server, and measures that leg."""
