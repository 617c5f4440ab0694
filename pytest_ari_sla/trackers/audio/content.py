"""Whether what comes back is what was sent, byte for byte: where Asterisk has no reason to touch the audio."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.rtp.probe import PROBE_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.tracker import TrackerContext
    from pytest_ari_sla.metrics.histogram import Histogram
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["CHECKED_ONE_IN", "ContentTracker"]

CHECKED_ONE_IN = 8
"""Of so many probes, one has its audio compared."""


class ContentTracker:
    """Compares the audio behind a probe with the frame that was sent with it.

    A probe that came back proves its own 16 bytes only. Behind them a payload can still be cut, padded, or mixed with
    another one. Legs that hear no probes are left out: there, audio is coded anew
    (:mod:`pytest_ari_sla.trackers.audio.mouth_to_ear` finds it by its sound).
    """

    name = "content"
    metrics = (
        Metric("content.checked", "count", "count", "Packets whose audio was compared with what was sent", "higher"),
        Metric("content.altered", "count", "count", "Packets that came back with other audio, or another length"),
        Metric(
            "content.altered_ratio",
            "ratio",
            "ratio",
            "Altered packets of those compared",
            numerator="content.altered",
            denominator="content.checked",
        ),
    )
    BYTES_PER_LEG = 8

    def begin(self, context: TrackerContext) -> None:
        """Take note of what is sent; without that, nothing is compared."""
        self._heard = context.heard_leg
        self._voices = context.voices
        self._voice_of_leg = context.voice_of_leg
        self._log = context.send_log
        self._packet_time_ns = context.packet_time_ns
        self._altered = np.zeros(context.legs, np.int64)
        self._counts: Counter[str] = Counter()

    def observe(self, batch: PacketBatch) -> None:
        """Compare one packet of eight."""
        # Where the send log has forgotten a probe, nobody knows which frame it carried.
        is_chosen = (batch.intended_ns > 0) & (batch.probe % CHECKED_ONE_IN == 0)
        chosen = np.flatnonzero(is_chosen & (batch.source_leg == self._heard[batch.leg]))
        spoken = self._voice_of_leg[batch.source_leg[chosen]]
        for number, voice in enumerate(self._voices):
            self._compare(batch, chosen[spoken == number], voice.frames)

    def _compare(self, batch: PacketBatch, rows: NDArray[np.intp], frames: NDArray[np.uint8]) -> None:
        altered = rows[self._is_altered(batch, rows, frames)]
        np.add.at(self._altered, batch.leg[altered], 1)
        self._counts["content.checked"] += len(rows)
        self._counts["content.altered"] += len(altered)

    def _is_altered(self, batch: PacketBatch, rows: NDArray[np.intp], frames: NDArray[np.uint8]) -> NDArray[np.bool_]:
        length = frames.shape[1]
        # Rows that are narrower than a frame hold none that is whole.
        if batch.payload.shape[1] < length:
            return np.ones(len(rows), np.bool_)
        since_ns = batch.intended_ns[rows] - self._log.audio_start_ns()[batch.source_leg[rows]]
        turn = (since_ns + self._packet_time_ns // 2) // self._packet_time_ns
        sent = frames[turn % len(frames), PROBE_BYTES:]
        differs: NDArray[np.bool_] = (batch.payload[rows, PROBE_BYTES:length] != sent).any(axis=1)
        differs |= batch.payload_length[rows] != length
        return differs

    def advance(self, now_ns: int) -> None:
        """Content does not depend on the time."""

    def release(self, legs: NDArray[np.int32]) -> None:
        """Forget what these legs have heard."""
        self._altered[legs] = 0

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return all counts since :meth:`begin`."""
        return {metric.name: self._counts[metric.name] for metric in self.metrics if metric.kind == "count"}

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Return how many altered packets each leg has heard."""
        return {"content.altered": self._altered.astype(np.float64)}
