"""Which calls are worth a look: those that failed, and those that stand out from all others."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final

from pytest_ari_sla.ari.call_endings import LOST
from pytest_ari_sla.blame.sentences import at_fault
from pytest_ari_sla.reporting.record.run_record import CallEvent, WorstCall
from pytest_ari_sla.reporting.wording.values import show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_ari_sla.blame.rules import Blame
    from pytest_ari_sla.judging.judged_load import CapturedCall
    from pytest_ari_sla.load.results.outcome import CallOutcome
    from pytest_ari_sla.metrics.catalogue import Catalogue
    from pytest_ari_sla.metrics.metric import Metric

__all__ = ["ranked_by", "reasons", "worst_calls"]

_NS_PER_S: Final = 10**9
_USUAL_COUNT: Final = 10
_OUTSTANDING: Final = 2.0
"""A value this many times the median of all calls makes a call worth a look."""
_WHY_LOST: Final = {"failed": "It was not established", "dropped": "It ended before it was told to"}


def ranked_by(catalogue: Catalogue) -> dict[str, Metric]:
    """Return the figures of a call that can make it one of the worst, with the metric of each."""
    return {name: metric for metric in catalogue.prominent("worst calls") for name in metric.call_figures}


def worst_calls(
    calls: Sequence[CallOutcome],
    captures: Mapping[str, CapturedCall],
    catalogue: Catalogue,
    count: int = _USUAL_COUNT,
    blames: Mapping[str, Blame] | None = None,
) -> list[WorstCall]:
    """Return up to ``count`` calls that failed or stand out, the worst first.

    Parameters
    ----------
    calls
        All calls.
    captures
        What was kept of calls, by their id.
    catalogue
        All metrics: which ones make a call stand out.
    count
        How many to return at most.
    blames
        Who is to blame for bad calls, by call id.
    """
    return [
        _described(call, _blamed(why, (blames or {}).get(call.id)), captures.get(call.id))
        for call, why in _ranked(calls, catalogue)[:count]
    ]


def reasons(calls: Sequence[CallOutcome], catalogue: Catalogue) -> dict[str, str]:
    """Return why each call is worth a look that is, by its id, the worst first."""
    return {call.id: _sentence(why) for call, why in _ranked(calls, catalogue)}


def _ranked(calls: Sequence[CallOutcome], catalogue: Catalogue) -> list[tuple[CallOutcome, str]]:
    lost = [
        (call, f"{_WHY_LOST[call.state]}: {call.reason or 'no reason is known'}")
        for call in calls
        if call.state in LOST
    ]
    heard = [call for call in calls if call.state not in LOST]
    return lost + _outstanding(heard, ranked_by(catalogue))


def _sentence(why: str) -> str:
    return f"{why.rstrip('.')}."


def _blamed(why: str, blame: Blame | None) -> str:
    return why if blame is None else at_fault(why.rstrip("."), blame.side.value)


def _outstanding(calls: Sequence[CallOutcome], metrics: Mapping[str, Metric]) -> list[tuple[CallOutcome, str]]:
    """Return calls by how far their worst value is from the usual one, with that said in a sentence."""
    # The median: a mean would follow the very calls that stand out.
    usual = {
        name: median(values)
        for name in metrics
        if (values := [call.values[name] for call in calls if name in call.values])
    }
    found: list[tuple[float, CallOutcome, str]] = []
    for call in calls:
        ratios = [
            (_times_worse(call.values[name], usual[name], metrics[name]), name) for name in usual if name in call.values
        ]
        times, name = max(ratios, default=(0.0, ""))
        if times >= _OUTSTANDING:
            unit = metrics[name].unit
            why = f"Its {name} was {show(call.values[name], unit)}, where {show(usual[name], unit)} is usual"
            found.append((times, call, why))
    # By the ratio alone: calls have no order, which a tie would ask for.
    found.sort(key=lambda item: -item[0])
    return [(call, why) for _, call, why in found]


def _times_worse(value: float, usual: float, metric: Metric) -> float:
    """Return how many times worse than the usual value one is."""
    tiny = 1.0 if metric.unit == "count" else 0.001  # a multiple of next to nothing does not stand out
    return value / max(usual, tiny) if metric.better == "lower" else usual / max(value, tiny)


def _described(call: CallOutcome, why: str, captured: CapturedCall | None) -> WorstCall:
    return WorstCall(
        id=call.id,
        why=_sentence(why),
        values=dict(call.values),
        events=[
            CallEvent(t_s=event.at_ns / _NS_PER_S, source=event.source, what=event.what, detail=event.detail)
            for event in call.timeline
        ],
        capture=captured.path if captured else "",
        audio=captured.audio if captured else "",
    )
