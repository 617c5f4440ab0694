"""How long audio takes through a transcoder: recognised by its sound, since nothing else of it survives.

Every leg plays its loop of speech (``TrackerContext.voices``), beginning at a time of its own. A second of what a leg
receives is decoded and looked up in the loop; its place there tells when it was sent, and where several legs speak in
turn, also by whom. The delay is from when the packet that held a sound was due until the packet that holds it now
arrived: transport and transcoding, but neither our packet time nor anybody's jitter buffer, so that it compares with
the round trip of a path without coding. What filters delay is part of it: 5 ms where Asterisk changes the sample rate.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.rtp.jitter import TELEPHONE_EVENT
from pytest_ari_sla.rtp.packet_batch import PacketBatch
from pytest_ari_sla.trackers.audio.sampling import decode_rows
from pytest_ari_sla.trackers.audio.search import SEARCH_RATE_HZ, to_search_rate
from pytest_ari_sla.trackers.audio.talkers import LEAST_LIKENESS, Talkers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.codec import Codec
    from pytest_ari_sla.hookspecs.tracker import TrackerContext

__all__ = ["ENOUGH_WINDOWS", "LEGS_AT_A_TIME", "WINDOW_NS", "MouthToEarTracker"]

WINDOW_NS = 1_000_000_000
"""How much audio is looked up: longer than the pauses of speech."""

LEGS_AT_A_TIME = 4
"""So many legs are listened to during one window, then the next ones: a look-up takes some milliseconds."""

ENOUGH_WINDOWS = 2
"""A leg that spoke in so many windows, and was recognised in none, is not heard."""

_LEAST_SAMPLES = SEARCH_RATE_HZ * WINDOW_NS // 1_000_000_000 // 2


_ORACLE = "the correlation of what a capture of the same load holds, tests/oracles/test_audio.py"


class MouthToEarTracker:
    """Listens to legs that hear others' audio but no probes (``TrackerContext.audio_legs``), a few at a time."""

    name = "mouth_to_ear"
    metrics = (
        Metric(
            "mouth_to_ear",
            "distribution",
            "s",
            "From when audio is sent until it is heard, through a transcoder",
            error_bound="2 ms",
            oracle=_ORACLE,
            prominent=True,
            places=("summary",),
            rank=60,
            title="From mouth to ear",
            compared=("p50",),
        ),
        Metric(
            "content.recognised",
            "count",
            "count",
            "Seconds of audio that were found in what was sent",
            "higher",
            oracle=_ORACLE,
        ),
        Metric(
            "content.unrecognised",
            "count",
            "count",
            "Seconds of audio that are nothing like what was sent",
            oracle=_ORACLE,
        ),
        Metric("content.unheard", "count", "count", "Legs that another leg should have heard speaking, and never did"),
    )

    BYTES_PER_LEG = 3 * 4 + 8 + 1

    def begin(self, context: TrackerContext) -> None:
        """Decode what is sent, if there are legs to listen to."""
        self._log = context.send_log
        self._voices = context.voices
        self._voice_of_leg = context.voice_of_leg
        self._counts: Counter[str] = Counter()
        self._histogram = Histogram()
        self._latest_ns = np.full(context.legs, np.nan)
        self._audible = np.full((context.legs, 1), -1, np.int32)
        if context.audio_legs is not None:
            self._audible = np.where(context.heard_leg[:, np.newaxis] < 0, context.audio_legs, np.int32(-1))
        # Of each leg that can be heard: in how many windows it spoke, and in how many it was recognised.
        self._spoken, self._recognised = np.zeros((2, *self._audible.shape), np.int32)
        self._is_listened = np.zeros(context.legs, np.bool_)
        self._heard: list[PacketBatch] = []
        self._window_end_ns = self._next_leg = 0
        self._talkers = Talkers(context.voices) if (self._audible >= 0).any() else None
        self._loop_ns = [len(voice.frames) * context.packet_time_ns for voice in context.voices]

    def observe(self, batch: PacketBatch) -> None:
        """Keep what the legs that are listened to receive."""
        if self._talkers is None:
            return
        # All packets of a pressed key have one time stamp: they would shift when audio seems to have come.
        is_audio = self._is_listened[batch.leg] & (batch.payload_type != TELEPHONE_EVENT)
        rows = np.flatnonzero(is_audio & (batch.arrival_ns < self._window_end_ns))
        if len(rows):
            # Row numbers select copies, which outlive the batch.
            self._heard.append(batch.select(rows))

    def advance(self, now_ns: int) -> None:
        """Look the window up, when it is over, and turn to the next legs."""
        if self._talkers is None or now_ns < self._window_end_ns:
            return
        start_ns = self._log.audio_start_ns()
        for batch in self._heard_by_leg():
            self._look_up(self._talkers, batch, start_ns)
        self._heard.clear()
        self._is_listened[:] = False
        self._is_listened[self._next_legs()] = True
        # From now on: a look-up that took long must not shorten the next window.
        self._window_end_ns = now_ns + WINDOW_NS

    def _next_legs(self) -> NDArray[np.intp]:
        """Return the legs whose turn it is, of those that hear a leg which has begun to send."""
        has_begun = self._log.audio_start_ns() > 0
        # The index -1 reads the last leg, which the first condition takes out again.
        begun = np.flatnonzero(((self._audible >= 0) & has_begun[self._audible]).any(axis=1))
        turn = np.concatenate((begun[begun >= self._next_leg], begun[begun < self._next_leg]))[:LEGS_AT_A_TIME]
        self._next_leg = int(turn[-1]) + 1 if len(turn) else 0
        return turn

    def _look_up(self, talkers: Talkers, batch: PacketBatch, start_ns: NDArray[np.int64]) -> None:
        """Look up what one leg has heard; ``start_ns`` ((legs,)) is when each leg began to speak."""
        leg = int(batch.leg[0])
        codec = self._voices[self._voice_of_leg[leg]].codec
        arrived_ns, piece = _played(codec, batch)
        sources = [source for source in self._audible[leg].tolist() if source >= 0 and start_ns[source]]
        if len(piece) < _LEAST_SAMPLES or not sources:
            return
        voices = self._voice_of_leg[sources].tolist()
        now = (arrived_ns - int(start_ns[sources[0]])) * SEARCH_RATE_HZ // 1_000_000_000
        expected = talkers.speaking(voices, now, len(piece))
        if expected is None:
            return
        # Where several speak in turn, the listener's own turn has its place in the loop.
        together = {*voices, int(self._voice_of_leg[leg])} if len(voices) > 1 else voices
        position, likeness = talkers.find(together, piece)
        heard = talkers.heard(voices, position, piece) if likeness >= LEAST_LIKENESS else None
        self._counts["content.unrecognised" if heard is None else "content.recognised"] += 1
        place = self._audible[leg].tolist().index(sources[expected])
        self._spoken[leg, place] += 1
        self._recognised[leg, place] += heard == expected
        if heard is not None:
            sent_ns = int(start_ns[sources[heard]]) + position * 1_000_000_000 // SEARCH_RATE_HZ
            # A loop sounds the same in each turn: a delay is known up to its length.
            self._record(leg, (arrived_ns - sent_ns) % self._loop_ns[voices[heard]])

    def _record(self, leg: int, delay_ns: int) -> None:
        self._latest_ns[leg] = delay_ns
        self._histogram.record_one(delay_ns)

    def _heard_by_leg(self) -> list[PacketBatch]:
        """Return what each leg has heard, in order of arrival."""
        if not self._heard:
            return []
        heard = PacketBatch.concatenate(self._heard)
        by_leg = [heard.select(heard.leg == leg) for leg in np.flatnonzero(self._is_listened)]
        return [packets for packets in by_leg if len(packets)]

    def release(self, legs: NDArray[np.int32]) -> None:
        """Stop listening to these legs, and judge whom they have heard."""
        never = (self._spoken[legs] >= ENOUGH_WINDOWS) & (self._recognised[legs] == 0)
        self._counts["content.unheard"] += int(never.sum())
        self._is_listened[legs] = False
        self._latest_ns[legs] = np.nan
        self._spoken[legs] = self._recognised[legs] = 0

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return all delays found since :meth:`begin`, and how many windows held our audio."""
        counts = {metric.name: self._counts[metric.name] for metric in self.metrics if metric.kind == "count"}
        return {"mouth_to_ear": self._histogram.copy(), **counts}

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Return each leg's delay as found last, in s."""
        return {"mouth_to_ear": self._latest_ns / 1e9}


def _played(codec: Codec, batch: PacketBatch) -> tuple[int, NDArray[np.float64]]:
    """Return when a leg's audio arrived, as the ns of its first sample, and the audio itself, gaps being silence.

    The packets' places are told by their time stamps. Of all packets' arrivals the median counts, so that jitter
    does not show.
    """
    rate_hz, clock_hz = codec.sample_rate_hz, codec.clock_rate_hz
    ticks = (batch.timestamp - batch.timestamp[0]).view(np.int32).astype(np.int64)
    # A stamp that jumps, with another source or without, would make a gap of hours.
    is_near = np.abs(ticks - np.sort(ticks)[len(ticks) // 2]) <= clock_hz * WINDOW_NS // 1_000_000_000
    batch, ticks = batch.select(is_near), ticks[is_near] - ticks[is_near].min()
    played = np.zeros(0, np.int16)
    for rows, samples in decode_rows(codec, batch, np.arange(len(batch))):
        places = (ticks[rows] * rate_hz // clock_hz)[:, np.newaxis] + np.arange(samples.shape[1])
        played = np.append(played, np.zeros(max(int(places.max()) + 1 - len(played), 0), np.int16))
        played[places] = samples
    arrived_ns = int(np.median(batch.arrival_ns - batch.arrival_ns[0] - ticks * 1_000_000_000 // clock_hz))
    return int(batch.arrival_ns[0]) + arrived_ns, to_search_rate(played, rate_hz)
