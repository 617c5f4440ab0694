"""PESQ for pytest-ari-sla: how the calls of a load sound."""
