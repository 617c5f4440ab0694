"""SIGTERM and SIGHUP end a session as Ctrl-C does: calls are hung up, and what was measured is judged and written.

``docker stop``, a cancelled CI job, ``timeout 60 pytest`` and a closed terminal send them. Afterwards pytest ends with
the exit status that a shell shows for the signal, 128 + its number.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

    Handler = Callable[[int, FrameType | None], Any] | int | None

__all__ = ["EndSignals"]

ONE_END_S = 1.0
"""Within this time two signals are one: ``timeout`` sends one to pytest and at once another one to its whole group."""

_ENDING = (signal.SIGTERM, signal.SIGHUP)


class EndSignals:
    """A plug-in of pytest, for its main thread.

    A second signal, later on, ends the process on the spot; its guard then removes what it leaves.

    Parameters
    ----------
    clock_s
        Any clock that does not run backwards.
    full_trace
        Whether pytest is to show the whole traceback of what ends it.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic, *, full_trace: bool = False) -> None:
        self._clock_s = clock_s
        self._full_trace = full_trace
        self._before: dict[signal.Signals, Handler] = {}
        self._received: signal.Signals | None = None
        self._received_s = 0.0
        self._reporting = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Listen; to what is ignored on purpose (``nohup``) only where it is SIGINT.

        A shell without job control lets what it starts in the background ignore SIGINT, and Python then leaves it so:
        nothing but SIGKILL would end a load that a script has started.
        """
        if threading.current_thread() is not threading.main_thread():  # Python sets handlers there only
            return
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            self._before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in _ENDING:
            if signal.getsignal(number) is signal.SIG_DFL:  # any other handler is the user's
                self._before[number] = signal.signal(number, self._hear)

    def pytest_unconfigure(self) -> None:
        """Leave everything as it was."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Let no first signal break the report off that is being written, and choose the exit status."""
        self._reporting = True
        try:
            return (yield)
        finally:
            self._reporting = False
            if self._received is not None:
                session.exitstatus = 128 + self._received  # as shells tell it

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Let pytest end in time: a container has ten seconds, and every worker of a fleet ends likewise.

        Of the traceback is left what pytest shows, one line: it parses every file in it, for 1 to 3 s of CPU time.
        What is in memory now is no garbage that anybody has to look for: pytest would do so ten times.
        """
        gc.freeze()
        if not self._full_trace:
            excinfo.traceback = _last_visible(excinfo)

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what ended the session: pytest itself calls all of it KeyboardInterrupt."""
        if self._received is not None:
            terminalreporter.write_line(f"The session was ended by {self._received.name}.")

    def _hear(self, number: int, frame: FrameType | None) -> None:
        now_s = self._clock_s()
        if self._received is None:
            self._received, self._received_s = signal.Signals(number), now_s
            if number == signal.SIGHUP:
                _leave_terminal()
            if not self._reporting:
                _interrupt(frame)
        elif now_s - self._received_s > ONE_END_S:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)  # by the signal itself, so that whoever waits for us learns of it


def _interrupt(frame: FrameType | None) -> None:
    """Do what Ctrl-C does now: while an event loop runs that is to cancel its task."""
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        raise KeyboardInterrupt
    handler(signal.SIGINT, frame)


def _last_visible(excinfo: pytest.ExceptionInfo[BaseException]) -> Any:
    """Return what pytest names as the place: the last entry of a traceback that is not hidden."""
    entries = excinfo.traceback
    last = max((number for number, entry in enumerate(entries) if not entry.ishidden(excinfo)), default=-1)
    return entries[last : last + 1] if last >= 0 else entries


def _leave_terminal() -> None:
    """Write no more to a terminal that is gone: it would only give errors."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.__stdout__, sys.__stderr__):  # sys.stdout is what pytest captures by
        if stream is not None and os.isatty(stream.fileno()):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
