"""What tests of calls are given."""

from __future__ import annotations

import pytest

from tests.unit.load.calls.driver_bench import Bench


@pytest.fixture
def bench() -> Bench:
    """A bench on which nothing has happened."""
    return Bench()
