from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from pytest_ari_sla_pesq.tracker import PesqTracker

from pytest_ari_sla import Codec, Histogram, Tracker, TrackerContext, Voice
from pytest_ari_sla.codecs.g711 import pcma, pcmu
from pytest_ari_sla.codecs.g722 import G722Codec
from pytest_ari_sla.codecs.gsm import GsmCodec
from pytest_ari_sla.peers.echo.impairment import Impairment
from pytest_ari_sla.rtp.probe import PROBE_BYTES
from pytest_ari_sla.testing import EchoedStreams, TrackerContract

TEN_SECONDS = 500
MS = 1_000_000


class TestPesq(TrackerContract):
    """The tracker keeps the contract of all trackers, but samples legs instead of measuring each."""

    adds_up_over_legs: ClassVar[bool] = False

    @pytest.fixture
    def tracker(self) -> Tracker:
        """Score windows of two seconds, so that the contract's short streams fill some."""
        return PesqTracker(window_s=2.0, least_s=1.0)


def scores(streams: EchoedStreams, mode: str = "nb", tracker: PesqTracker | None = None) -> Histogram:
    """Return the distribution of the scores of some streams."""
    tracker = tracker or PesqTracker()
    tracker.begin(streams.context)
    streams.replay(tracker)
    kept = tracker.snapshot()[f"pesq.{mode}"]
    assert isinstance(kept, Histogram)
    return kept


def mean_score(impairment: Impairment | None = None, codec: Codec | None = None) -> float:
    """Return the mean score of four legs of ten seconds."""
    return scores(EchoedStreams(legs=4, packets=TEN_SECONDS, impairment=impairment, codec=codec)).mean / 1000


def test_an_untouched_stream_has_the_highest_score_there_is() -> None:
    """Probes in the payload cost nothing: they are ours, and are taken out before scoring."""
    kept = scores(EchoedStreams(legs=4, packets=TEN_SECONDS))
    assert (kept.count, kept.min, kept.max) == (4, 4549, 4549)


def test_wideband_codecs_are_scored_on_the_wideband_scale() -> None:
    """G.722 is compared by P.862.2, whose best score is 4.644."""
    streams = EchoedStreams(legs=2, packets=TEN_SECONDS, codec=G722Codec())
    assert scores(streams, "wb").min == 4644
    assert scores(EchoedStreams(legs=2, packets=TEN_SECONDS, codec=G722Codec()), "nb").count == 0


def test_more_loss_sounds_worse() -> None:
    """Scores fall with each step of loss, over the whole range that matters."""
    falling = [mean_score(Impairment(loss=loss, seed=4)) for loss in (0.0, 0.01, 0.05, 0.2)]
    assert falling == sorted(falling, reverse=True)
    assert falling[1] < 4.4
    assert falling[3] < 2.5


def test_jitter_within_the_buffer_is_not_heard() -> None:
    """Packets that come 40 ms late still play; with more than the buffer holds they are lost to the ear."""
    assert mean_score(Impairment(delay_ns=20 * MS, jitter_ns=20 * MS)) == pytest.approx(4.549)
    assert mean_score(Impairment(delay_ns=80 * MS, jitter_ns=80 * MS)) < 3.0


def test_a_short_call_is_scored_when_it_ends() -> None:
    """A call of five seconds never fills a window of eight; its five seconds are scored."""
    streams = EchoedStreams(legs=1, packets=250)
    tracker = PesqTracker()
    tracker.begin(streams.context)
    tracker.observe(streams.received)
    streams.release(tracker)
    tracker.advance(streams.clock.advance(5_000 * MS))
    kept = tracker.snapshot()["pesq.nb"]
    assert isinstance(kept, Histogram)
    assert (kept.count, kept.min) == (1, 4549)


def test_a_call_too_short_for_a_score_has_none() -> None:
    """Under four seconds there is too little speech for P.862."""
    streams = EchoedStreams(legs=1, packets=150)
    tracker = PesqTracker()
    tracker.begin(streams.context)
    tracker.observe(streams.received)
    streams.release(tracker)
    tracker.advance(streams.clock.advance(5_000 * MS))
    kept = tracker.snapshot()["pesq.nb"]
    assert isinstance(kept, Histogram)
    assert kept.count == 0


def test_legs_join_audio_that_began_before_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leg's first packet carries whatever frame it is the turn of; the score is that of an untouched stream."""
    streams = EchoedStreams(legs=2, packets=TEN_SECONDS)
    earlier_ns = 37 * streams.context.packet_time_ns
    begin_ns = streams.send_log.first_ns - earlier_ns
    monkeypatch.setattr(streams.send_log, "audio_start_ns", lambda: begin_ns)
    turned = streams.frames[(streams.received.probe + 37) % len(streams.frames), PROBE_BYTES:]
    streams.received.payload[:, PROBE_BYTES:] = turned
    assert scores(streams).min == 4549


def test_all_legs_take_their_turn() -> None:
    """With one slot and calls of half a minute, three legs are scored one after the other."""
    streams = EchoedStreams(legs=3, packets=1500)
    assert scores(streams, tracker=PesqTracker(slots=1)).count == 3


class Transcoded(EchoedStreams):
    """Streams that Asterisk has decoded and encoded again: no probes, another codec, and a delay."""

    def __init__(self, codec: Codec, heard: Codec, legs: int) -> None:
        super().__init__(legs, TEN_SECONDS, codec=codec)
        self.heard = heard
        audio = np.tile(codec.decode(self.frames), 5)
        payload = heard.encode(np.roll(audio, 137), self.packet_time_ms)[self.received.probe]
        nobody = np.full(len(payload), -1)
        self.received = replace(
            self.received,
            payload=payload,
            payload_length=np.full(len(payload), payload.shape[1], np.int32),
            probe=nobody,
            source_leg=nobody.astype(np.int32),
        )

    @property
    def context(self) -> TrackerContext:
        """The context of a transcoded load: one more leg, of the other codec, is what all legs hear."""
        context = super().context
        voice = Voice(self.heard, self.heard.encode(self.codec.decode(self.frames), self.packet_time_ms))
        speaker = context.legs
        return replace(
            context,
            legs=speaker + 1,
            heard_leg=np.full(speaker + 1, -1, np.int32),
            voices=(voice, *context.voices),
            voice_of_leg=np.array([0] * speaker + [1], np.int32),
            audio_legs=np.array([[speaker]] * speaker + [[-1]], np.int32),
        )


@pytest.mark.parametrize(("heard", "at_least", "below"), [(pcma(), 4.2, 4.549), (GsmCodec(), 2.5, 4.2)])
def test_transcoding_is_heard(heard: Codec, at_least: float, below: float) -> None:
    """µ-law to A-law costs a little, µ-law to GSM costs much; where the audio begins in the loop is found."""
    kept = scores(Transcoded(pcmu(), heard, legs=2))
    assert kept.count == 2
    assert at_least < kept.min / 1000 < below


def test_silence_has_the_lowest_score() -> None:
    """A leg that gets packets, but no sound, is as bad as it can be."""
    streams = Transcoded(pcmu(), pcma(), legs=1)
    streams.received.payload[:] = pcma().encode(np.zeros(160, np.int16), 20)[0]
    assert scores(streams).max <= 1500


def test_nothing_is_scored_where_several_are_heard() -> None:
    """Without one reference there is no PESQ, and a threshold on it fails for lack of samples."""
    streams = EchoedStreams(legs=2, packets=TEN_SECONDS)
    tracker = PesqTracker()
    tracker.begin(replace(streams.context, audio_legs=np.array([[0, 1], [1, 0]], np.int32)))
    streams.replay(tracker)
    assert all(kept == Histogram() for kept in tracker.snapshot().values())
