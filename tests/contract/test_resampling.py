"""What Asterisk's resampler adds to the way of audio, told by a click; ``mouth_to_ear`` holds it too.

Of real Asterisks alone: it is a property of their filter, which the simulator does not imitate.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_ari_sla.codecs.g711 import pcma, pcmu
from pytest_ari_sla.codecs.g722 import G722Codec
from tests.contract.rtp_endpoint import PACKET_S
from tests.contract.test_rtp import bridged

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.codec import Codec
    from tests.contract.raw_ari import RawAri
    from tests.contract.rtp_endpoint import RtpEndpoint

PACKETS = 30
CLICK_S = 0.31
FILTER_S = 0.005
"""Speex's resampler at quality 5 has 80 taps at the lower rate, and so delays by 40 samples of 8 kHz."""

ON_ASTERISK = pytest.mark.parametrize("target_name", ["asterisk-22", "asterisk-16"])


def click(rate_hz: int) -> NDArray[np.int16]:
    """Return silence with a short pulse in it, which any of these codecs carries."""
    time_s = np.arange(round(PACKETS * PACKET_S * rate_hz)) / rate_hz - CLICK_S
    return np.round(12_000 * np.exp(-((time_s / 0.0005) ** 2))).astype(np.int16)


def click_at_s(codec: Codec, packets: NDArray[np.uint8]) -> float:
    """Return where in these packets the middle of the pulse is."""
    samples = codec.decode(packets).astype(np.float64) ** 2
    return float(np.average(np.arange(len(samples)), weights=samples) / codec.sample_rate_hz)


async def way_s(ari: RawAri, new_id: Callable[[str], str], legs: list[RtpEndpoint], codecs: list[Codec]) -> float:
    """Return by how much a click from the first leg is later in what the second one hears."""
    log = await ari.listen()
    talker, listener = codecs
    await bridged(ari, log, new_id, legs, ",".join(codec.asterisk_format for codec in codecs))
    said = talker.encode(click(talker.sample_rate_hz), 20)
    for number, payload in enumerate(said):
        legs[0].send(number, 160 * number, payload.tobytes(), payload_type=talker.payload_type)
        await asyncio.sleep(PACKET_S)
    heard = [np.frombuffer(packet.payload, np.uint8) for packet in await legs[1].collect()]
    assert len(heard) == PACKETS
    return click_at_s(listener, np.stack(heard)) - click_at_s(talker, said)


@ON_ASTERISK
@pytest.mark.parametrize(
    ("codecs", "delay_s"),
    [
        ([pcmu(), pcma()], 0.0),
        ([G722Codec(), pcmu()], FILTER_S),
        # G.722 splits audio into two bands and joins them again: 22 samples of 16 kHz (ITU-T G.722, 1.4.4).
        ([pcmu(), G722Codec()], FILTER_S + 22 / 16_000),
    ],
    ids=["same rate", "down", "up"],
)
async def test_changing_the_sample_rate_takes_five_milliseconds(
    raw_ari: RawAri,
    new_id: Callable[[str], str],
    new_rtp: Callable[[], RtpEndpoint],
    codecs: list[Codec],
    delay_s: float,
) -> None:
    """In the audio itself, however fast packets are: coding anew at the same rate takes nothing."""
    assert await way_s(raw_ari, new_id, [new_rtp(), new_rtp()], codecs) == pytest.approx(delay_s, abs=0.0002)
