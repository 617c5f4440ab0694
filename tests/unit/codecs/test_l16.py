import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.codecs.l16 import L16Codec, l16_narrowband, l16_wideband

BOTH_RATES = pytest.mark.parametrize("codec", [l16_narrowband(), l16_wideband()], ids=["8 kHz", "16 kHz"])


@BOTH_RATES
def test_samples_travel_in_network_byte_order(codec: L16Codec) -> None:
    """The high octet of a sample comes first (RFC 3551, 4.5.11)."""
    samples = np.full(codec.sample_rate_hz // 50, 0x1234, np.int16)
    assert codec.encode(samples, 20)[0, :4].tolist() == [0x12, 0x34, 0x12, 0x34]


@BOTH_RATES
@given(seed=st.integers(0, 2**32 - 1))
def test_nothing_is_lost(codec: L16Codec, seed: int) -> None:
    """What is decoded is what was encoded, bit for bit."""
    samples = np.random.default_rng(seed).integers(-32768, 32768, codec.sample_rate_hz // 10, np.int16)
    np.testing.assert_array_equal(codec.decode(codec.encode(samples, 20)), samples)


def test_a_view_of_a_wider_arena_is_decoded() -> None:
    """Payload columns cut out of whole datagrams need not lie side by side in memory."""
    samples = np.arange(320, dtype=np.int16)
    datagrams = np.zeros((2, 12 + 320), np.uint8)
    datagrams[:, 12:] = l16_narrowband().encode(samples, 20)
    np.testing.assert_array_equal(l16_narrowband().decode(datagrams[:, 12:]), samples)


@BOTH_RATES
def test_the_clock_counts_samples(codec: L16Codec) -> None:
    """The RTP clock of linear PCM runs at its sample rate."""
    assert codec.clock_rate_hz == codec.sample_rate_hz
