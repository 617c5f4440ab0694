"""Writes down what was measured before pytest-timeout ends the process, which its thread method does on the spot.

It calls ``os._exit`` from a thread: nothing of a session's end runs, and no report is written. In a fleet it ends a
worker, of which the controller knows what it has told.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ThreadTimeouts"]

EARLY_S = 2.0
"""How long before the timeout: a report of a large load takes a while, on a busy machine above all."""


class ThreadTimeouts:
    """A plug-in of pytest, beside pytest-timeout.

    Parameters
    ----------
    write_down
        Writes down the loads that run, and why they are not whole.
    """

    def __init__(self, write_down: Callable[[str], None]) -> None:
        self._write_down = write_down
        self._timer: threading.Timer | None = None

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_timeout_set_timer(self, settings: Any) -> None:
        """Set a timer of our own; pytest-timeout sets its own after it."""
        is_main = threading.current_thread() is threading.main_thread()
        if settings.method == "thread" or not is_main:  # off the main thread pytest-timeout can set no signal
            early_s = min(EARLY_S, settings.timeout / 4)
            why = f"shortly before pytest-timeout ended all of pytest, after {settings.timeout:g} s of this test"
            self._timer = threading.Timer(settings.timeout - early_s, self._write_down, (why,))
            self._timer.daemon = True
            self._timer.start()

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_timeout_cancel_timer(self) -> None:
        """The test is over in time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
