"""Plug-ins, options and ways to write tests that go together with this tool: each row is tried, and is in the docs."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["ROWS", "VERSIONS", "Row"]

VERSIONS = {
    "oldest": ("pytest==8.3.*", "pytest-asyncio==1.1.*", "pytest-xdist==3.7.*"),
    "newest": ("pytest", "pytest-asyncio", "pytest-xdist"),
}
"""The ends of what is supported: the oldest that `pyproject.toml` admits, and what pip installs today."""

INI = "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
LOAD = 'await load(calls=1, duration="300ms")'
SIMPLE = f"async def test_it(load): {LOAD}\n"
MARKED = f'import pytest\n\n@pytest.mark.sla("calls.established >= 1")\nasync def test_it(load): {LOAD}\n'


@dataclass(frozen=True)
class Row:
    """Something that a load test is tried with.

    Attributes
    ----------
    name
        What it is called in the docs.
    packages
        What pip installs for it.
    arguments
        What is added to pytest's command line.
    files
        The tests, by file name.
    passed
        How many tests pass; with ``-n 2`` each counts once for each worker.
    holds
        What is true, in the words of the docs.
    check
        Looks at the folder afterwards.
    in_a_fleet
        Exit code and words of pytest with ``-n 2``, where the tests do not pass there.
    """

    name: str
    holds: str
    packages: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=lambda: {"test_it.py": MARKED}, hash=False)
    passed: int = 1
    check: Callable[[Path], None] | None = None
    in_a_fleet: tuple[int, str] | None = None


def _attempts(folder: Path) -> None:
    (scenario,) = json.loads((folder / "report" / "report.json").read_text())["scenarios"]
    assert scenario["verdict"] == "pass"
    assert any("attempt" in note for note in scenario["notes"]), scenario["notes"]


def _html(folder: Path) -> None:
    assert "test_it.py::test_it" in (folder / "other.html").read_text()


def _json(folder: Path) -> None:
    assert json.loads((folder / "other.json").read_text())["summary"]["passed"] >= 1


def _tap(folder: Path) -> None:
    (result,) = (folder / "tap").glob("*.tap")
    assert "ok 1" in result.read_text()


def _coverage(folder: Path) -> None:
    assert ElementTree.parse(folder / "coverage.xml").getroot().get("line-rate") is not None


RERUN = f"""
import pytest
ATTEMPTS = []

@pytest.fixture(autouse=True)
def limit(request):
    ATTEMPTS.append(1)
    limit = "calls.established >= 9" if len(ATTEMPTS) == 1 else "calls.established >= 1"
    request.node.own_markers[:] = [mark for mark in request.node.own_markers if mark.name != "sla"]
    request.node.add_marker(pytest.mark.sla(limit))

async def test_it(load): {LOAD}
"""
BDD = """
import asyncio
from pytest_bdd import given, scenario, then, when

@scenario("it.feature", "one call")
def test_one_call(load): "So that a fleet knows of it."

@given("an Asterisk")
def asterisk(target): assert target.url

@when("somebody calls", target_fixture="result")
def call(load): return asyncio.run(load(calls=1, duration="300ms"))

@then("it answers")
def answered(result): assert result.calls.established == 1
"""
FEATURE = """
Feature: calls
  Scenario: one call
    Given an Asterisk
    When somebody calls
    Then it answers
"""
ANYIO = f"""
import pytest
pytestmark = pytest.mark.anyio

@pytest.fixture
def anyio_backend(): return "asyncio"

async def test_it(load): {LOAD}
"""
SUBTESTS = f"""
async def test_it(load, subtests):
    with subtests.test("it holds"): assert True
    {LOAD}
"""
UNITTEST = f"""
import unittest
import pytest

class TestIt(unittest.IsolatedAsyncioTestCase):
    @pytest.fixture(autouse=True)
    def take_load(self, load): self.load = load

    async def test_it(self):
        load = self.load
        {LOAD}
"""

ROWS = (
    Row("nothing else", "a load is made, judged and reported"),
    Row(
        "pytest-rerunfailures",
        "the last attempt decides, and a note tells of those before it; in a fleet the first stands, since one shard "
        "cannot be repeated",
        ("pytest-rerunfailures",),
        ("--reruns", "1"),
        {"test_it.py": RERUN},
        check=_attempts,
        in_a_fleet=(1, "An earlier attempt of this test came to fail"),
    ),
    Row(
        "pytest-timeout",
        "a load that is cut off keeps what was measured, with both of its methods",
        ("pytest-timeout",),
        ("--timeout", "90"),
    ),
    Row(
        "pytest-randomly", "calls have seeds of their own: the order of tests is all that changes", ("pytest-randomly",)
    ),
    Row(
        "pytest-repeat",
        "each repetition is a load of its own, with its own verdict",
        ("pytest-repeat",),
        ("--count", "2"),
        passed=2,
    ),
    Row(
        "pytest-html",
        "its page shows what ours does",
        ("pytest-html",),
        ("--html", "other.html", "--self-contained-html"),
        check=_html,
    ),
    Row(
        "pytest-json-report",
        "its outcomes are ours",
        ("pytest-json-report",),
        ("--json-report", "--json-report-file=other.json"),
        check=_json,
    ),
    Row("pytest-sugar", "the live console keeps to its own lines", ("pytest-sugar",)),
    Row(
        "pytest-tap",
        "a known failure is known there too",
        ("pytest-tap",),
        ("--tap-files", "--tap-outdir", "tap"),
        check=_tap,
    ),
    Row(
        "pytest-bdd",
        "a step makes a load with `asyncio.run(load(…))`; the function under `@scenario` names `load`",
        ("pytest-bdd",),
        (),
        {"test_it.py": BDD, "it.feature": FEATURE},
    ),
    Row("anyio", "on its asyncio backend; our fixtures are opened on its loop", ("anyio",), (), {"test_it.py": ANYIO}),
    Row(
        "subtests",
        "of pytest 9, or of pytest-subtests before it; no verdict is better than they are",
        ("pytest-subtests",),
        (),
        {"test_it.py": SUBTESTS},
    ),
    Row(
        "unittest",
        "`IsolatedAsyncioTestCase`, which gets `load` from an autouse fixture of its own; a fleet refuses it",
        (),
        (),
        {"test_it.py": UNITTEST},
        in_a_fleet=(4, "does not name the fixture load"),
    ),
    Row(
        "pytest-cov",
        "what moves packets is a process of its own, and is not slowed by it",
        ("pytest-cov",),
        ("--cov=.", "--cov-report=xml"),
        check=_coverage,
    ),
    Row("`-W error`", "no warning is raised", (), ("-W", "error")),
    Row(
        "`--strict-markers --strict-config`",
        "all that we use is registered",
        (),
        ("--strict-markers", "--strict-config"),
    ),
    Row("`-p no:terminal`", "the verdict is in exit code and report", (), ("-p", "no:terminal")),
    Row("`-p no:cacheprovider`", "nothing of ours needs the cache", (), ("-p", "no:cacheprovider")),
    Row("`--import-mode=importlib`", "hooks in a conftest.py are found", (), ("--import-mode=importlib",)),
)
