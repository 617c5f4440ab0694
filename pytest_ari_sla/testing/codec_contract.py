"""What every codec must do: a test class to inherit, for authors of codecs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

from pytest_ari_sla.codecs.speech import speech_like
from pytest_ari_sla.metrics.voice_quality import CodecImpairment
from pytest_ari_sla.rtp.probe import PROBE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.codec import Codec

__all__ = ["CodecContract", "best_match"]

ETHERNET_PAYLOAD_BYTES = 1500 - 20 - 8 - 12  # less the headers of IPv4, UDP and RTP


def best_match(sent: NDArray[np.int16], received: NDArray[np.int16], max_lag: int) -> tuple[int, float]:
    """Find where ``received`` is most like ``sent``.

    Returns
    -------
    lag, likeness
        How many samples later (0 to ``max_lag``) ``received`` has the same audio, and the correlation there, 0 to 1.
    """
    # Padded by the lag at least, or the correlation would wrap around.
    size = 1 << (len(sent) + max_lag).bit_length()
    spectrum = np.fft.rfft(received.astype(np.float64), size) * np.conj(np.fft.rfft(sent.astype(np.float64), size))
    lag = int(np.fft.irfft(spectrum, size)[: max_lag + 1].argmax())
    overlap = min(len(sent), len(received) - lag)
    ours, theirs = sent[:overlap].astype(np.float64), received[lag : lag + overlap].astype(np.float64)
    energy = np.sqrt(np.dot(ours, ours) * np.dot(theirs, theirs))
    return lag, float(np.dot(ours, theirs) / energy) if energy else 0.0


class CodecContract:
    """Inherit this, override the fixture ``codec``, and every test below runs on your codec.

    Attributes
    ----------
    min_likeness
        Correlation that speech must keep from :meth:`~Codec.encode` to :meth:`~Codec.decode`.
    max_delay_ms
        The most by which the codec itself may delay the audio.

    Examples
    --------
    >>> class TestMyCodec(CodecContract):
    ...     @pytest.fixture
    ...     def codec(self):
    ...         return MyCodec()
    """

    min_likeness: ClassVar[float] = 0.9
    max_delay_ms: ClassVar[float] = 40.0

    @pytest.fixture
    def codec(self) -> Codec:
        """The codec under test."""
        raise NotImplementedError("override the fixture 'codec' and return your codec from it")

    def _packet_times(self, codec: Codec) -> Iterator[tuple[int, NDArray[np.int16]]]:
        """Give every packet time together with two seconds of speech that fill whole packets."""
        for packet_time_ms in codec.packet_times_ms:
            packets = 2000 // packet_time_ms
            yield packet_time_ms, speech_like(packets * packet_time_ms / 1000, codec.sample_rate_hz)

    def test_it_describes_itself(self, codec: Codec) -> None:
        """Name, format, payload type, rates and packet times have the types and ranges that RTP allows."""
        assert codec.name
        assert codec.asterisk_format
        assert codec.payload_type in range(128)
        assert codec.clock_rate_hz > 0
        assert codec.sample_rate_hz > 0
        assert len(codec.packet_times_ms) > 0
        assert all(type(packet_time_ms) is int and packet_time_ms > 0 for packet_time_ms in codec.packet_times_ms)
        assert codec.impairment is None or isinstance(codec.impairment, CodecImpairment)

    def test_its_time_stamps_advance_by_whole_ticks(self, codec: Codec) -> None:
        """Every packet time is a whole number of RTP clock ticks and of samples."""
        for packet_time_ms in codec.packet_times_ms:
            assert codec.clock_rate_hz * packet_time_ms % 1000 == 0
            assert codec.sample_rate_hz * packet_time_ms % 1000 == 0

    def test_encoding_gives_one_row_of_octets_per_packet(self, codec: Codec) -> None:
        """Encode returns a (packets, bytes) array of uint8."""
        for packet_time_ms, speech in self._packet_times(codec):
            payload = codec.encode(speech, packet_time_ms)
            assert payload.dtype == np.uint8
            assert payload.ndim == 2
            assert len(payload) == 2000 // packet_time_ms

    def test_packets_have_one_length_whatever_they_carry(self, codec: Codec) -> None:
        """Speech, silence and noise give packets of equal length: the media loop sends from one table."""
        for packet_time_ms, speech in self._packet_times(codec):
            noise = np.random.default_rng(1).integers(-9000, 9000, len(speech), np.int16)
            widths = {codec.encode(audio, packet_time_ms).shape[1] for audio in (speech, speech * 0, noise)}
            assert len(widths) == 1, f"at {packet_time_ms} ms"

    def test_a_packet_fits_a_frame_and_holds_a_probe(self, codec: Codec) -> None:
        """No packet needs IP fragments, and each has room for the stamp that correlates it."""
        for packet_time_ms, speech in self._packet_times(codec):
            width = codec.encode(speech, packet_time_ms).shape[1]
            assert PROBE_BYTES <= width <= ETHERNET_PAYLOAD_BYTES, f"at {packet_time_ms} ms"

    def test_encoding_is_repeatable(self, codec: Codec) -> None:
        """The same audio gives the same packets again: no state outlives a call, and the input is left alone."""
        for packet_time_ms, speech in self._packet_times(codec):
            untouched = speech.copy()
            first = codec.encode(speech, packet_time_ms)
            np.testing.assert_array_equal(codec.encode(speech, packet_time_ms), first)
            np.testing.assert_array_equal(codec.decode(first), codec.decode(first))
            np.testing.assert_array_equal(speech, untouched)

    def test_decoding_gives_as_many_samples_as_were_encoded(self, codec: Codec) -> None:
        """Decode returns mono int16 of the original length, also for a single packet."""
        for packet_time_ms, speech in self._packet_times(codec):
            payload = codec.encode(speech, packet_time_ms)
            decoded = codec.decode(payload)
            assert decoded.dtype == np.int16
            assert decoded.shape == speech.shape
            assert codec.decode(payload[:1]).shape == (codec.sample_rate_hz * packet_time_ms // 1000,)

    def test_decoded_speech_is_like_the_original(self, codec: Codec) -> None:
        """What is decoded correlates with what was encoded, after no more than the codec's own delay."""
        max_lag = round(self.max_delay_ms * codec.sample_rate_hz / 1000)
        for packet_time_ms, speech in self._packet_times(codec):
            _, likeness = best_match(speech, codec.decode(codec.encode(speech, packet_time_ms)), max_lag)
            assert likeness >= self.min_likeness, f"at {packet_time_ms} ms"

    def test_silence_stays_silent(self, codec: Codec) -> None:
        """Digital silence decodes to less than 1 % of full scale."""
        for packet_time_ms, speech in self._packet_times(codec):
            decoded = codec.decode(codec.encode(speech * 0, packet_time_ms))
            assert np.abs(decoded.astype(np.int64)).max() < 328, f"at {packet_time_ms} ms"
