"""The tracker: PESQ of a few legs at a time, taking turns among all legs of a load."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla import Histogram, Metric
from pytest_ari_sla_pesq.recorder import Recorder, Recording, WindowShape
from pytest_ari_sla_pesq.scoring import Scorer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla import PacketBatch, TrackerContext

__all__ = ["PesqTracker"]

PATIENCE_NS = 1_000_000_000  # packets that come later still are beyond any jitter buffer
STEP = 0.001  # histograms hold whole numbers: thousandths of a MOS

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


@dataclass(eq=False)
class _Booth:
    """Where legs are recorded that hear one voice in one codec.

    Attributes
    ----------
    legs
        (all legs,) bool. Which legs these are.
    recorder, scorer
        What records and scores them.
    least_packets
        The shortest recording that is scored.
    waiting
        Recordings of calls that have ended, to be scored.
    """

    legs: NDArray[np.bool_]
    recorder: Recorder
    scorer: Scorer
    least_packets: int
    waiting: list[Recording] = field(default_factory=list)


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
        self._booths: list[_Booth] = []

    def begin(self, context: TrackerContext) -> None:
        """Prepare to record, apart from each other, legs that hear other codecs or other voices."""
        self._scores = {metric.name: Histogram() for metric in self.metrics}
        self._booths = [self._booth(context, *pair) for pair in sorted({pair for pair in _pairs(context) if pair})]

    def _booth(self, context: TrackerContext, listening: int, speaking: int) -> _Booth:
        """Return where legs of one voice are recorded that hear another one."""
        packet_time_ms = context.packet_time_ns // 1_000_000
        received, spoken = context.voices[listening].codec, context.voices[speaking]
        # A codec does not tell its packets' length: one packet of it does.
        silence = np.zeros(received.sample_rate_hz * packet_time_ms // 1000, np.int16)
        shape = WindowShape(
            packets=round(self._window_s * 1000 / packet_time_ms),
            width=received.encode(silence, packet_time_ms).shape[1],
            packet_time_ns=context.packet_time_ns,
            ticks=received.clock_rate_hz * packet_time_ms // 1000,
        )
        return _Booth(
            legs=np.array([pair == (listening, speaking) for pair in _pairs(context)]),
            recorder=Recorder(context.legs, self._slots, shape, context.send_log),
            scorer=Scorer(spoken.frames, spoken.codec, received, self._playout_ns),
            least_packets=round(self._least_s * 1000 / packet_time_ms),
        )

    def observe(self, batch: PacketBatch) -> None:
        """Record the packets of the legs whose turn it is."""
        for booth in self._booths:
            # A selection copies the batch: not where all legs are of one booth.
            booth.recorder.observe(batch if booth.legs.all() else batch.select(booth.legs[batch.leg]))

    def advance(self, now_ns: int) -> None:
        """Score the windows that are complete."""
        for booth in self._booths:
            recordings = booth.waiting + booth.recorder.finished(now_ns, PATIENCE_NS)
            booth.waiting = []
            for recording in recordings:
                # PESQ is slow: scored once a second, not while a batch is taken in.
                score = booth.scorer.score(recording)
                if score is not None:
                    self._scores[f"pesq.{booth.scorer.mode}"].record_one(round(score / STEP))

    def release(self, legs: NDArray[np.int32]) -> None:
        """Keep what was recorded of calls that end, if it is long enough, to be scored at the next advance."""
        for booth in self._booths:
            booth.waiting += booth.recorder.release(legs, booth.least_packets)

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return the scores so far."""
        return dict(self._scores)

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Most legs are not scored, so nothing is said of single ones."""
        return {}


def _pairs(context: TrackerContext) -> list[tuple[int, int] | None]:
    """Return, for each leg, its own voice and the one that it hears; None where that is unknown, or more than one."""
    audible = context.heard_leg[:, np.newaxis] if context.audio_legs is None else context.audio_legs
    heard = [[other for other in row if other >= 0] for row in audible.tolist()]
    voices = context.voice_of_leg.tolist()
    return [(voices[leg], voices[row[0]]) if len(row) == 1 else None for leg, row in enumerate(heard)]
