"""The table of old faults in tests/README.md names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROWS = [
    (fault, re.findall(r"`([^`]+::[^`]+)`", tests))
    for fault, tests in re.findall(r"^\| ([^|`]+) \| (.*) \|$", (TESTS / "README.md").read_text(), re.MULTILINE)
    if "::" in tests
]


def names_in(body: list[ast.stmt]) -> dict[str, list[ast.stmt]]:
    """Return the functions and classes of a body, and what is in each."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name: node.body for node in body if isinstance(node, kinds)}


def test_all_eight_are_in_the_table() -> None:
    """Each with at least one test."""
    assert len(ROWS) == 8
    assert all(tests for _, tests in ROWS)


@pytest.mark.parametrize("test", [test for _, tests in ROWS for test in tests])
def test_a_named_test_exists(test: str) -> None:
    """File, class and function: whoever renames one mends the table."""
    file, *names = test.split("::")
    body = ast.parse((TESTS / file).read_text()).body
    for name in names:
        assert name in names_in(body)
        body = names_in(body)[name]
