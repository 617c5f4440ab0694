from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pytest_ari_sla.codecs.g711 import G711Codec
from pytest_ari_sla.hookspecs.codec import Codec
from pytest_ari_sla.testing import CodecContract


class Broken(G711Codec):
    """µ-law with one mistake, for a contract to find."""

    def __init__(self) -> None:
        super().__init__("PCMU", asterisk_format="ulaw", payload_type=0)


class Forgetful(Broken):
    """Drops the last packet."""

    def encode(self, samples: NDArray[np.int16], packet_time_ms: int) -> NDArray[np.uint8]:
        """Encode, badly."""
        return super().encode(samples, packet_time_ms)[:-1]


class Stateful(Broken):
    """Remembers how often it was called."""

    calls = 0

    def encode(self, samples: NDArray[np.int16], packet_time_ms: int) -> NDArray[np.uint8]:
        """Encode, badly."""
        Stateful.calls += 1
        return super().encode(samples, packet_time_ms) ^ np.uint8(Stateful.calls & 1)


class Variable(Broken):
    """Sends silence in short packets."""

    def encode(self, samples: NDArray[np.int16], packet_time_ms: int) -> NDArray[np.uint8]:
        """Encode, badly."""
        payload = super().encode(samples, packet_time_ms)
        return payload if samples.any() else payload[:, :1]


class Deaf(Broken):
    """Decodes everything to silence."""

    def decode(self, payload: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Decode, badly."""
        return super().decode(payload) * 0


class Humming(Broken):
    """Adds a constant to what it decodes."""

    def decode(self, payload: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Decode, badly."""
        return super().decode(payload) // 2 + 1000


@pytest.mark.parametrize(
    ("codec", "broken_test"),
    [
        (Forgetful(), CodecContract.test_encoding_gives_one_row_of_octets_per_packet),
        (Stateful(), CodecContract.test_encoding_is_repeatable),
        (Variable(), CodecContract.test_packets_have_one_length_whatever_they_carry),
        (Deaf(), CodecContract.test_decoded_speech_is_like_the_original),
        (Humming(), CodecContract.test_silence_stays_silent),
    ],
    ids=["forgetful", "stateful", "variable", "deaf", "humming"],
)
def test_mistakes_are_found(codec: Codec, broken_test: Callable[[CodecContract, Codec], Any]) -> None:
    """Each of the contract's tests can fail."""
    with pytest.raises(AssertionError):
        broken_test(CodecContract(), codec)


def test_the_fixture_must_be_overridden(pytester: pytest.Pytester) -> None:
    """An author who forgets it is told what to do."""
    pytester.makepyfile("from pytest_ari_sla.testing import CodecContract\nclass TestMine(CodecContract): pass")
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["*NotImplementedError: override the fixture 'codec' and return your codec from it*"])
