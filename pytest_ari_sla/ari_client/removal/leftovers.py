"""Finds what dead runs left at an Asterisk, and removes it: ``ari-sla sweep``."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_ari_sla.ari.leftovers import runs_present
from pytest_ari_sla.ari_client.faults import error_of_blocking_failure
from pytest_ari_sla.ari_client.removal.ownership import Kind
from pytest_ari_sla.ari_client.removal.sweep import FAILURES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_ari_sla.ari.leftovers import Leftover
    from pytest_ari_sla.ari_client.removal.sweep import Sweeper

__all__ = ["SweptRun", "sweep_dead_runs"]

LOOKS = 4
PAUSE_S = 2.0
"""A run whose event WebSocket broke tries again at least every 5 s: one that is seen in no look of 6 s is dead."""

_WORDS = {Kind.CHANNEL.listing: "channel", Kind.BRIDGE.listing: "bridge", Kind.RECORDING.listing: "recording"}


@dataclass(frozen=True)
class SweptRun:
    """What was done with one run's leftovers.

    Attributes
    ----------
    run
        ``sla-`` and its id.
    sentence
        What to tell.
    left
        Ids that should be gone, and are still there.
    """

    run: str
    sentence: str
    left: tuple[str, ...] = ()


def sweep_dead_runs(
    sweeper: Sweeper, *, only: str | None, dry_run: bool, pause: Callable[[float], None] = time.sleep
) -> list[SweptRun]:
    """Remove what dead runs left; return what was done, run by run.

    Parameters
    ----------
    sweeper
        Where.
    only
        One run, which is swept even where it seems to live; None: all dead ones.
    dry_run
        Whether to remove nothing.
    pause
        How to wait.

    Raises
    ------
    SlaError
        ARI cannot be asked: the same errors as a load's.
    """
    try:
        return _sweep(sweeper, only, dry_run, pause)
    except FAILURES as failure:
        raise error_of_blocking_failure(failure, sweeper.endpoint, sweeper.asked, sweeper.timeout_s) from failure


def _sweep(sweeper: Sweeper, only: str | None, dry_run: bool, pause: Callable[[float], None]) -> list[SweptRun]:
    found = _by_run(sweeper.found(tuple(Kind)))
    found = {run: things for run, things in found.items() if only in (None, run)}
    alive: set[str] = set()
    if found and only is None:
        for look in range(LOOKS):
            if look:
                pause(PAUSE_S)
            alive |= runs_present(sweeper.applications())
    told = []
    for run, things in sorted(found.items()):
        if run in alive:
            told.append(SweptRun(run, f"{run} lives: {_count(things)} left alone"))
        elif dry_run:
            told.append(SweptRun(run, f"{run} is dead: {_count(things)} would be removed"))
        else:
            told.append(_remove(sweeper, run, things, pause))
    return told


def _remove(sweeper: Sweeper, run: str, things: list[Leftover], pause: Callable[[float], None]) -> SweptRun:
    sweeper.remove(things)
    there: list[Leftover] = []
    for _ in range(LOOKS):
        there = _by_run(sweeper.found(tuple(Kind))).get(run, [])
        if not there:
            return SweptRun(run, f"{run} is dead: {_count(things)} removed")
        pause(PAUSE_S / LOOKS)
    left = tuple(thing.identity for thing in there)
    return SweptRun(run, f"{run} is dead: {_count(there)} could not be removed: {', '.join(left[:5])}", left)


def _by_run(things: Iterable[Leftover]) -> dict[str, list[Leftover]]:
    found: dict[str, list[Leftover]] = {}
    for thing in things:
        if (run := thing.run) is not None:
            found.setdefault(run, []).append(thing)
    return found


def _count(things: Iterable[Leftover]) -> str:
    counts = Counter(_WORDS[thing.listing] for thing in things)
    return ", ".join(f"{count} {word}{'s' if count > 1 else ''}" for word, count in counts.items())
