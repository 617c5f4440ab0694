"""What an echo server does to packets on purpose, decided by a seed alone.

Every decision is a pure function of the seed, the packet's key (the probe's leg and number where there is a probe) and
what is being decided: no state is kept. So the same seed gives the same faults however packets are cut into batches,
in whatever order they come, and with any number of processes.

Random numbers come from a counter-based generator (SplitMix64's finaliser over the key), not from a sequential one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum, auto
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DEFAULT_PACKET_NS", "MOST_LOSS_BURST", "Decisions", "Impairment"]

DEFAULT_PACKET_NS = 20_000_000
"""Packet time that holding back is laid out for, unless told otherwise."""

MOST_LOSS_BURST = 1000
"""20 s of a stream at 20 ms."""

_MOST_LOOKS = 1 << 14
"""Of all packets, in one step: what fits into the cache."""

_LAST_64_BITS = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio: SplitMix64's step
_PURPOSE_STEP = 0xD1B54A32D192ED03  # odd, and unrelated to the golden step
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


class _Purpose(IntEnum):
    """What a random number is drawn for: one packet's draws are independent of each other."""

    LOSS = auto()
    DUPLICATE = auto()
    JITTER = auto()
    HOLD = auto()


@dataclass(frozen=True, eq=False)
class Decisions:
    """What happens to each packet of a batch; all arrays have the shape (n,).

    Attributes
    ----------
    dropped
        bool. It is not sent back.
    duplicated
        bool. It is sent back twice, one right after the other; never true where it is dropped.
    held
        bool. It is held back so that its successor overtakes it; never true where it is dropped.
    delay_ns
        int64. How long after its arrival it is sent back; 0 where it is dropped.
    """

    dropped: NDArray[np.bool_]
    duplicated: NDArray[np.bool_]
    held: NDArray[np.bool_]
    delay_ns: NDArray[np.int64]


@dataclass(frozen=True)
class Impairment:
    """A seeded way to be a bad network.

    Attributes
    ----------
    loss
        Share of packets that are dropped.
    loss_burst
        Mean number of packets lost in a row: the loss follows Gilbert's two-state Markov chain (Gilbert-Elliott with
        all packets lost in the bad state, none in the good one). None: each packet for itself, which is the same chain
        with bursts of ``1 / (1 - loss)``. At most `MOST_LOSS_BURST`.
    loss_every
        Drop the packets of each stream whose number can be divided by this, and no others by chance: of so many packets
        in a row exactly one is lost, whichever leg they belong to and whenever it began. None: none is.
    delay_ns
        Time between a packet's arrival and its way back.
    jitter_ns
        Half width of the uniform distribution that is added to the delay; at most the delay.
    duplicate
        Share of the packets not dropped that are sent back twice.
    reorder
        Share of the packets not dropped that are held back one and a half packet times longer than their successor, so
        that this one overtakes them. Only a packet whose successor is neither dropped nor held back itself can be
        overtaken, hence the limit of about a quarter.
    seed
        Same seed, same faults.
    packet_ns
        Packet time of the streams, for ``reorder``.

    Raises
    ------
    ValueError
        When a share is no share, or the numbers cannot be had together.
    """

    loss: float = 0.0
    loss_burst: float | None = None
    loss_every: int | None = None
    delay_ns: int = 0
    jitter_ns: int = 0
    duplicate: float = 0.0
    reorder: float = 0.0
    seed: int = 0
    packet_ns: int = DEFAULT_PACKET_NS

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise ValueError(problem)

    def _problem(self) -> str:
        """Say what is wrong with the numbers; an empty string when nothing is."""
        for name in ("loss", "duplicate", "reorder"):
            if not 0 <= getattr(self, name) <= 1:
                return f"{name} is a share between 0 and 1 (0 % and 100 %), not {getattr(self, name)}"
        if self.loss_every is not None and (self.loss_every < 1 or self.loss or self.reorder):
            return f"to lose every {self.loss_every}th packet takes a number from 1 on, and neither loss nor reorder"
        if not 0 <= self.jitter_ns <= self.delay_ns:
            return f"jitter ({self.jitter_ns} ns) must lie between 0 and the delay ({self.delay_ns} ns)"
        if self.loss_burst is not None:
            if not self.loss_burst <= MOST_LOSS_BURST:
                return (
                    f"bursts of {self.loss_burst:g} packets are longer than {MOST_LOSS_BURST}: whether one is lost "
                    "would take too long to find out for each packet"
                )
            if self.loss == 1 or self.loss_burst * (1 - self.loss) < 1:
                return (
                    f"bursts of {self.loss_burst} packets are shorter than chance makes them at a loss of {self.loss}"
                )
        if self.reorder > self.most_reorder:
            return f"reorder can be {self.most_reorder:.4f} at most: an overtaken packet needs a successor that is sent"
        return ""

    @cached_property
    def _leave_bad(self) -> float:
        """Probability that the packet after a lost one is not lost."""
        return 1 / self.loss_burst if self.loss_burst is not None else 1 - self.loss

    @cached_property
    def _enter_bad(self) -> float:
        """Probability that the packet after one that was not lost is lost: makes ``loss`` the stationary share."""
        return self._leave_bad * self.loss / (1 - self.loss) if self.loss < 1 else 1.0

    @cached_property
    def most_reorder(self) -> float:
        """The largest share of packets that can be overtaken."""
        # q (1 - q) is largest at q = 1/2, where it is 1/4.
        return (1 - self._enter_bad) / 4

    @cached_property
    def _hold_draw(self) -> float:
        """Probability q to draw a packet for holding, so that q (1 - q) P(successor is sent) is ``reorder``."""
        return (1 - math.sqrt(1 - self.reorder / self.most_reorder)) / 2 if self.reorder else 0.0

    @property
    def longest_delay_ns(self) -> int:
        """The longest time that any packet waits."""
        return self.delay_ns + self.jitter_ns + (self.packet_ns * 3 // 2 if self.reorder else 0)

    @property
    def delays(self) -> bool:
        """Whether any packet is sent back later than it came."""
        return bool(self.delay_ns or self.reorder)

    @property
    def is_none(self) -> bool:
        """Whether nothing is done to any packet."""
        return not (self.delays or self.loss or self.loss_every or self.duplicate)

    def decide(self, leg: NDArray[np.int64], number: NDArray[np.int64]) -> Decisions:
        """Decide about packets by their keys.

        Parameters
        ----------
        leg
            int64, (n,). What tells streams apart: the leg of the probe, or the SSRC of a packet without one.
        number
            int64, (n,). The packet's place in its stream: the probe's number, or the RTP sequence number.
        """
        draws = _Draws.seeded(self.seed, leg)
        dropped = self._dropped(draws, number)
        kept = ~dropped
        duplicated = kept & (draws.uniform(number, _Purpose.DUPLICATE) < self.duplicate)
        held = kept & self._held(draws, number)
        # With jitters of their own, a held packet could still leave before its successor.
        delay_ns = self._delay_ns(draws, number + held)
        # Half-way between its successor, one packet time later, and the one after that.
        delay_ns[held] += self.packet_ns * 3 // 2
        delay_ns[dropped] = 0
        return Decisions(dropped, duplicated, held, delay_ns)

    def _dropped(self, draws: _Draws, number: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return the state of Gilbert's chain at each packet, without walking the chain from its start.

        A packet's uniform number u decides its state alone where u < enter (bad, whatever came before) or
        u >= 1 - leave (good, whatever came before). In between the state stays what it was: look at the packet
        before, and so on (coupling from the past). That takes 1 / (enter + leave) looks on average.
        """
        if self.loss_every is not None:
            return np.equal(number % self.loss_every, 0)
        dropped = np.zeros(len(number), bool)
        if not self.loss:
            return dropped
        rows = np.arange(len(number))
        back, looks = 0, 1
        while len(rows):
            # Numbers before 0 wrap around to the top of 64 bits: draws like all others.
            before = number[rows, None] - np.arange(back, back + looks)
            uniform = _Draws(draws.stream[rows, None]).uniform(before, _Purpose.LOSS)
            is_bad = uniform < self._enter_bad
            decides = is_bad | (uniform >= 1 - self._leave_bad)
            first = decides.argmax(axis=1)  # 0 as well where none decides
            dropped[rows] = np.take_along_axis(is_bad, first[:, None], 1)[:, 0]
            rows = rows[~decides.any(axis=1)]
            # Most are decided at once. The others look at more and more in one step: long bursts take thousands.
            back, looks = back + looks, max(1, min(2 * looks, _MOST_LOOKS // max(1, len(rows))))
        return dropped

    def _held(self, draws: _Draws, number: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which packets are drawn for holding while their successor is neither drawn nor dropped."""
        held: NDArray[np.bool_] = draws.uniform(number, _Purpose.HOLD) < self._hold_draw
        drawn = np.flatnonzero(held)
        if len(drawn):
            successor = number[drawn] + 1
            of_drawn = draws.of(drawn)
            held[drawn] = ~self._dropped(of_drawn, successor) & (
                of_drawn.uniform(successor, _Purpose.HOLD) >= self._hold_draw
            )
        return held

    def _delay_ns(self, draws: _Draws, number: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return delay with jitter; for a held packet ask with its successor's number: both then share one jitter."""
        if not self.jitter_ns:
            return np.full(len(number), self.delay_ns, np.int64)
        spread = 2 * draws.uniform(number, _Purpose.JITTER) - 1
        return self.delay_ns + np.rint(spread * self.jitter_ns).astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Draws:
    """Uniform numbers of packets: functions of seed, leg, number and purpose.

    Attributes
    ----------
    stream
        uint64, (n,). Seed and leg of each packet, mixed.
    """

    stream: NDArray[np.uint64]

    @classmethod
    def seeded(cls, seed: int, leg: NDArray[np.int64]) -> _Draws:
        """Return the draws of packets of these legs."""
        # The mask makes a negative seed one of 64 bits, too.
        start = _mix(np.array([seed & _LAST_64_BITS], np.uint64))
        return cls(_mix(leg.astype(np.uint64) * np.uint64(_GOLDEN) + start))

    def of(self, rows: NDArray[np.intp]) -> _Draws:
        """Return the draws of chosen packets."""
        return _Draws(self.stream[rows])

    def uniform(self, number: NDArray[np.int64], purpose: _Purpose) -> NDArray[np.float64]:
        """Return one number in [0, 1) per packet, of 53 random bits."""
        place = number.astype(np.uint64) * np.uint64(_GOLDEN) + np.uint64(purpose * _PURPOSE_STEP & _LAST_64_BITS)
        bits = _mix(self.stream ^ place) >> np.uint64(11)
        return bits.astype(np.float64) * 2.0**-53


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser: a bijection of 64 bits whose output bits all depend on all input bits."""
    state = (state ^ (state >> np.uint64(30))) * _MIX_1
    state = (state ^ (state >> np.uint64(27))) * _MIX_2
    mixed: NDArray[np.uint64] = state ^ (state >> np.uint64(31))
    return mixed
