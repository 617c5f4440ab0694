import numpy as np
import pytest
from numpy.typing import NDArray

from pytest_ari_sla.codecs.opus import OpusCodec
from pytest_ari_sla.codecs.speech import speech_like
from pytest_ari_sla.errors import UsageError


@pytest.mark.parametrize(("packet_time_ms", "octets"), [(10, 40), (20, 80), (40, 160), (60, 240)])
def test_the_bit_rate_is_constant(packet_time_ms: int, octets: int) -> None:
    """32 kbit/s in every packet, speech or pause."""
    payload = OpusCodec().encode(speech_like(2.4, 48000), packet_time_ms)
    assert payload.shape == (2400 // packet_time_ms, octets)


def test_packets_of_30_ms_do_not_exist() -> None:
    """RFC 6716 knows 2.5, 5, 10, 20, 40 and 60 ms."""
    with pytest.raises(UsageError, match=r"OPUS has no packet time of 30 ms; it has 20, 10, 40, 60"):
        OpusCodec().encode(np.zeros(1440, np.int16), 30)


def duration_ms(packet: NDArray[np.uint8]) -> float:
    """Read how long a packet lasts from its own first octets (RFC 6716, 3.1 and 3.2)."""
    configuration, code = int(packet[0]) >> 3, int(packet[0]) & 0b11
    if configuration < 12:
        frame_ms = (10.0, 20.0, 40.0, 60.0)[configuration % 4]
    else:
        frame_ms = (10.0, 20.0)[configuration % 2] if configuration < 16 else (2.5, 5.0, 10.0, 20.0)[configuration % 4]
    return frame_ms * (1, 2, 2, int(packet[1]) & 0x3F)[code]


@pytest.mark.parametrize("packet_time_ms", [10, 20, 40, 60])
def test_a_packet_says_its_own_duration(packet_time_ms: int) -> None:
    """What the packets say of themselves is the packet time asked for, in mono."""
    payload = OpusCodec().encode(speech_like(1.2, 48000), packet_time_ms)
    assert {duration_ms(packet) for packet in payload} == {packet_time_ms}
    assert not (payload[:, 0] >> 2 & 1).any()


def test_the_clock_runs_at_48_kilohertz() -> None:
    """RFC 7587, 4.1: always, whatever is really coded."""
    assert OpusCodec().clock_rate_hz == 48000
