"""The map of field reports names tests that exist."""

from __future__ import annotations

import ast
import re

import pytest

from tests.unit.test_old_faults import TESTS, names_in

NAMED = sorted(set(re.findall(r"`([^`]+::[^`]+)`", (TESTS / "field_reports.md").read_text(encoding="utf-8"))))


def test_the_map_names_tests() -> None:
    """It is not read as empty."""
    assert NAMED


@pytest.mark.parametrize("test", NAMED)
def test_a_named_test_exists(test: str) -> None:
    """File, class and function: whoever renames one mends the map."""
    file, *names = test.split("::")
    body = ast.parse((TESTS / file).read_text(encoding="utf-8")).body
    for name in names:
        assert name in names_in(body)
        body = names_in(body)[name]
