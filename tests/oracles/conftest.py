"""Real Asterisks, as the tests in ``tests/asterisk`` use them."""

from __future__ import annotations

from tests.asterisk.conftest import asterisk22

__all__ = ["asterisk22"]
