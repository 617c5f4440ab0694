"""A load while it runs: on the terminal, and for Prometheus."""
