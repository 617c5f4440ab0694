"""What was measured, brought before the table of evidence."""

from __future__ import annotations

import numpy as np

from pytest_ari_sla.blame.evidence import HUNG_UP, Incident, IncidentKind
from pytest_ari_sla.blame.rules import Blame
from pytest_ari_sla.blame.sides import Side
from pytest_ari_sla.judging.records.blames import lay_blame
from pytest_ari_sla.load.results.outcome import CallOutcome, LoadOutcome
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.time_series import TimeSeries

S = 10**9


def call(name: str, state: str = "ended", cause: str = "", **values: float) -> CallOutcome:
    """Return a call from second 2 to second 9; values by metric, with ``_`` for its dot."""
    named = {metric.replace("_", ".", 1): value for metric, value in values.items()}
    return CallOutcome(name, state, 2 * S, 2 * S, 9 * S, 3 * S, cause, 1, named, cause=cause)


def load(*calls: CallOutcome, incidents: tuple[Incident, ...] = (), **seconds: Snapshot) -> LoadOutcome:
    """Return a load of ten seconds."""
    series = TimeSeries()
    for second, values in seconds.items():
        series.add(int(second.removeprefix("at_")) * S, values)
    return LoadOutcome("echo", "PCMU", 0, 10 * S, series.total(), series, calls, incidents=incidents)


def test_only_bad_calls_are_blamed_on_somebody() -> None:
    """One that lost a packet in a thousand is a good one, unless a limit of loss was broken."""
    outcome = load(call("good"), call("bad", "dropped", HUNG_UP), call("some", loss_lost=1, loss_ratio=0.001))
    assert set(lay_blame(outcome)) == {"bad"}
    assert set(lay_blame(outcome, any_loss=True)) == {"bad", "some"}


def test_what_happened_to_the_load_comes_before_how_its_calls_ended() -> None:
    """A restart that is noticed later has ended them."""
    restart = Incident(IncidentKind.ASTERISK_RESTARTED, 9.5, 9.5)
    outcome = load(call("bad", "dropped", HUNG_UP), incidents=(restart,))
    assert lay_blame(outcome)["bad"] == Blame(Side.ASTERISK, "lost to Asterisk's restart, noticed at 9.5 s")
    assert LoadOutcome.from_plain(outcome.to_plain()).incidents == (restart,)


def test_a_standstill_of_ours_is_found_in_the_course_of_the_load() -> None:
    """It is noticed when it is over, and began before."""
    stall = Histogram()
    stall.record(np.array([2 * S]))
    outcome = load(call("bad", loss_lost=50, loss_ratio=0.1), at_7=Snapshot({"harness.relay_stall": stall}))
    found = lay_blame(outcome)["bad"]
    assert found.side is Side.GENERATOR
    assert "the relay stood still for 2.0 s" in found.why
    assert "5.0 s" in found.why


def test_a_call_whose_connection_had_to_wait_for_us_is_ours() -> None:
    """Asterisk had connected, and nobody took its frames."""
    outcome = load(call("bad", loss_lost=50, loss_ratio=1.0), at_7=Snapshot({"harness.out_of_files": 2}))
    found = lay_blame(outcome)["bad"]
    assert found.side is Side.GENERATOR
    assert "this tool had no more open files" in found.why


def test_an_application_is_to_blame_for_hanging_up_on_callers_with_a_script() -> None:
    """Where there is no script, nobody but Asterisk is there to hang up."""
    outcome = load(call("bad", "dropped", HUNG_UP), at_1=Snapshot({"script.completed": 1}))
    assert lay_blame(outcome)["bad"].side is Side.APPLICATION
