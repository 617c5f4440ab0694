"""Calls that end without a word, on a clock that jumps: what was sent to nobody is lost by nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.load.calls import call_driver
from tests.unit.load.test_overload import Overload, S

if TYPE_CHECKING:
    from pytest_ari_sla.load.results.outcome import LoadOutcome
    from pytest_ari_sla.load.run import LoadRun

CALLS, PLANNED_S, OVER_S = 4, 8, 4
SENT_TO_NOBODY = CALLS * (PLANNED_S - OVER_S) * 50
NEVER_NS = 1 << 62


def come_of(monkeypatch: pytest.MonkeyPatch, *, exist: bool = False, can_be_asked: bool = True) -> LoadOutcome:
    """Let calls fall silent in the middle, since they are over without an event, or though they still exist."""
    load = Overload(monkeypatch, calls=CALLS, posts_per_s=1000, planned_s=PLANNED_S)
    load.loop.silent_from_ns = OVER_S * S

    def end_all() -> None:
        if not exist:
            load.asterisk.channels.clear()
        load.asterisk.lists = can_be_asked

    def meanwhile(run: LoadRun) -> None:
        load.loop.call_later(OVER_S, end_all)

    return load.run(meanwhile)


def counts(outcome: LoadOutcome, *names: str) -> list[int]:
    """Return some counts of a load."""
    return [outcome.total.count(name) for name in names]


@pytest.mark.parametrize("silence_ns", [call_driver.SILENT_NS, NEVER_NS], ids=["by a look", "at its end"])
def test_what_is_sent_to_calls_that_are_over_is_not_lost_however_late_we_learn_of_it(
    monkeypatch: pytest.MonkeyPatch, silence_ns: int
) -> None:
    """Later than the loss limit as well."""
    monkeypatch.setattr(call_driver, "SILENT_NS", silence_ns)
    outcome = come_of(monkeypatch)
    assert counts(outcome, "calls.dropped", "loss.lost", "loss.unknown") == [CALLS, 0, 0]
    assert outcome.total.count("harness.sent_after_end") > 0


def test_of_what_is_sent_to_calls_that_cannot_be_asked_for_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be over; that is no loss, and no pass either."""
    outcome = come_of(monkeypatch, can_be_asked=False)
    assert counts(outcome, "calls.dropped", "loss.lost") == [0, 0]
    assert outcome.total.count("loss.unknown") == pytest.approx(SENT_TO_NOBODY, abs=2 * CALLS)


def test_what_is_sent_to_calls_that_exist_and_hear_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asterisk says that the calls are there."""
    outcome = come_of(monkeypatch, exist=True)
    assert counts(outcome, "calls.dropped", "loss.unknown") == [0, 0]
    assert outcome.total.count("loss.lost") == pytest.approx(SENT_TO_NOBODY, abs=2 * CALLS)
