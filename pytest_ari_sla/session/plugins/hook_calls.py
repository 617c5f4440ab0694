"""Calling the hooks of plug-ins one by one, so that whatever goes wrong in one has the plug-in's name on it."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.hookspecs import hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_ari_sla.hookspecs.topology import Call
    from pytest_ari_sla.load.results.outcome import CallOutcome

__all__ = ["HOOKS", "PREFIX", "HookCalls", "HookNames", "add_hooks", "ask"]

PREFIX = "pytest_ari_sla_"

HOOKS = tuple(name for name in vars(hooks) if name.startswith(PREFIX))
"""The names of all hooks."""


class HookNames:
    """A pytest plugin that refuses plug-ins with hooks that do not exist."""

    def pytest_plugin_registered(self, plugin: object, plugin_name: str) -> None:
        """Look at a plug-in that is being registered, or was before us.

        Raises
        ------
        pytest.UsageError
            One of its hooks is misspelt, and would never be called.
        """
        for name in dir(plugin):
            if name.startswith(PREFIX) and name not in HOOKS:
                near = get_close_matches(name, HOOKS, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(HOOKS)}"
                raise pytest.UsageError(
                    f"plug-in {plugin_name!r} implements a hook {name}, which does not exist; {hint}"
                )


def add_hooks(manager: pytest.PytestPluginManager) -> None:
    """Let plug-ins implement our hooks, and no others of such a name."""
    manager.add_hookspecs(hooks)
    manager.register(HookNames(), "ari-sla-hook-names")


def ask(hook: Any) -> Iterator[tuple[str, Any]]:
    """Yield what each plug-in answers to a hook, with the plug-in's name.

    Raises
    ------
    UsageError
        It raises an exception instead.
    """
    for implementation in hook.get_hookimpls():  # one by one: `hook()` would not say who failed
        plugin = str(implementation.plugin_name)
        try:
            answer = implementation.function()
        except Exception as error:
            raise UsageError(f"plug-in {plugin!r} failed in {hook.name}: {type(error).__name__}: {error}") from error
        yield plugin, answer


class HookCalls:
    """Tells plug-ins what happens. One that fails is not told again, and costs nothing but a remark.

    Parameters
    ----------
    hooks
        pluggy's hooks.
    """

    def __init__(self, hooks: Any) -> None:
        self._hooks = hooks
        self._failed: dict[tuple[str, str], str] = {}

    def tell(self, name: str, **arguments: Any) -> None:
        """Call a hook of all plug-ins with these arguments."""
        self.gather(name, lambda answer: None, **arguments)

    def gather(self, name: str, take: Callable[[Any], None], **arguments: Any) -> None:
        """Call a hook of all plug-ins with these arguments, and give ``take`` what each answers.

        Where ``take`` raises, the answer is wrong, and the plug-in has failed.
        """
        # One by one: the first to fail ends `hook()` for all.
        for implementation in getattr(self._hooks, PREFIX + name).get_hookimpls():
            key = (str(implementation.plugin_name), name)
            if key in self._failed:
                continue
            try:
                take(implementation.function(*(arguments[argument] for argument in implementation.argnames)))
            except Exception as error:
                self._failed[key] = (
                    f"plug-in {key[0]!r} failed in {PREFIX}{name} and is not told any more: "
                    f"{type(error).__name__}: {error}"
                )

    def remarks(self) -> list[str]:
        """Return what went wrong so far."""
        return list(self._failed.values())

    def call_started(self, call: Call) -> None:
        """Tell that a call is about to be built."""
        self.tell("call_started", call=call)

    def call_ended(self, call: CallOutcome) -> None:
        """Tell what came of a call."""
        self.tell("call_ended", call=call)
