"""Tests that nothing would run, or of which nobody would hear, are refused in a sentence."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.fixtures import coroutines

if TYPE_CHECKING:
    from collections.abc import Sequence


def item(*, forked: bool) -> Any:
    """Return a test of ours."""
    config = SimpleNamespace(
        getoption=lambda name, default: forked, pluginmanager=SimpleNamespace(is_registered=lambda plugin: True)
    )
    return SimpleNamespace(nodeid="test_it.py::test_it", config=config, get_closest_marker=lambda name: None)


def check(items: Sequence[Any], *, has_asyncio: bool = True) -> None:
    """Check tests as at the end of a collection."""
    manager = SimpleNamespace(is_registered=lambda plugin: has_asyncio)
    coroutines.check_runner(cast("pytest.Config", SimpleNamespace(pluginmanager=manager)), items)


def test_a_test_in_a_process_of_its_own_would_lose_its_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest-forked passes on reports alone; tests without our fixtures are its own business."""
    monkeypatch.setattr(coroutines, "own_fixtures", lambda item: {"load"})
    check([item(forked=False)])
    with pytest.raises(UsageError, match=r"test_it\.py::test_it would run in a process forked for it"):
        check([item(forked=True)])
    monkeypatch.setattr(coroutines, "own_fixtures", lambda item: set())
    check([item(forked=True)])


@pytest.mark.parametrize(
    ("autoload", "words"), [("1", "add -p pytest_asyncio.plugin"), ("", "-p no:asyncio has switched off")]
)
def test_who_keeps_pytest_asyncio_out_is_named(monkeypatch: pytest.MonkeyPatch, autoload: str, words: str) -> None:
    """What to change is another thing in each case."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", autoload)
    monkeypatch.setattr(coroutines, "own_fixtures", lambda item: {"load"})
    monkeypatch.setattr(coroutines, "_awaits_ours", lambda item: True)
    monkeypatch.setattr(coroutines, "is_anyios", lambda item: False)
    with pytest.raises(UsageError, match=words):
        check([item(forked=False)], has_asyncio=False)
