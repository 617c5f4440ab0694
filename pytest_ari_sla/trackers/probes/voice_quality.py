"""Voice quality of every leg by the E-model, as a listener behind a simple jitter buffer would have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.metrics.voice_quality import burst_ratio, rate
from pytest_ari_sla.rtp.loss_patterns import LossPatterns
from pytest_ari_sla.trackers.probes.probe_ring import ProbeRing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.tracker import TrackerContext
    from pytest_ari_sla.rtp.packet_batch import PacketBatch
    from pytest_ari_sla.trackers.probes.probe_ring import Settlement

__all__ = ["JITTER_BUFFER_NS", "VoiceQualityTracker"]

JITTER_BUFFER_NS = 60_000_000
"""Depth of the simulated jitter buffer."""

_RESOLUTION = 1e-3
_UNKNOWN = -1


class VoiceQualityTracker:
    """Rates each leg once, when it is released: conversational MOS from delay, loss and how loss clusters.

    A fixed jitter buffer is simulated. The leg's first packet fixes when packets are played: its own delay plus the
    buffer's depth after they were sent. A packet that comes later is discarded, which sounds like loss, and counts so.
    The delay from mouth to ear is taken over the call: the mean way of all packets played (half of it for an echo,
    which travels both ways), the buffer's depth and the packet time. Time that this generator lost before sending does
    not count.

    What a score is the quality of depends on what the leg hears. Where it hears another leg (``pair``), of that one
    direction. Where it hears itself (``echo``, ``relay``), of a loop: what is lost or discarded on both ways together,
    which is worse than either way, at the delay of one.

    Legs that hear no probes, and codecs without impairment values, are not rated: a guess would look like a result.

    Parameters
    ----------
    jitter_buffer_ns
        Depth of the jitter buffer.
    """

    name = "voice_quality"
    metrics = (
        Metric(
            "mos",
            "distribution",
            "mos",
            "Mean opinion score of a leg: of one direction in a pair; of both ways' loss at one way's delay in an echo "
            "or relay, which tells neither way apart",
            better="higher",
            resolution=_RESOLUTION,
            judges_loss=True,
            error_bound="0.002",
            oracle="own arithmetic over a capture of the same load, tests/oracles/test_media.py",
            source="ITU-T G.107 reduced: MOS-CQ, delay by Cole-Rosenbluth, jitter buffer"
            f" {JITTER_BUFFER_NS // 1_000_000} ms",
            prominent=True,
            # The console and the summary have a line of their own for it.
            places=("tile",),
            rank=110,
            title="Voice quality (MOS)",
            label="Voice (MOS)",
        ),
    )

    def __init__(self, jitter_buffer_ns: int = JITTER_BUFFER_NS) -> None:
        self._buffer_ns = jitter_buffer_ns

    def begin(self, context: TrackerContext) -> None:
        """Allocate a mark per probe of the window, for each leg."""
        self._codecs = [(codec.impairment, legs) for codec, legs in context.codecs() if codec.impairment is not None]
        self._heard = context.heard_leg
        self._echoes = context.heard_leg == np.arange(context.legs)
        self._packet_time_ns = context.packet_time_ns
        self._ring = ProbeRing(context)
        self._patterns = LossPatterns(context.legs)
        self._first_delay_ns = np.full(context.legs, _UNKNOWN, np.int64)
        # Packets sent, packets not played, and runs of the latter.
        self._sent, self._unplayed, self._runs = np.zeros((3, context.legs), np.int64)
        # Packets played, and the sum of their delays.
        self._played, self._delays_ns = np.zeros((2, context.legs), np.int64)
        self._histogram = Histogram()

    @staticmethod
    def bytes_per_leg(probe_window: int) -> int:
        """Return the memory that a leg takes here."""
        return ProbeRing.bytes_per_leg(probe_window) + LossPatterns.BYTES_PER_LEG + 6 * 8 + 1

    def observe(self, batch: PacketBatch) -> None:
        """Mark the probes that are played."""
        if not len(batch) or not self._codecs:
            return
        if self._ring.lacks_room(batch):
            self._take(self._ring.make_room(batch))
        delay_ns = batch.arrival_ns - batch.sent_ns
        # A misrouted packet is somebody else's speech, and no part of this leg's.
        is_timed = (batch.source_leg == self._heard[batch.leg]) & (batch.sent_ns > 0)
        self._fix_play_out(batch.leg, delay_ns, is_timed)
        is_played = is_timed & (delay_ns <= self._first_delay_ns[batch.leg] + self._buffer_ns)
        played = self._ring.arrive(batch, is_played).first
        np.add.at(self._played, batch.leg[played], 1)
        np.add.at(self._delays_ns, batch.leg[played], np.maximum(delay_ns[played], 0))

    def _fix_play_out(self, legs: NDArray[np.int32], delay_ns: NDArray[np.int64], is_timed: NDArray[np.bool_]) -> None:
        rows = np.flatnonzero(is_timed & (self._first_delay_ns[legs] == _UNKNOWN))[::-1]
        # Of several rows of a leg, the last assignment stands: in reverse order, the first packet's.
        # Not below 0, or it would read as unknown.
        self._first_delay_ns[legs[rows]] = np.maximum(delay_ns[rows], 0)

    def advance(self, now_ns: int) -> None:
        """Decide on the probes that were due a loss limit ago."""
        if self._codecs:
            self._take(self._ring.settle(now_ns))

    def release(self, legs: NDArray[np.int32]) -> None:
        """Rate these legs, and forget them."""
        if not self._codecs:
            return
        self._take(self._ring.release(legs))
        mos = self._mos(legs)
        self._histogram.record(np.rint(mos[~np.isnan(mos)] / _RESOLUTION).astype(np.int64))
        self._patterns.reset(legs)
        self._first_delay_ns[legs] = _UNKNOWN
        for count in (self._sent, self._unplayed, self._runs, self._played, self._delays_ns):
            count[legs] = 0

    def _take(self, settlement: Settlement) -> None:
        spread = self._patterns.update(settlement.lost_legs, settlement.lost_positions)
        self._sent += settlement.sent
        self._unplayed += settlement.lost()
        self._runs += np.bincount(settlement.lost_legs[spread.opens_period], minlength=len(self._runs))

    def _mos(self, legs: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the score so far of (n,) legs, NaN where there is nothing to rate."""
        sent, unplayed, first_ns = self._sent[legs], self._unplayed[legs], self._first_delay_ns[legs]
        played = self._played[legs]
        # Where nothing was played in time, there is the first packet's delay at least.
        delay_ns = np.where(played > 0, self._delays_ns[legs] / np.maximum(played, 1), first_ns)
        way_ns = np.where(self._echoes[legs], delay_ns / 2, delay_ns)
        delay_ms = (way_ns + self._buffer_ns + self._packet_time_ns) / 1e6
        burst = burst_ratio(sent, unplayed, self._runs[legs])
        is_known = (sent > 0) & (first_ns != _UNKNOWN)
        mos = np.full(len(legs), np.nan)
        for impairment, is_of_codec in self._codecs:
            quality = rate(impairment, 100 * unplayed / np.maximum(sent, 1), burst, delay_ms)
            mos = np.where(is_known & is_of_codec[legs], quality.mos, mos)
        return mos

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return the scores of all legs released since :meth:`begin`."""
        return {"mos": self._histogram.copy()}

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Return each leg's score so far."""
        return {"mos": self._mos(np.arange(len(self._sent), dtype=np.int32))}
