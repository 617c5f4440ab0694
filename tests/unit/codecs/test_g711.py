from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from pytest_ari_sla.codecs.ffmpeg import FfmpegCoder
from pytest_ari_sla.codecs.g711 import (
    G711Codec,
    alaw_to_linear,
    linear_to_alaw,
    linear_to_mulaw,
    mulaw_to_linear,
    pcma,
    pcmu,
)

EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)
EVERY_OCTET = np.arange(256, dtype=np.uint8)

Compress = Callable[[NDArray[np.int16]], NDArray[np.uint8]]
Expand = Callable[[NDArray[np.uint8]], NDArray[np.int16]]

BOTH_LAWS = pytest.mark.parametrize(
    ("compress", "expand", "ffmpeg_name"),
    [
        pytest.param(linear_to_mulaw, mulaw_to_linear, "pcm_mulaw", id="mu-law"),
        pytest.param(linear_to_alaw, alaw_to_linear, "pcm_alaw", id="A-law"),
    ],
)


def decoded_by_ffmpeg(name: str, octets: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Expand octets by FFmpeg, as a second opinion."""
    return FfmpegCoder("G.711", name, sample_rate_hz=8000).decode([octets.tobytes()]).astype(np.int64)


@pytest.mark.parametrize(
    ("octet", "value_14_bit"),
    [(0x80, 8031), (0x8F, 4191), (0xAF, 1023), (0xEF, 33), (0xFE, 2), (0xFF, 0), (0x00, -8031), (0x7E, -2)],
)
def test_mulaw_decodes_to_the_values_of_table_2(octet: int, value_14_bit: int) -> None:
    """G.711's table 2 gives decoder outputs for a 14-bit scale, a quarter of ours."""
    assert mulaw_to_linear(np.array([octet], np.uint8))[0] == 4 * value_14_bit


@pytest.mark.parametrize(("octet", "value_13_bit"), [(0xAA, 4032), (0xA5, 2112), (0xD5, 1), (0x55, -1), (0x2A, -4032)])
def test_alaw_decodes_to_the_values_of_table_1(octet: int, value_13_bit: int) -> None:
    """G.711's table 1 gives decoder outputs for a 13-bit scale, an eighth of ours."""
    assert alaw_to_linear(np.array([octet], np.uint8))[0] == 8 * value_13_bit


@BOTH_LAWS
def test_all_octets_decode_as_ffmpeg_has_it(compress: Compress, expand: Expand, ffmpeg_name: str) -> None:
    """Another implementation agrees on every one of the 256 octets."""
    np.testing.assert_array_equal(expand(EVERY_OCTET), decoded_by_ffmpeg(ffmpeg_name, EVERY_OCTET))


@BOTH_LAWS
def test_a_decoded_octet_encodes_to_itself(compress: Compress, expand: Expand, ffmpeg_name: str) -> None:
    """Re-encoding loses nothing; only µ-law's negative zero becomes zero."""
    again = compress(expand(EVERY_OCTET))
    changed = EVERY_OCTET[again != EVERY_OCTET].tolist()
    assert changed == ([0x7F] if ffmpeg_name == "pcm_mulaw" else [])


@BOTH_LAWS
def test_a_sample_lies_in_the_step_that_it_is_given(compress: Compress, expand: Expand, ffmpeg_name: str) -> None:
    """Up to the clipping level, a sample is off its decoded value by half a step of its segment at the most."""
    octets = compress(EVERY_SAMPLE)
    segment = (~octets if ffmpeg_name == "pcm_mulaw" else octets ^ 0x55).astype(np.int64) >> 4 & 0x07
    half_step = 4 << segment if ffmpeg_name == "pcm_mulaw" else 4 << np.maximum(segment, 1)
    error = np.abs(expand(octets).astype(np.int64) - EVERY_SAMPLE)
    below_clipping = np.abs(EVERY_SAMPLE.astype(np.int64)) <= 32635
    assert (error <= half_step)[below_clipping].all()


@BOTH_LAWS
def test_louder_samples_never_decode_quieter(compress: Compress, expand: Expand, ffmpeg_name: str) -> None:
    """Companding is monotone over all 65536 samples."""
    assert (np.diff(expand(compress(EVERY_SAMPLE)).astype(np.int64)) >= 0).all()


def test_mulaw_treats_both_polarities_alike() -> None:
    """Changing a sample's sign changes the sign of what is decoded, and nothing else."""
    positive = EVERY_SAMPLE[EVERY_SAMPLE >= 0]
    np.testing.assert_array_equal(
        mulaw_to_linear(linear_to_mulaw(-positive)), -mulaw_to_linear(linear_to_mulaw(positive))
    )


def test_alaw_mirrors_around_minus_one_half() -> None:
    """A-law has no zero: sample x and sample -1-x get the same octet but for the sign bit."""
    positive = EVERY_SAMPLE[EVERY_SAMPLE >= 0]
    np.testing.assert_array_equal(linear_to_alaw(-1 - positive), linear_to_alaw(positive) ^ 0x80)


@pytest.mark.parametrize("codec", [pcmu(), pcma()], ids=lambda codec: codec.name)
def test_a_packet_has_one_octet_per_sample(codec: G711Codec) -> None:
    """20 ms at 8 kHz are 160 octets, in the order of the samples."""
    payload = codec.encode(EVERY_SAMPLE[:320], 20)
    assert payload.shape == (2, 160)
    compress = linear_to_mulaw if codec.name == "PCMU" else linear_to_alaw
    np.testing.assert_array_equal(payload.reshape(-1), compress(EVERY_SAMPLE[:320]))
