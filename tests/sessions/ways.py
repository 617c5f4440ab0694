"""The ways in which a session runs: pytest alone, and a fleet of two; ``SOAK_…``: in `make soak` only."""

from __future__ import annotations

import pytest

__all__ = ["ALONE", "FLEET", "SOAK_ALONE", "SOAK_FLEET"]

ALONE = pytest.param((), id="alone")
FLEET = pytest.param(("-n", "2"), id="fleet")
SOAK_ALONE = pytest.param((), id="alone", marks=pytest.mark.soak)
SOAK_FLEET = pytest.param(("-n", "2"), id="fleet", marks=pytest.mark.soak)
