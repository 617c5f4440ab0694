"""The table of metrics says what the code measures, and names tests that exist."""

from __future__ import annotations

import re

from pytest_ari_sla.session.plugins.registry import builtin_registry
from tests.metrics_page import PAGE, ROOT, metrics_page

CATALOGUE = builtin_registry().catalogue


def test_the_table_of_metrics_is_fresh() -> None:
    """``python -m tests.metrics_page`` makes it anew."""
    assert PAGE.read_text(encoding="utf-8") == metrics_page()


def test_every_test_that_a_metric_is_held_to_exists_and_speaks_of_it() -> None:
    """A metric whose test is gone is held to nothing."""
    rows = re.findall(r"^\| `([^`]+)` .*?(tests/\S+\.py)", metrics_page(), re.MULTILINE)
    assert len(rows) > 40
    for name, path in rows:
        text = (ROOT / path).read_text(encoding="utf-8")
        metric = CATALOGUE.lookup(name)
        assert (metric.numerator or name).rpartition(".")[2] in text, f"{path} says nothing of {name}"
