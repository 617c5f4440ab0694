"""Tests of pytest_ari_sla.load."""
