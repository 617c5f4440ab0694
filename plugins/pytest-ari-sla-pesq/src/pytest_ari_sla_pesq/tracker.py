"""The tracker: PESQ of a few legs at a time, taking turns among all legs of a load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.metrics.catalogue import Metric
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla_pesq.recorder import Recorder, Recording, WindowShape
from pytest_ari_sla_pesq.scoring import Scorer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs import TrackerContext
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["PesqTracker"]

PATIENCE_NS = 1_000_000_000
STEP = 0.001

METRICS = {
    mode: Metric(
        f"pesq.{mode}",
        "distribution",
        "mos",
        f"Speech quality of sampled legs, PESQ {band} (MOS-LQO)",
        better="higher",
        resolution=STEP,
    )
    for mode, band in {"nb": "narrow band, ITU-T P.862.1", "wb": "wide band, ITU-T P.862.2"}.items()
}


class PesqTracker:
    """Scores windows of speech by PESQ.

    PESQ costs about 10 ms of CPU per second of audio. So a few legs are recorded at a time, and the others take their
    turns.

    Parameters
    ----------
    slots
        How many legs are recorded at a time; each costs about 1 % of a core.
    window_s
        Length of a window. P.862.3 advises 8 to 12 s.
    least_s
        The shortest call that is scored: P.862.3 wants 3.2 s of speech.
    playout_ms
        Depth of the jitter buffer that is assumed: packets that come later than this are not heard.
    """

    name = "pesq"
    metrics: Sequence[Metric] = tuple(METRICS.values())

    def __init__(self, slots: int = 4, window_s: float = 8.0, least_s: float = 4.0, playout_ms: float = 60.0) -> None:
        self._slots = slots
        self._window_s = window_s
        self._least_s = least_s
        self._playout_ns = round(playout_ms * 1e6)
        self._scores = {metric.name: Histogram() for metric in self.metrics}
        self._recorder: Recorder | None = None
        self._waiting: list[Recording] = []

    def begin(self, context: TrackerContext) -> None:
        """Prepare to record; without knowing what is sent there is nothing to compare with, and nothing is scored."""
        self._scores = {metric.name: Histogram() for metric in self.metrics}
        self._waiting = []
        self._recorder = None
        if context.frames is None:
            return
        packet_time_ms = context.packet_time_ns // 1_000_000
        received = context.received_codec
        silence = np.zeros(received.sample_rate_hz * packet_time_ms // 1000, np.int16)
        shape = WindowShape(
            packets=round(self._window_s * 1000 / packet_time_ms),
            width=received.encode(silence, packet_time_ms).shape[1],
            packet_time_ns=context.packet_time_ns,
            ticks=received.clock_rate_hz * packet_time_ms // 1000,
        )
        self._least_packets = round(self._least_s * 1000 / packet_time_ms)
        self._recorder = Recorder(context.legs, self._slots, shape, context.send_log)
        self._scorer = Scorer(context.frames, context.codec, received, self._playout_ns)

    def observe(self, batch: PacketBatch) -> None:
        """Record the packets of the legs whose turn it is."""
        if self._recorder is not None:
            self._recorder.observe(batch)

    def advance(self, now_ns: int) -> None:
        """Score the windows that are complete."""
        if self._recorder is None:
            return
        recordings = self._waiting + self._recorder.finished(now_ns, PATIENCE_NS)
        self._waiting = []
        for recording in recordings:
            score = self._scorer.score(recording)
            if score is not None:
                self._scores[f"pesq.{self._scorer.mode}"].record_one(round(score / STEP))

    def release(self, legs: NDArray[np.int32]) -> None:
        """Keep what was recorded of calls that end, if it is long enough, to be scored at the next advance."""
        if self._recorder is not None:
            self._waiting += self._recorder.release(legs, self._least_packets)

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return the scores so far."""
        return dict(self._scores)

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Most legs are not scored, so nothing is said of single ones."""
        return {}
