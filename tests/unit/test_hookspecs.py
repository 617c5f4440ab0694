"""Every hook is documented, as it is; every page that is generated is fresh."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from pytest_ari_sla.hookspecs import hooks
from pytest_ari_sla.session.plugins.hook_calls import HOOKS
from tests.reference_page import PAGE, hook_signature, reference_page

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "plugins" / "README.md").read_text(encoding="utf-8")
HOOK_TESTS = ROOT / "tests" / "sessions" / "test_hooks.py"


def test_there_are_hooks() -> None:
    """The tests below look at something."""
    assert len(HOOKS) == 10


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_in_the_guide_with_its_exact_signature(hook: str) -> None:
    """As a heading, so that it can be found."""
    assert f"### `{hook_signature(hook)}`\n" in GUIDE


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_test_of_its_name(hook: str) -> None:
    """A whole session in which a plug-in implements it."""
    tree = ast.parse(HOOK_TESTS.read_text(encoding="utf-8"))
    assert f"test_{hook}" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_says_when_where_and_what(hook: str) -> None:
    """When it is called, in which process, what it returns, an example, and since which version."""
    doc = inspect.getdoc(getattr(hooks, hook)) or ""
    assert "Called " in doc
    assert "process" in doc or "worker" in doc
    assert "Return " in doc or "Nothing is returned" in " ".join(doc.split())
    assert f">>> def {hook}(" in doc
    assert "Since 0." in doc


def test_the_reference_is_fresh() -> None:
    """``python -m tests.reference_page`` makes it anew."""
    assert PAGE.read_text(encoding="utf-8") == reference_page()
