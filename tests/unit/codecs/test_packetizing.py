from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pytest_ari_sla.codecs.g711 import pcmu
from pytest_ari_sla.codecs.packetizing import samples_per_packet, split_samples
from pytest_ari_sla.errors import UsageError


def test_a_row_is_a_packet() -> None:
    """Audio is cut into rows of one packet time each, without a copy."""
    samples = np.arange(480, dtype=np.int16)
    rows = split_samples(pcmu(), samples, 30)
    assert rows.shape == (2, 240)
    assert np.shares_memory(rows, samples)


def test_a_packet_time_that_the_codec_lacks_is_refused() -> None:
    """The message names what it has."""
    with pytest.raises(UsageError, match=r"codec PCMU has no packet time of 25 ms; it has 20, 10, 30, 40, 60"):
        samples_per_packet(pcmu(), 25)


@pytest.mark.parametrize(
    ("samples", "problem"),
    [
        (np.zeros(161, np.int16), "161 samples are not a whole number of PCMU packets of 160 samples"),
        (np.zeros(160, np.float64), "takes mono int16 audio, not 1-dimensional float64"),
        (np.zeros((160, 2), np.int16), "takes mono int16 audio, not 2-dimensional int16"),
    ],
    ids=["part of a packet", "floats", "stereo"],
)
def test_audio_of_another_shape_is_refused(samples: NDArray[Any], problem: str) -> None:
    """Only whole packets of mono int16 can be encoded."""
    with pytest.raises(UsageError, match=problem):
        split_samples(pcmu(), samples, 20)
