import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.capture import call_audio
from pytest_ari_sla.capture.call_audio import stereo, write_wav
from pytest_ari_sla.capture.kept_packets import CapturedPackets, CapturedStream
from pytest_ari_sla.codecs.g711 import mulaw_to_linear, pcma, pcmu
from pytest_ari_sla.rtp.header import RTP_HEADER
from tests.unit.batches import START_NS

FRAME_NS = 20_000_000
SAMPLES = 160
PCMU = pcmu()


def stream(
    at_ns: Sequence[int], *, is_sent: bool = False, first: int = 0, payload_type: int = 0, kept: int = SAMPLES
) -> CapturedStream:
    """Return packets at these times; all bytes of each are alike, and no two packets in a row have the same ones."""
    count = len(at_ns)
    header = np.zeros(count, RTP_HEADER)
    header["marker_and_type"] = payload_type
    payload = np.repeat((first + np.arange(count)) % 120, kept).astype(np.uint8).reshape(count, kept)
    packets = CapturedPackets(np.array(at_ns, np.int64), header, np.full(count, SAMPLES, np.int32), payload)
    return CapturedStream(("", 0), ("", 0), packets, is_sent=is_sent)


def sample_of(at_ns: int, begin_ns: int) -> float:
    """Return where on the time line a time is."""
    return (at_ns - begin_ns) * PCMU.sample_rate_hz / 1e9


@given(
    st.lists(st.integers(2 * FRAME_NS, 500_000_000), min_size=1, max_size=20), st.integers(-300_000_000, 300_000_000)
)
def test_what_is_heard_is_where_it_came_to_within_a_sample(gaps_ns: list[int], after_ns: int) -> None:
    """Each packet's own samples, decoded exactly; silence between; what we said is on the same time line."""
    at_ns = (START_NS + np.cumsum(gaps_ns)).tolist()
    said_ns = at_ns[0] + after_ns
    audio = stereo([stream([said_ns], is_sent=True, first=77), stream(at_ns)], PCMU)
    begin_ns = min(said_ns, at_ns[0])
    heard = np.zeros(len(audio), bool)
    for number, moment_ns in enumerate(at_ns):
        place = round(sample_of(moment_ns, begin_ns))
        expected = mulaw_to_linear(np.full(SAMPLES, number, np.uint8))
        assert audio[place : place + SAMPLES, 1].tolist() == expected.tolist()
        heard[place : place + SAMPLES] = True
    assert not audio[~heard, 1].any()
    said = np.flatnonzero(audio[:, 0])
    assert abs(said[0] - sample_of(said_ns, begin_ns)) <= 1
    assert len(said) == SAMPLES


@given(st.lists(st.integers(-9_000_000, 9_000_000), min_size=2, max_size=40))
def test_jitter_is_not_heard(jitter_ns: list[int]) -> None:
    """Packets that come a little early or late go on with the one before, sample by sample."""
    at_ns = [START_NS + number * FRAME_NS + late_ns for number, late_ns in enumerate(jitter_ns)]
    at_ns[0] = START_NS
    audio = stereo([stream(at_ns)], PCMU)
    assert len(audio) == SAMPLES * len(at_ns)
    assert (
        audio[:, 1].reshape(-1, SAMPLES)[:, 0].tolist()
        == mulaw_to_linear(np.arange(len(at_ns), dtype=np.uint8)).tolist()
    )


def test_packets_that_are_not_the_codecs_are_silence() -> None:
    """A key that is pressed as a telephone event does not sound."""
    audio = stereo([stream([START_NS]), stream([START_NS + FRAME_NS], payload_type=101)], PCMU)
    assert len(audio) == SAMPLES


def test_of_a_long_call_the_end_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that is hardly ever heard must not make a file of an hour."""
    monkeypatch.setattr(call_audio, "MOST_S", 1)
    audio = stereo([stream([START_NS, START_NS + 3_600_000_000_000])], PCMU)
    assert len(audio) == PCMU.sample_rate_hz
    assert np.flatnonzero(audio[:, 1]).tolist() == list(range(len(audio) - SAMPLES, len(audio)))


@pytest.mark.parametrize(
    ("streams", "why"),
    [
        ([], "there is no packet of PCMA in it"),
        ([stream([START_NS], payload_type=8, kept=80)], "it has packets of 160 bytes, of which 80 were kept"),
    ],
)
def test_what_cannot_be_heard_says_why(streams: list[CapturedStream], why: str) -> None:
    """Half of a packet would sound like a gap that was not there."""
    with pytest.raises(ValueError, match=why):
        stereo(streams, pcma())


def test_a_file_holds_both_directions(tmp_path: Path) -> None:
    """The left channel comes first."""
    audio = stereo([stream([START_NS], is_sent=True, first=9), stream([START_NS], first=5)], PCMU)
    write_wav(tmp_path / "captures" / "call.wav", audio, PCMU.sample_rate_hz)
    with wave.open(str(tmp_path / "captures" / "call.wav"), "rb") as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 8000, SAMPLES)
        assert np.frombuffer(file.readframes(1), "<i2").tolist() == mulaw_to_linear(np.array([9, 5], np.uint8)).tolist()
