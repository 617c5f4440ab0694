import numpy as np
import pytest

from pytest_ari_sla.codecs.gsm import GsmCodec
from pytest_ari_sla.codecs.speech import speech_like
from pytest_ari_sla.errors import UsageError


@pytest.mark.parametrize(("packet_time_ms", "frames"), [(20, 1), (40, 2), (60, 3)])
def test_a_packet_holds_whole_frames_with_their_signature(packet_time_ms: int, frames: int) -> None:
    """Each frame of 33 octets begins with the bits 1101 (RFC 3551, 4.5.8.1)."""
    payload = GsmCodec().encode(speech_like(1.2, 8000), packet_time_ms)
    assert payload.shape == (1200 // packet_time_ms, 33 * frames)
    assert set((payload[:, ::33] >> 4).reshape(-1).tolist()) == {0xD}


def test_half_a_frame_is_refused() -> None:
    """10 ms are no whole number of 20 ms frames."""
    with pytest.raises(UsageError, match="no packet time of 10 ms"):
        GsmCodec().encode(np.zeros(80, np.int16), 10)
