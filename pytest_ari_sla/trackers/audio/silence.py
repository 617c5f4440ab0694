"""Audio that flows but is silent: calls in which one side hears nothing, although all packets arrive."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.rtp.jitter import TELEPHONE_EVENT
from pytest_ari_sla.trackers.audio.sampling import COMFORT_NOISE, decode_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.tracker import TrackerContext
    from pytest_ari_sla.metrics.histogram import Histogram
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["ENOUGH_SAMPLES", "SAMPLED_ONE_IN", "SILENCE_DBFS", "SILENCE_MEAN_SQUARE", "SilenceTracker"]

SAMPLED_ONE_IN = 16
"""Of so many packets one is listened to: about three a second."""

ENOUGH_SAMPLES = 8
"""A leg is called silent after so many: 2.5 s at 20 ms, longer than any pause in the speech that is sent."""

SILENCE_DBFS = -50.0
"""Audio softer than this, against a full-scale square wave, is silence: speech is near -20, comfort noise below -50."""

SILENCE_MEAN_SQUARE = (32768 * 10 ** (SILENCE_DBFS / 20)) ** 2
"""The same as the mean of squared samples."""


class SilenceTracker:
    """Listens to every sixteenth packet of a leg: the same ones however packets are cut into batches.

    A packet that still carries our probe carries our audio, and is not decoded: only what Asterisk has made itself,
    or coded anew, is listened to. Comfort noise is silence (RFC 3389). What is not audio of the leg's codec (another
    payload type, or bytes that it cannot decode) is neither silent nor loud: it counts for itself.
    """

    name = "silence"
    metrics = (
        Metric("audio.sampled", "count", "count", "Packets that were listened to", better="higher"),
        Metric("audio.silent", "count", "count", f"Packets listened to that were silent (below {SILENCE_DBFS:g} dBFS)"),
        Metric(
            "audio.silent_ratio",
            "ratio",
            "ratio",
            "Silent packets of those listened to; speech itself pauses in 20-40 % of them",
            numerator="audio.silent",
            denominator="audio.sampled",
        ),
        Metric(
            "audio.undecodable",
            "count",
            "count",
            "Packets chosen to be listened to that hold no audio of the leg's codec",
        ),
        Metric(
            "audio.one_way_legs", "count", "count", "Legs that heard nothing but silence, or no packet, for seconds"
        ),
    )
    BYTES_PER_LEG = 4 * 8

    def begin(self, context: TrackerContext) -> None:
        """Start without having heard anything."""
        self._codecs = context.codecs()
        self._log = context.send_log
        self._received, self._chosen, self._sampled, self._silent = np.zeros((4, context.legs), np.int64)
        self._counts: Counter[str] = Counter()

    def observe(self, batch: PacketBatch) -> None:
        """Listen to one packet of sixteen."""
        rows = self._choose(batch)
        is_probe, is_noise = batch.probe[rows] >= 0, np.isin(batch.payload_type[rows], COMFORT_NOISE)
        heard, silent = self._listen(batch, rows[~is_probe & ~is_noise])
        sampled = np.concatenate((heard, rows[is_probe | is_noise]))
        silent = np.concatenate((silent, rows[is_noise & ~is_probe]))
        for counts, counted in ((self._chosen, rows), (self._sampled, sampled), (self._silent, silent)):
            np.add.at(counts, batch.leg[counted], 1)
        self._counts["audio.sampled"] += len(sampled)
        self._counts["audio.silent"] += len(silent)
        self._counts["audio.undecodable"] += len(rows) - len(sampled)

    def _choose(self, batch: PacketBatch) -> NDArray[np.intp]:
        groups = batch.by_leg
        # Plus a row's place among the sorted ones, this is its number in its leg's stream.
        first = self._received[groups.legs] - groups.starts
        is_chosen = (np.repeat(first, groups.counts) + np.arange(len(batch))) % SAMPLED_ONE_IN == 0
        self._received[groups.legs] += groups.counts
        # In order of arrival again: codecs with a memory are decoded in it.
        rows = np.sort(groups.order[is_chosen])
        audible: NDArray[np.intp] = rows[batch.payload_type[rows] != TELEPHONE_EVENT]
        return audible

    def _listen(self, batch: PacketBatch, rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows that hold audio, and those of them that are silent."""
        heard, silent = [rows[:0]], [rows[:0]]
        for codec, legs in self._codecs:
            for decoded, samples in decode_rows(codec, batch, rows[legs[batch.leg[rows]]]):
                mean_square = np.square(samples, dtype=np.float64).mean(axis=1)
                heard.append(decoded)
                silent.append(decoded[mean_square < SILENCE_MEAN_SQUARE])
        return np.concatenate(heard), np.concatenate(silent)

    def advance(self, now_ns: int) -> None:
        """Silence is judged at a leg's end."""

    def release(self, legs: NDArray[np.int32]) -> None:
        """Judge these legs: whether, in all their time, they heard anything."""
        heard_silence = (self._sampled >= ENOUGH_SAMPLES) & (self._silent == self._sampled)
        heard_nothing = (self._chosen == 0) & (self._log.sent() >= ENOUGH_SAMPLES * SAMPLED_ONE_IN)
        self._counts["audio.one_way_legs"] += int((heard_silence | heard_nothing)[legs].sum())
        for count in (self._received, self._chosen, self._sampled, self._silent):
            count[legs] = 0

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return all counts since :meth:`begin`."""
        return {metric.name: self._counts[metric.name] for metric in self.metrics if metric.kind == "count"}

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Return the share of silent packets that each leg heard; NaN where none was listened to."""
        unknown = np.full(len(self._sampled), np.nan)
        return {"audio.silent_ratio": np.divide(self._silent, self._sampled, out=unknown, where=self._sampled > 0)}
