"""The maps of field reports, and of what made figures untrue, name tests that exist."""

from __future__ import annotations

import ast
import re

import pytest

from tests.unit.test_old_faults import TESTS, names_in

MAPS = ("field_reports.md", "true_figures.md")
TEXTS = {name: (TESTS / name).read_text(encoding="utf-8") for name in MAPS}
NAMED = {name: sorted(set(re.findall(r"`([^`]+::[^`]+)`", text))) for name, text in TEXTS.items()}


@pytest.mark.parametrize("name", MAPS)
def test_each_line_of_a_map_names_tests(name: str) -> None:
    """A line without one keeps nothing away."""
    lines = [line for line in TEXTS[name].splitlines() if line.startswith("| ")][1:]
    assert lines
    assert all("::" in line for line in lines)


@pytest.mark.parametrize("test", sorted({test for tests in NAMED.values() for test in tests}))
def test_a_named_test_exists(test: str) -> None:
    """File, class and function: whoever renames one mends the map."""
    file, *names = test.split("::")
    body = ast.parse((TESTS / file).read_text(encoding="utf-8")).body
    for name in names:
        assert name in names_in(body)
        body = names_in(body)[name]
