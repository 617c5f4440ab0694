"""Lays blame for the bad calls of a load: brings what was measured before the table of evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_ari_sla.blame.evidence import CallEvidence, Incident, IncidentKind, LoadEvidence, earliest
from pytest_ari_sla.blame.rules import blame_for, is_bad
from pytest_ari_sla.sla.guards import OUT_OF_FILES, stalled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_ari_sla.blame.rules import Blame
    from pytest_ari_sla.load.results.outcome import CallOutcome, LoadOutcome
    from pytest_ari_sla.metrics.time_series import TimeSeries

__all__ = ["call_evidence", "lay_blame", "load_evidence"]

_STALLS: Final = {
    "measuring_stall": IncidentKind.MEASURING_STALL,
    "media_stall": IncidentKind.MEDIA_STALL,
    "relay_stall": IncidentKind.RELAY_STALL,
    "echo_stall": IncidentKind.ECHO_STALL,
}


def lay_blame(outcome: LoadOutcome, *, any_loss: bool = False) -> dict[str, Blame]:
    """Return who is to blame for each bad call of a load, by its id.

    Parameters
    ----------
    outcome
        The load, over all shards.
    any_loss
        Whether a limit of loss was broken, so that each lost packet makes a call a bad one.
    """
    is_scripted = any(name.startswith("script.") for name in outcome.total)
    calls = {call.id: call_evidence(call, outcome.duration_ns, is_scripted=is_scripted) for call in outcome.calls}
    load = load_evidence(outcome)
    return {call: blame_for(found, load) for call, found in calls.items() if is_bad(found, any_loss=any_loss)}


def load_evidence(outcome: LoadOutcome) -> LoadEvidence:
    """Return what happened to a load as a whole."""
    incidents = earliest([*outcome.incidents, *_stalls(outcome.series), *_shortages(outcome.series)])
    sent, lost = outcome.total.count("loss.sent"), outcome.total.count("loss.lost")
    return LoadEvidence(incidents, nobody_was_heard=lost >= sent > 0)


def _stalls(series: TimeSeries) -> Iterator[Incident]:
    """Yield when processes of our own stood still: it is noticed when they go on."""
    names = {f"harness.{name}": kind for name, kind in _STALLS.items()}
    for interval in series.intervals(names):
        words = stalled(interval.values)
        for name, kind in names.items():
            stall = interval.values.histogram(name)
            if stall.count:
                # A stall counts when it is over: it may have begun by its whole length before this interval.
                from_s = max(0.0, (interval.start_ns - stall.max) / 1e9)
                yield Incident(kind, from_s, interval.end_ns / 1e9, words[name.removeprefix("harness.")])


def _shortages(series: TimeSeries) -> Iterator[Incident]:
    """Yield when connections of calls had to wait for us."""
    for interval in series.intervals({"harness.out_of_files"}):
        if interval.values.count("harness.out_of_files"):
            yield Incident(IncidentKind.OUT_OF_FILES, interval.start_ns / 1e9, interval.end_ns / 1e9, OUT_OF_FILES)


def call_evidence(call: CallOutcome, duration_ns: int, *, is_scripted: bool) -> CallEvidence:
    """Return what is known of one call; of several legs, of the worst."""
    lost, ratio = call.values.get("loss.lost", 0.0), call.values.get("loss.ratio")
    delays = [call.values[name] for name in ("rtt.p99", "one_way.p99") if name in call.values]
    return CallEvidence(
        state=call.state,
        cause=call.cause,
        started_s=call.started_ns / 1e9,
        ended_s=(duration_ns if call.closed_ns is None else call.closed_ns) / 1e9,
        was_heard=None if ratio is None else ratio < 1.0,
        # Of each call only the lost packets and their share are kept.
        sent=round(lost / ratio) if ratio else 0,
        lost=round(lost),
        delay_p99_s=max(delays, default=None),
        is_scripted=is_scripted,
    )
