from __future__ import annotations

import pytest

from pytest_ari_sla.reporting.wording.readable import readable


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", "-- 5 us \\u2260"), ("latin-1", "-- 5 us \\u2260"), ("utf-8", "── 5 µs ≠")]
)
def test_an_encoding_that_lacks_a_sign_shows_another(encoding: str, shown: str) -> None:
    """Line by line, as text; an encoding that has them all shows them."""
    assert readable("── 5 µs ≠", encoding) == shown
