"""Whether the target keeps what a load's calls have made it take: readings in, a verdict in words and figures out.

Descriptors and threads are compared when no call is up, before the first and after the last one; both come back to the
same number in a healthy Asterisk (22.10.1 and 16.28, 100 calls at a time). Its memory does not: that follows the most
calls that there ever were. So memory is judged only of a load that needs no more calls at a time than an earlier one,
after unused memory was given back, and beside a control: what it changed by while there were no calls.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_ari_sla.metrics.units import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_ari_sla.watch.holdings import Holdings

__all__ = ["Audit", "MemoryHistory", "MemorySpan", "judge_holdings"]

ONE_OFF_FILES = 4
"""So many descriptors may be opened once, by the first call that needs what they are for."""

POOL_THREADS = 64
"""So many threads Asterisk's pools may keep for a minute after they were busy (50 is their usual limit)."""

TELLING_BYTES = 10_000_000
"""Less than that Asterisk's memory grows and shrinks by from load to load."""

TELLING_CALLS = 1_000
"""With fewer calls, a leak of 10 kB a call is less than that."""

_CONTROL_FACTOR = 3


@dataclass(frozen=True)
class Audit:
    """What an audit has found.

    Attributes
    ----------
    values
        By metric name; what cannot be told is not there.
    notes
        The same in words, where something was kept, or cannot be told.
    """

    values: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __add__(self, other: Audit) -> Audit:
        """Return both."""
        return Audit({**self.values, **other.values}, (*self.notes, *other.notes))


def judge_holdings(before: Holdings, after: Holdings, calls: int, channels: int) -> Audit:
    """Return whether descriptors and threads were kept.

    Parameters
    ----------
    before, after
        Before the first call, and after the last one had ended and time had passed.
    calls
        How many there were.
    channels
        How many channels are still there, whoever they belong to: what they hold is not leaked.
    """
    files, ports = after.all_files - before.all_files, after.udp_sockets - before.udp_sockets
    threads = after.threads - before.threads
    if channels and max(files, threads) > 0:
        more = ", ".join(_more([(files, "file descriptor"), (threads, "thread")]))
        still = f"it holds {more} more than before, and {counted(channels, 'channel')} that may need them"
        return Audit(notes=(f"whether Asterisk leaks cannot be told: {still}",))
    # A call that leaks keeps two UDP sockets, RTP's and RTCP's: one more proves nothing.
    allowed = 0 if ports > 1 else ONE_OFF_FILES
    values = {"target.leaked_files": files if files > allowed else 0, "target.leaked_ports": ports if ports > 1 else 0}
    notes = []
    if values["target.leaked_files"]:
        notes.append(
            f"after {counted(calls, 'call')} Asterisk holds {counted(files, 'file descriptor')} more than before: "
            + ", ".join(_kinds(before, after))
        )
    if threads <= 0:
        values["target.leaked_threads"] = 0
    elif threads > POOL_THREADS:
        values["target.leaked_threads"] = threads
        notes.append(f"after {counted(calls, 'call')} Asterisk has {counted(threads, 'thread')} more than before")
    else:
        notes.append(
            f"whether threads leak cannot be told: Asterisk has {counted(threads, 'thread')} more than before, as its "
            "pools may for a minute"
        )
    return Audit(values, tuple(notes))


def _more(counts: list[tuple[int, str]]) -> Iterator[str]:
    for number, what in counts:
        if number > 0:
            yield counted(number, what)


def _kinds(before: Holdings, after: Holdings) -> Iterator[str]:
    """Yield of which kinds of descriptors there are more, the most first."""
    grown = {kind: number - before.files.get(kind, 0) for kind, number in after.files.items()}
    for kind, number in sorted(grown.items(), key=lambda item: -item[1]):
        if number > 0:
            yield f"{number:,} {kind if number > 1 else kind.removesuffix('s')}"


@dataclass(frozen=True)
class MemorySpan:
    """A load, and the target's memory before and after it, with no calls up and unused memory given back.

    Attributes
    ----------
    peak
        Most calls at a time.
    calls
        All of them.
    before_bytes, after_bytes
        Memory in RAM.
    """

    peak: int
    calls: int
    before_bytes: int
    after_bytes: int


class MemoryHistory:
    """All loads on one target, from its start or from when it was first seen."""

    def __init__(self) -> None:
        self._peak = 0
        self._last_bytes: int | None = None

    def judge(self, span: MemorySpan) -> Audit:
        """Take in a load; return whether it has left memory taken."""
        is_first = span.peak > self._peak or self._last_bytes is None
        control_bytes = abs(span.before_bytes - (self._last_bytes or 0))
        self._peak, self._last_bytes = max(self._peak, span.peak), span.after_bytes
        grown_bytes = span.after_bytes - span.before_bytes
        if is_first or span.calls < TELLING_CALLS:
            return Audit()
        if grown_bytes <= TELLING_BYTES:
            return Audit({"target.leaked_memory": 0})
        grown = (
            f"Asterisk's memory is {grown_bytes / 1e6:,.0f} MB larger than before, with no more calls at a time than "
            f"in an earlier load, and changed by {control_bytes / 1e6:,.0f} MB without calls"
        )
        if grown_bytes <= _CONTROL_FACTOR * control_bytes:
            return Audit(notes=(f"whether Asterisk leaks memory cannot be told: {grown}",))
        kilobytes = grown_bytes / span.calls / 1e3
        return Audit(
            {"target.leaked_memory": grown_bytes},
            (f"after {counted(span.calls, 'call')} {grown}: {kilobytes:,.0f} kB a call",),
        )
