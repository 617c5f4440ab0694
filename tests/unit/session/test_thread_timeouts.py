from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from pytest_ari_sla.session.endings.thread_timeouts import ThreadTimeouts

LIMIT_S = 30.0


class Supervisor:
    """Keeps why it was to write, and on which thread."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.written = threading.Event()

    def write_down(self, why: str) -> None:
        """Keep."""
        self.reasons.append(why)
        self.written.set()


@pytest.fixture
def supervisor() -> Supervisor:
    """Return one with a load."""
    return Supervisor()


@pytest.fixture
def timeouts(supervisor: Supervisor) -> ThreadTimeouts:
    """Return a plug-in of a process that has loads."""
    return ThreadTimeouts(supervisor.write_down)


def test_loads_are_written_before_the_thread_of_pytest_timeout_ends_everything(
    timeouts: ThreadTimeouts, supervisor: Supervisor
) -> None:
    """By a thread: the main thread may hang, as here."""
    timeouts.pytest_timeout_set_timer(SimpleNamespace(method="thread", timeout=0.2))
    assert supervisor.written.wait(LIMIT_S)
    assert supervisor.reasons == ["shortly before pytest-timeout ended all of pytest, after 0.2 s of this test"]


def test_a_test_that_is_over_in_time_is_left_alone(timeouts: ThreadTimeouts, supervisor: Supervisor) -> None:
    """And the next one has a timer of its own."""
    timeouts.pytest_timeout_set_timer(SimpleNamespace(method="thread", timeout=LIMIT_S))
    (timer,) = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    timeouts.pytest_timeout_cancel_timer()
    timer.join(LIMIT_S)
    assert not timer.is_alive()
    assert supervisor.reasons == []


def test_its_signal_leaves_the_time_for_a_whole_report(timeouts: ThreadTimeouts) -> None:
    """Then nothing is needed."""
    before = threading.active_count()
    timeouts.pytest_timeout_set_timer(SimpleNamespace(method="signal", timeout=LIMIT_S))
    assert threading.active_count() == before
