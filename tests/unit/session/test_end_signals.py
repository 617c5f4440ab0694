from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, cast

import pytest

from pytest_ari_sla.session.endings.end_signals import ONE_END_S, EndSignals

if TYPE_CHECKING:
    from collections.abc import Iterator

# Hears SIGTERM twice; the clock says how far apart.
_TWICE = """
import os, signal, sys
from pytest_ari_sla.session.endings.end_signals import EndSignals
times = iter([0.0, float(sys.argv[1])])
EndSignals(lambda: next(times)).pytest_sessionstart()
for _ in range(2):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
print("goes on", flush=True)
"""


@pytest.fixture
def own_handlers() -> Iterator[None]:
    """Put the handlers of this process back after the test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("own_handlers")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_interrupts_as_ctrl_c_does(number: signal.Signals) -> None:
    """And afterwards everything is as it was."""
    signal.signal(number, signal.SIG_DFL)
    signals = EndSignals()
    signals.pytest_sessionstart()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)
    signals.pytest_unconfigure()
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.usefixtures("own_handlers")
def test_a_hang_up_that_is_ignored_stays_so_but_not_ctrl_c() -> None:
    """``nohup`` means it; a shell that starts something in the background does not."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signals = EndSignals()
    signals.pytest_sessionstart()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    signals.pytest_unconfigure()


def twice(apart_s: float) -> subprocess.CompletedProcess[str]:
    """Return what becomes of a process that hears SIGTERM twice."""
    return subprocess.run([sys.executable, "-c", _TWICE, str(apart_s)], capture_output=True, text=True, check=False)


def test_two_signals_at_once_are_one() -> None:
    """``timeout`` sends one to pytest and one to its group."""
    done = twice(ONE_END_S / 2)
    assert (done.stdout, done.returncode) == ("interrupted\ngoes on\n", 0)


def test_a_second_signal_later_on_ends_at_once() -> None:
    """By the signal itself."""
    done = twice(ONE_END_S * 2)
    assert (done.stdout, done.returncode) == ("interrupted\n", -signal.SIGTERM)


def raised() -> pytest.ExceptionInfo[BaseException]:
    """Return an interrupt from some way down."""

    def below() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        below()
    return cast("pytest.ExceptionInfo[BaseException]", caught)


@pytest.mark.usefixtures("unfrozen")
def test_an_interrupt_has_the_one_line_of_traceback_that_pytest_shows() -> None:
    """Pytest reads and parses every file in it, in each process of a fleet."""
    caught = raised()
    place = caught.getrepr().reprcrash
    EndSignals().pytest_keyboard_interrupt(caught)
    assert len(caught.traceback) == 1
    assert str(caught.getrepr().reprcrash) == str(place)


@pytest.mark.usefixtures("unfrozen")
def test_who_asks_for_the_whole_traceback_gets_it() -> None:
    """``--full-trace``."""
    caught = raised()
    EndSignals(full_trace=True).pytest_keyboard_interrupt(caught)
    assert len(caught.traceback) == 2


@pytest.fixture
def unfrozen() -> Iterator[None]:
    """Let garbage be collected again after the test."""
    yield
    gc.unfreeze()
