"""What a search for the capacity came to, as reports tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.errors import NetworkError
from pytest_ari_sla.reporting.record.record_capacity import Capacity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.capacity.search import Bracket
    from pytest_ari_sla.errors import SlaError
    from pytest_ari_sla.metrics.snapshot import Snapshot
    from pytest_ari_sla.reporting.record.record_capacity import CapacityStep

__all__ = ["UNITS", "answer", "answer_of_death", "evidence", "why_not_held"]

UNITS = {"calls": "calls", "call rate": "call set-ups/s"}
"""What each kind of level is counted in."""

_SHARE_STEPS = 10_000  # shares are recorded in steps of 0.01 %
_NOTABLE = {
    "harness.host_others": (0.8, "the target and others took", "the cores that it shares with us"),
    "harness.host_ours": (0.4, "the load generator took", "the cores that it shares with the target"),
    "harness.cpu": (0.8, "the process that moves packets used", "a core"),
}
"""From which share on each of these says something, and what; as it was in half of the seconds."""


def answer(found: Bracket, steps: Sequence[CapacityStep], per: str, why: str) -> Capacity:
    """Return the answer.

    Parameters
    ----------
    found
        Where the search ended.
    steps
        All that were made.
    per
        ``calls`` or ``call rate``.
    why
        What points at what limits it.
    """
    broken = next((step for step in steps if step.level == found.broken and step.verdict == "fail"), None)
    capacity = Capacity(
        per=per,
        calls=found.carried,
        interval=(found.carried, found.broken),
        first_broken=broken.reason if broken is not None else "",
        broken=broken.broken if broken is not None else "",
        limited_by=found.limit,
        evidence=why if found.limit in ("target", "generator") else "",
        steps=list(steps),
    )
    capacity.sentence = _sentence(capacity, found)
    return capacity


def answer_of_death(found: Bracket, steps: Sequence[CapacityStep], per: str, level: int, error: SlaError) -> Capacity:
    """Return the answer where a load broke off: that is what the target, or the way to it, does at this level.

    Parameters
    ----------
    found
        What is known from the steps below this level.
    steps, per
        As in :func:`answer`.
    level, error
        At which level it broke off, and how.
    """
    how = str(error).splitlines()[0]
    carried = f"{found.carried:,} {UNITS[per]} were carried" if found.carried else "No level below it was carried"
    return Capacity(
        per=per,
        calls=found.carried,
        interval=(found.carried, level),
        first_broken=how,
        limited_by="network" if isinstance(error, NetworkError) else "target",
        evidence=how,
        died_at=level,
        steps=list(steps),
        sentence=f"{carried}; at {level:,} the load broke off: {how}",
    )


def _sentence(capacity: Capacity, found: Bracket) -> str:
    unit = UNITS[capacity.per]
    carried = f"{capacity.calls:,} {unit}"
    because = f": {capacity.evidence}" if capacity.evidence else ""
    if found.limit == "generator":
        text = f"{carried} are carried; how many more cannot be told, since the load generator is the limit{because}"
    elif found.broken is None and found.limit == "steps":
        text = f"{carried} are carried; how many more was not found out"
    elif found.broken is None:
        text = f"At least {carried} are carried, as many as were asked for"
    elif not capacity.calls:
        text = f"Not even {found.broken:,} {unit} are carried ({capacity.first_broken})"
    else:
        text = f"{carried} are carried, {found.broken:,} are not ({capacity.first_broken})"
        text += "" if found.limit == "steps" else f"; limited by the target{because}"
    if found.limit == "steps":
        text += f"; the search was ended after {len(capacity.steps)} steps, whose verdicts go on to differ"
    if found.flaky:
        text += f"; steps did not agree at {', '.join(f'{level:,}' for level in found.flaky)}"
    if not found.is_monotone:
        text += "; higher levels passed than one that failed"
    return text


def evidence(total: Snapshot) -> str:
    """Say what the step that broke a limit, or could not be judged, shows of who was busy; empty where nothing does."""
    measured = {name: total.histogram(name) for name in _NOTABLE}
    shares = {name: share.percentile(50) / _SHARE_STEPS if share.count else 0.0 for name, share in measured.items()}
    return ", ".join(
        f"{words} {shares[name]:.0%} of {where}".replace("%", " %")
        for name, (least, words, where) in _NOTABLE.items()
        if shares[name] >= least
    )


def why_not_held(total: Snapshot, precision: float) -> str:
    """Say that a level was not put on the target, by more than the precision of the answer; empty where it was.

    What that step came to says nothing of the level then, whatever was put up with when it was judged.
    """
    unsent = total.count("harness.not_sent")
    due = unsent + total.histogram("harness.pacing_error").count
    if unsent <= precision * due:
        return ""
    return f"the level was not held: the load generator left {unsent / due * 100:.0f} % of its packets unsent"
