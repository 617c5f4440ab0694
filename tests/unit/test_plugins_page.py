"""The page of plug-ins says what `make matrix` tries."""

from __future__ import annotations

from tests.plugins_page import PAGE, plugins_page


def test_the_table_of_plug_ins_is_fresh() -> None:
    """``python -m tests.plugins_page`` makes it anew."""
    assert PAGE.read_text(encoding="utf-8") == plugins_page()
