import numpy as np

from pytest_ari_sla.codecs.g722 import G722Codec
from pytest_ari_sla.codecs.speech import speech_like


def test_the_rtp_clock_runs_at_half_the_sample_rate() -> None:
    """RFC 3551, 4.5.2: 8000 ticks a second for 16000 samples a second."""
    assert (G722Codec().clock_rate_hz, G722Codec().sample_rate_hz) == (8000, 16000)


def test_two_samples_make_one_octet() -> None:
    """64 kbit/s: 160 octets for 20 ms."""
    assert G722Codec().encode(np.zeros(640, np.int16), 20).shape == (2, 160)


def test_the_packet_time_only_cuts_the_stream() -> None:
    """The octets are the same whatever the packet time: G.722 has no frames."""
    speech = speech_like(1.2, 16000)
    cuts = [G722Codec().encode(speech, packet_time_ms).reshape(-1) for packet_time_ms in (10, 20, 40)]
    np.testing.assert_array_equal(cuts[0], cuts[1])
    np.testing.assert_array_equal(cuts[0], cuts[2])


def test_a_tone_above_the_telephone_band_survives() -> None:
    """5 kHz is heard through G.722: it is a wideband codec."""
    tone = np.round(8000 * np.sin(2 * np.pi * 5000 * np.arange(16000) / 16000)).astype(np.int16)
    decoded = G722Codec().decode(G722Codec().encode(tone, 20)).astype(np.float64)
    assert np.abs(np.fft.rfft(decoded)).argmax() == 5000
    assert decoded.std() > 0.8 * tone.std()
