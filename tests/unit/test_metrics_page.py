"""The table of metrics says what the code measures, and names tests that exist."""

from __future__ import annotations

import re

import pytest

from pytest_ari_sla.session.plugins.registry import builtin_registry
from tests.metrics_page import PAGE, READING, ROOT, metrics_page, mos_of_legs, names_in

CATALOGUE = builtin_registry().catalogue
OWN_READINGS = ("relay.receive_drops",)
"""What the relay reads of its own sockets."""


def test_the_table_of_metrics_is_fresh() -> None:
    """``python -m tests.metrics_page`` makes it anew."""
    assert PAGE.read_text(encoding="utf-8") == metrics_page()


ROWS = re.findall(r"^\| `([^`]+)` \| [^|]+ \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", metrics_page(), re.MULTILINE)


def test_each_metric_is_in_the_table() -> None:
    """With what it is held to, and its bound."""
    assert [name for name, _, _ in ROWS] == [metric.name for metric in CATALOGUE]


@pytest.mark.parametrize(("name", "oracle"), [(name, oracle) for name, oracle, _ in ROWS])
def test_each_metric_has_an_oracle_that_reads_it(name: str, oracle: str) -> None:
    """A test that exists, in which its name stands; only of the generator's own health nothing outside can tell."""
    metric = CATALOGUE.lookup(name)
    paths = re.findall(r"tests/\S+\.py", oracle)
    is_reading = oracle.strip() == READING
    assert bool(paths) is not is_reading
    assert not is_reading or name.startswith("harness.") or name in OWN_READINGS
    wanted = {metric.numerator or name, name}
    for path in paths:
        # A test of one room may know a figure by the last part of its name; one that compares whole loads may not.
        is_read = (
            bool(wanted & names_in(ROOT / path))
            if "capture" in oracle
            else any(one.rpartition(".")[2] in (ROOT / path).read_text(encoding="utf-8") for one in wanted)
        )
        assert is_read, f"{path} says nothing of {name}"


def test_what_a_mos_is_the_quality_of_is_said_of_each_topology() -> None:
    """One direction where a leg hears another, both ways together where it hears itself, else nothing."""
    page = metrics_page()
    for name in builtin_registry().topologies:
        assert re.search(rf"^\| `{name}` \| \d.* \| ", page, re.MULTILINE), name
    assert mos_of_legs((1, 0)) == {"1": "one direction: from leg 2 to it", "2": "one direction: from leg 1 to it"}
    assert [*mos_of_legs((0,))] == ["1"]
    assert mos_of_legs((0,))["1"].startswith("both ways together")
    assert mos_of_legs((1, -1))["2"].startswith("nothing")
    assert [*mos_of_legs((-1, -1, -1))] == ["1 and 2 and 3"]
