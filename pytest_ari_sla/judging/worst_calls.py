"""Which calls are worth a look: those that failed, and those that stand out from all others."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final

from pytest_ari_sla.reporting.run_record import CallEvent, WorstCall
from pytest_ari_sla.reporting.values import show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_ari_sla.load.outcome import CallOutcome

__all__ = ["RANKED_BY", "worst_calls"]

_NS_PER_S: Final = 10**9
_USUAL_COUNT: Final = 10
_OUTSTANDING: Final = 2.0
"""A value this many times the median of all calls makes a call worth a look."""
_JUDGED_BY: Final = (
    ("loss.lost", "count"),
    *((f"{delay}.{stat}", "s") for delay in ("rtt", "one_way") for stat in ("max", "p99")),
    ("jitter", "s"),
)
RANKED_BY: Final = tuple(name for name, _ in _JUDGED_BY)
"""The figures of a call that can make it one of the worst: the larger, the worse."""
_LOST: Final = {"failed": "It was not established", "dropped": "It ended before it was told to"}


def worst_calls(
    calls: Sequence[CallOutcome], captures: Mapping[str, str], count: int = _USUAL_COUNT
) -> list[WorstCall]:
    """Return up to ``count`` calls that failed or stand out, the worst first.

    Parameters
    ----------
    calls
        All calls.
    captures
        Paths of captured packets by call id.
    count
        How many to return at most.
    """
    lost = [
        (call, f"{_LOST[call.state]}: {call.reason or 'no reason is known'}") for call in calls if call.state in _LOST
    ]
    ranked = lost[:count] + _outstanding([call for call in calls if call.state not in _LOST])
    return [_described(call, why, captures.get(call.id, "")) for call, why in ranked[:count]]


def _outstanding(calls: Sequence[CallOutcome]) -> list[tuple[CallOutcome, str]]:
    """Return calls by how far their worst value is above the usual one, with that said in a sentence."""
    usual = {
        name: median(values)
        for name, _ in _JUDGED_BY
        if (values := [call.values[name] for call in calls if name in call.values])
    }
    found: list[tuple[float, CallOutcome, str]] = []
    for call in calls:
        ratios = [
            (call.values[name] / max(usual[name], _tiny(unit)), name, unit)
            for name, unit in _JUDGED_BY
            if name in call.values
        ]
        times, name, unit = max(ratios, default=(0.0, "", ""))
        if times >= _OUTSTANDING:
            why = f"Its {name} was {show(call.values[name], unit)}, where {show(usual[name], unit)} is usual"
            found.append((times, call, why))
    found.sort(key=lambda item: -item[0])
    return [(call, why) for _, call, why in found]


def _tiny(unit: str) -> float:
    """Return what counts as next to nothing, so that a multiple of zero does not stand out."""
    return 1.0 if unit == "count" else 0.001


def _described(call: CallOutcome, why: str, capture: str) -> WorstCall:
    return WorstCall(
        id=call.id,
        why=f"{why.rstrip('.')}.",
        values=dict(call.values),
        events=[
            CallEvent(t_s=event.at_ns / _NS_PER_S, source=event.source, what=event.what, detail=event.detail)
            for event in call.timeline
        ],
        capture=capture,
    )
