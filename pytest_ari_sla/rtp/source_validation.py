"""The receiver's view of a stream as RTCP reports it: RFC 3550, A.1 (validation) and A.3 (loss), for all legs at once.

The first of two packets in probation is not counted, duplicates make up for losses, and a restart forgets what was
lost before. That is what reception reports say; for an SLA see :mod:`pytest_ari_sla.rtp.sequence`.

A.1 is a state machine over one packet after the other. Legs that are past probation and whose packets of a batch
only go forward are taken together in array operations; the others are stepped through packet by packet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.rtp.sequence import MAX_DROPOUT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["MAX_MISORDER", "MIN_SEQUENTIAL", "ReceptionTotals", "SourceValidator"]

MIN_SEQUENTIAL = 2
"""So many packets in sequence make a source valid (RFC 3550, A.1)."""

MAX_MISORDER = 100
"""A packet fewer than so many numbers behind is late; one further behind has jumped (RFC 3550, A.1)."""

_CYCLE = 1 << 16
# A number that no packet has: "no jump seen".
_NO_BAD_SEQUENCE = _CYCLE + 1
_LOWEST_LOST, _HIGHEST_LOST = -(1 << 23), (1 << 23) - 1

_STATE = np.dtype(
    [
        ("known", "?"),
        ("probation", "i1"),
        ("ssrc", "u4"),
        ("highest", "i4"),
        ("base", "i4"),
        ("bad", "i4"),
        ("cycles", "i8"),
        ("received", "i8"),
        ("expected_prior", "i8"),
        ("received_prior", "i8"),
    ],
    align=True,
)


@dataclass(frozen=True, eq=False)
class ReceptionTotals:
    """RFC 3550, A.3, for each leg ((legs,) int64); all 0 before a source is valid.

    Attributes
    ----------
    extended_highest
        Highest sequence number received, with the count of cycles above the 16 bits.
    expected, received
        Packets expected and received since the source became valid.
    lost
        Their difference, negative where duplicates arrived; held within a signed 24-bit number.
    """

    extended_highest: NDArray[np.int64]
    expected: NDArray[np.int64]
    received: NDArray[np.int64]
    lost: NDArray[np.int64]


class SourceValidator:
    """Follows one source per leg; a new SSRC begins a new probation.

    In probation 65535 is followed by 0; the C text of A.1 compares without wrapping there, which delays validity by
    one packet and is taken for a slip.
    """

    BYTES_PER_LEG = _STATE.itemsize

    def __init__(self, legs: int) -> None:
        self._state = np.zeros(legs, _STATE)

    def reset(self, legs: NDArray[np.int32]) -> None:
        """Forget the sources of these legs."""
        self._state[legs] = 0

    def update(self, batch: PacketBatch) -> NDArray[np.bool_]:
        """Take in a batch; return the (n,) mask of packets that A.1 calls valid, in the batch's order."""
        groups = batch.by_leg
        valid = np.ones(len(batch), bool)
        if not len(batch):
            return valid
        sequence = batch.sequence[groups.order].astype(np.int32)
        ssrc = batch.ssrc[groups.order]
        for group in np.flatnonzero(~self._take_in_order(batch, sequence, ssrc)).tolist():
            run = slice(groups.starts[group], groups.starts[group] + groups.counts[group])
            state = self._state[groups.legs[group]]
            packets = zip(sequence[run].tolist(), ssrc[run].tolist(), strict=True)
            valid[groups.order[run]] = [_step(state, number, source) for number, source in packets]
        return valid

    def _take_in_order(
        self, batch: PacketBatch, sequence: NDArray[np.int32], ssrc: NDArray[np.uint32]
    ) -> NDArray[np.bool_]:
        """Take in all legs that stay on A.1's branch "in order, with permissible gap"; return the (g,) mask."""
        groups = batch.by_leg
        legs, state = groups.legs, self._state
        previous = np.empty_like(sequence)
        previous[1:] = sequence[:-1]
        previous[groups.starts] = state["highest"][legs]
        forward = (sequence - previous) & (_CYCLE - 1) < MAX_DROPOUT
        forward &= ssrc == np.repeat(state["ssrc"][legs], groups.counts)
        settled = state["known"][legs] & (state["probation"][legs] == 0)
        in_order: NDArray[np.bool_] = np.logical_and.reduceat(forward, groups.starts) & settled
        chosen = legs[in_order]
        wraps = np.add.reduceat(sequence < previous, groups.starts, dtype=np.int64)
        state["cycles"][chosen] += _CYCLE * wraps[in_order]
        state["highest"][chosen] = sequence[groups.starts + groups.counts - 1][in_order]
        state["received"][chosen] += groups.counts[in_order]
        return in_order

    def totals(self) -> ReceptionTotals:
        """Return what A.3 computes from the state."""
        state = self._state
        is_valid = state["known"] & (state["probation"] == 0)
        extended = np.where(is_valid, state["cycles"] + state["highest"], 0)
        expected = np.where(is_valid, extended - state["base"] + 1, 0)
        received = np.where(is_valid, state["received"], 0)
        return ReceptionTotals(extended, expected, received, np.clip(expected - received, _LOWEST_LOST, _HIGHEST_LOST))

    def end_interval(self) -> NDArray[np.uint8]:
        """Return the fraction lost since the last call, in 1/256 ((legs,), 0 where nothing was lost), as A.3 does."""
        totals = self.totals()
        expected = totals.expected - self._state["expected_prior"]
        lost = expected - (totals.received - self._state["received_prior"])
        self._state["expected_prior"], self._state["received_prior"] = totals.expected, totals.received
        fraction = (np.maximum(lost, 0) << 8) // np.maximum(expected, 1)
        # All packets lost would be 256, which does not fit the 8 bits of the report.
        in_256ths: NDArray[np.uint8] = np.minimum(fraction, 255).astype(np.uint8)
        return in_256ths


def _step(state: np.void, number: int, ssrc: int) -> bool:
    """Take in one packet: ``update_seq`` of A.1, and what precedes it for a new source."""
    if not state["known"] or int(state["ssrc"]) != ssrc:
        _begin(state, number)
        state["known"], state["ssrc"], state["probation"] = True, ssrc, MIN_SEQUENTIAL
        state["highest"] = (number - 1) % _CYCLE
    step = (number - int(state["highest"])) % _CYCLE
    if state["probation"]:
        return _step_in_probation(state, number, step)
    if step < MAX_DROPOUT:
        state["cycles"] += _CYCLE * (number < state["highest"])
        state["highest"] = number
    elif step <= _CYCLE - MAX_MISORDER:
        if number != state["bad"]:
            state["bad"] = (number + 1) % _CYCLE
            return False
        # Two packets in sequence after a jump: the other side has restarted without telling.
        _begin(state, number)
    state["received"] += 1
    return True


def _step_in_probation(state: np.void, number: int, step: int) -> bool:
    state["highest"] = number
    if step != 1:
        state["probation"] = MIN_SEQUENTIAL - 1
        return False
    state["probation"] -= 1
    if state["probation"]:
        return False
    _begin(state, number)
    state["received"] += 1
    return True


def _begin(state: np.void, number: int) -> None:
    """``init_seq`` of A.1."""
    state["base"] = state["highest"] = number
    state["bad"] = _NO_BAD_SEQUENCE
    for counter in ("cycles", "received", "expected_prior", "received_prior"):
        state[counter] = 0
