"""Sequence numbers as they arrive: what is missing, doubled or out of order, for all legs at once.

The first packet of a leg counts, because each is one that somebody's SLA pays for. What does not go on from there is
believed as RFC 3550 (A.1) wants it: a change of the SSRC, or a jump too wide for loss and reordering, is a restart only
when a second packet goes on with it. A single one is a stray, and the stream goes on as if it had not come.

Legs whose packets of a batch are in order, with or without gaps, are taken in a few array operations together. A leg
with anything else in the batch is stepped through packet by packet. The result is the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.rtp.packet_batch import LegGrouping, PacketBatch

__all__ = ["MAX_DROPOUT", "MAX_MISORDER", "WINDOW", "SequenceAccounting", "SequenceChange"]

MAX_DROPOUT = 3000
"""A step forward of so many numbers or more is a jump, not loss (RFC 3550, A.1)."""

MAX_MISORDER = 100
"""A packet fewer than so many numbers behind is late or a copy; one further behind may be a restart (RFC 3550, A.1)."""

WINDOW = 512
"""So many numbers back, it is known whether each has come: ten seconds of 20 ms."""

_CYCLE = 1 << 16  # sequence numbers have 16 bits
_WINDOW_BITS = WINDOW.bit_length() - 1
_NONE = -1

# Read and written by column: NumPy copies whole records at 50 ns each, single aligned fields at 2 ns.
_STATE = np.dtype(
    [
        ("known", "?"),
        ("ssrc", "u4"),
        ("first", "i8"),
        ("highest", "i8"),
        # A packet that nothing has gone on with yet: its source, its number (-1: none), whether it has come before.
        ("doubted_ssrc", "u4"),
        ("doubted", "i4"),
        ("is_copy", "?"),
    ],
    align=True,
)


@dataclass(frozen=True, eq=False)
class SequenceChange:
    """What one batch has brought: events of this batch, never running totals.

    A number that is missing counts in ``missing`` when a later one arrives, and in ``recovered`` if it arrives after
    all; the difference is what was dropped.

    Attributes
    ----------
    legs
        (g,) int32. The legs that had packets.
    received
        (g,) int64. Packets of the stream, copies and strays not counted.
    missing, recovered, duplicates, reordered
        (g,) int64. Numbers newly found missing; late packets that fill such a gap; packets seen before; packets behind
        one with a higher number (RFC 4737, 3.3).
    restarts
        (g,) int64. Changes of the SSRC, and jumps too wide to be loss or reordering, that a second packet confirmed.
    strays
        (g,) int64. Single packets of another source, or far out of sequence, with which nothing went on.
    """

    legs: NDArray[np.int32]
    received: NDArray[np.int64]
    missing: NDArray[np.int64]
    recovered: NDArray[np.int64]
    duplicates: NDArray[np.int64]
    reordered: NDArray[np.int64]
    restarts: NDArray[np.int64]
    strays: NDArray[np.int64]

    @classmethod
    def of_nothing(cls, legs: NDArray[np.int32]) -> SequenceChange:
        """Return a change in which nothing has happened yet."""
        return cls(legs, *np.zeros((7, len(legs)), np.int64))


class SequenceAccounting:
    """Follows the stream that each leg receives.

    Exact for any split of the packets into batches. At a restart nothing is missing between the two streams.
    """

    BYTES_PER_LEG = _STATE.itemsize + WINDOW

    def __init__(self, legs: int) -> None:
        self._state = np.zeros(legs, _STATE)
        self._state["doubted"] = _NONE
        # In which turn of the window each place was last seen, 1 to 255; 0: never.
        self._marks = np.zeros((legs, WINDOW), np.uint8)

    def reset(self, legs: NDArray[np.int32]) -> None:
        """Forget what these legs received."""
        self._state[legs] = 0
        self._state["doubted"][legs] = _NONE
        self._marks[legs] = 0

    def extended_highest(self) -> NDArray[np.int64]:
        """Return each leg's highest number, counted on where 16 bits wrap around: (legs,), 0 before a first packet."""
        return self._state["highest"].copy()

    def first(self) -> NDArray[np.int64]:
        """Return the number that each leg's stream began with: (legs,), 0 before a first packet."""
        return self._state["first"].copy()

    def update(self, batch: PacketBatch) -> SequenceChange:
        """Take in a batch and tell what it has brought."""
        groups = batch.by_leg
        change = SequenceChange.of_nothing(groups.legs)
        if not len(batch):
            return change
        sequence = batch.sequence[groups.order].astype(np.int64)
        ssrc = batch.ssrc[groups.order]
        for group in np.flatnonzero(~self._take_in_order(groups, sequence, ssrc, change)).tolist():
            run = slice(groups.starts[group], groups.starts[group] + groups.counts[group])
            self._step_through(group, sequence[run].tolist(), ssrc[run].tolist(), change)
        return change

    def _take_in_order(
        self, groups: LegGrouping, sequence: NDArray[np.int64], ssrc: NDArray[np.uint32], change: SequenceChange
    ) -> NDArray[np.bool_]:
        """Take in all legs whose packets only go forward; return the (g,) mask of these."""
        starts, counts, legs = groups.starts, groups.counts, groups.legs.astype(np.intp)
        source, first = ssrc[starts], sequence[starts]
        known = self._state["known"][legs]
        # A new stream is in order from its first packet on: as if the number before had been received.
        base = np.where(known, self._state["highest"][legs], first - 1)
        previous = np.empty_like(sequence)
        previous[1:] = sequence[:-1]
        previous[starts] = base
        # Modulo 2**16, so that a wrap-around is a step like all others.
        step = (sequence - previous) & (_CYCLE - 1)
        forward = (step > 0) & (step < MAX_DROPOUT) & (ssrc == np.repeat(source, counts))
        in_order: NDArray[np.bool_] = np.logical_and.reduceat(forward, starts)
        in_order &= ~known | ((self._state["ssrc"][legs] == source) & (self._state["doubted"][legs] == _NONE))

        # Sums over the whole batch, less what stands before a leg's run: no loop over legs.
        running = np.cumsum(step)
        before = running[starts] - step[starts]
        advance = running[starts + counts - 1] - before
        number = running + np.repeat(base - before, counts)
        taken = np.repeat(in_order, counts)
        self._mark(np.repeat(legs, counts)[taken], number[taken])
        np.copyto(change.received, counts, where=in_order)
        np.copyto(change.missing, advance - counts, where=in_order)
        self._keep(legs[in_order], highest=(base + advance)[in_order])
        begins = in_order & ~known
        if begins.any():
            self._keep(legs[begins], known=True, ssrc=source[begins], first=first[begins])
        return in_order

    def _mark(self, legs: NDArray[np.intp], numbers: NDArray[np.int64]) -> None:
        # A mark of an earlier turn differs, so that none needs to be cleared (255 turns: 130,560 numbers).
        self._marks.reshape(-1)[legs * WINDOW + (numbers & (WINDOW - 1))] = (numbers >> _WINDOW_BITS) % 255 + 1

    def _keep(self, legs: NDArray[np.intp], **columns: NDArray[Any] | bool) -> None:
        for name, column in columns.items():
            self._state[name][legs] = column

    def _step_through(self, group: int, sequence: list[int], ssrc: list[int], change: SequenceChange) -> None:
        """Take in one leg's packets one after the other."""
        leg = change.legs[group]
        stream = _Stream(self._marks[leg], *self._state[leg].item())
        for number, source in zip(sequence, ssrc, strict=True):
            stream.take(number, source)
        self._state[leg] = stream.state()
        for name, count in stream.counts.items():
            getattr(change, name)[group] += count


@dataclass
class _Stream:
    """One leg's stream, packet by packet: the fields of its state, with its row of marks, and what is counted."""

    marks: NDArray[np.uint8]
    known: bool
    ssrc: int
    first: int
    highest: int
    doubted_ssrc: int
    doubted: int
    is_copy: bool
    counts: Counter[str] = field(default_factory=Counter)

    def state(self) -> tuple[Any, ...]:
        """Return what is kept until the next packet."""
        return (
            self.known,
            self.ssrc,
            self.first,
            self.highest,
            self.doubted_ssrc,
            self.doubted,
            self.is_copy,
        )

    def take(self, number: int, source: int) -> None:
        """Take in a packet."""
        place = self.highest + _step(number, self.highest)
        if not self.known:
            self._begin(number, source)
        elif source == self.ssrc and 0 < place - self.highest < MAX_DROPOUT:
            self._go_on(place)
        elif source == self.ssrc and (-MAX_MISORDER < place - self.highest <= 0 or self._is_missing(place)):
            self._come_late(place)
        else:
            self._doubt(number, source, is_copy=source == self.ssrc and self._is_seen(place))

    def _begin(self, number: int, source: int) -> None:
        self.known, self.ssrc, self.first, self.highest = True, source, number, number
        self._receive(number)

    def _receive(self, place: int) -> None:
        self.marks[place % WINDOW] = _turn(place)
        self.counts["received"] += 1

    def _go_on(self, place: int) -> None:
        self._give_up_doubted()
        self.counts["missing"] += place - self.highest - 1
        self.highest = place
        self._receive(place)

    def _come_late(self, place: int) -> None:
        if self._is_seen(place):
            self.counts["duplicates"] += 1
            return
        # Sent before the first one that arrived: what lies between is missing, so far.
        gap = self.first - place
        self.counts["reordered"] += 1
        self.counts["missing"] += max(gap - 1, 0)
        self.counts["recovered"] += gap < 0
        self.first -= max(gap, 0)
        self._receive(place)

    def _is_seen(self, place: int) -> bool:
        return 0 <= self.highest - place < WINDOW and int(self.marks[place % WINDOW]) == _turn(place)

    def _is_missing(self, place: int) -> bool:
        return self.first < place <= self.highest < place + WINDOW and not self._is_seen(place)

    def _doubt(self, number: int, source: int, *, is_copy: bool) -> None:
        """Believe a packet that fits nothing only together with a second one (RFC 3550, A.1)."""
        steps = _step(number, self.doubted) if self.doubted != _NONE and source == self.doubted_ssrc else MAX_MISORDER
        if steps == 0:
            self.counts["duplicates"] += 1
        elif abs(steps) < MAX_MISORDER:
            self.counts["restarts"] += 1
            # The numbers of the new stream may be those of the old one.
            self.marks[:] = 0
            self._begin(self.doubted, source)
            self.doubted = _NONE
            self.take(number, source)
        else:
            self._give_up_doubted()
            self.doubted_ssrc, self.doubted, self.is_copy = source, number, is_copy

    def _give_up_doubted(self) -> None:
        if self.doubted != _NONE:
            self.counts["duplicates" if self.is_copy else "strays"] += 1
            self.doubted = _NONE


def _step(number: int, before: int) -> int:
    """Return how many numbers lie between two, across the wrap-around: -32768 to 32767."""
    return (number - before + _CYCLE // 2) % _CYCLE - _CYCLE // 2


def _turn(place: int) -> int:
    """Return in which turn of the window a place lies, as marks hold it: 1 to 255."""
    return (place >> _WINDOW_BITS) % 255 + 1
