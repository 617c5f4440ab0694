"""Tests that run a real Asterisk."""
