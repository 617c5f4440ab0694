"""The page of evidence says what the rules say."""

from __future__ import annotations

from tests.blame_page import PAGE, blame_page


def test_the_table_of_evidence_is_fresh() -> None:
    """``python -m tests.blame_page`` makes it anew."""
    assert PAGE.read_text(encoding="utf-8") == blame_page()
