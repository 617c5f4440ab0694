"""Dialplan for pytest-ari-sla: load on the extensions that a team has written."""
