"""How long audio takes through a transcoder, against a capture: where what came is most like what was sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.oracles.g711 import RATE_HZ, samples_of
from tests.oracles.rtp_wire import RTP, is_rtp

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from tests.oracles.loads import Load
    from tests.oracles.wire import UdpPacket

WITHIN_S = 0.002
"""A window of a second is found to the sample of what it is searched at; arrivals are jittered by a busy machine."""


@dataclass(frozen=True)
class Audio:
    """What passed one way.

    Attributes
    ----------
    began_ns
        When its first sample did, by the median of all packets.
    samples
        It, gaps being silence.
    """

    began_ns: int
    samples: NDArray[np.float64]


def audio_of(packets: Iterable[UdpPacket]) -> Audio:
    """Return what some packets hold, each at the place that its time stamp tells."""
    read = [(one.at_ns, *RTP.unpack_from(one.data), one.data[RTP.size :]) for one in packets if is_rtp(one.data)]
    first = read[0][4]
    places = [(stamp - first) & 0xFFFFFFFF for _, _, _, _, stamp, _, _ in read]
    samples = np.zeros(max(places) + len(read[-1][6]))
    for place, (_, _, marker_and_type, _, _, _, payload) in zip(places, read, strict=True):
        samples[place : place + len(payload)] = samples_of(marker_and_type & 0x7F, payload)
    began_ns = [at_ns - place * 1_000_000_000 // RATE_HZ for place, (at_ns, *_) in zip(places, read, strict=True)]
    return Audio(int(np.median(began_ns)), samples)


def delay_s(sent: Audio, heard: Audio) -> float:
    """Return how much later something was heard than sent, by the peak of their correlation."""
    size = len(sent.samples) + len(heard.samples)
    spectrum = np.fft.rfft(heard.samples, size) * np.fft.rfft(sent.samples, size).conj()
    peak = int(np.argmax(np.fft.irfft(spectrum, size)))
    lag = peak if peak < len(heard.samples) else peak - size
    return (heard.began_ns - sent.began_ns) / 1e9 + lag / RATE_HZ


@pytest.fixture
def load(loads: dict[str, Load]) -> Load:
    """Return the load whose two ends speak different codecs."""
    return loads["transcode"]


@pytest.fixture
def delays_s(load: Load) -> dict[str, list[float]]:
    """Return the delay of each direction of each call, as the wire has it."""
    found = {}
    for call in load.calls:
        ways = [way for channel, way in load.media.items() if channel.startswith(call)]
        sent = [audio_of(one for one in load.datagrams if (one.source, one.target) == way) for way in ways]
        heard = [audio_of(one for one in load.datagrams if (one.target, one.source) == way) for way in ways]
        found[call] = [delay_s(sent[1], heard[0]), delay_s(sent[0], heard[1])]
    return found


def test_audio_takes_as_long_as_on_the_wire(load: Load, delays_s: dict[str, list[float]]) -> None:
    """In all, and of each call the slower direction."""
    wire_s = [delay for delays in delays_s.values() for delay in delays]
    reported = load.total.histogram("mouth_to_ear")
    assert reported.min / 1e9 == pytest.approx(min(wire_s), abs=WITHIN_S)
    assert reported.max / 1e9 == pytest.approx(max(wire_s), abs=WITHIN_S)
    slower_s = {call: max(delays) for call, delays in delays_s.items()}
    assert {call: values["mouth_to_ear"] for call, values in load.calls.items()} == pytest.approx(
        slower_s, abs=WITHIN_S
    )


def test_all_that_was_looked_up_was_found(load: Load) -> None:
    """Each window that was listened to held what the wire has: speech that the other end had sent."""
    assert load.total.count("content.recognised") == load.total.histogram("mouth_to_ear").count > 0
    assert load.total.count("content.unrecognised") == load.total.count("content.unheard") == 0
