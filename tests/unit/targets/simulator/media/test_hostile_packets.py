"""What a hostile peer sends to the simulator's media: nothing raises, and other legs go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.targets.simulator.media.engine import FRAME_NS, MediaEngine
from tests.unit.hostile import PACKETS, hostile_datagrams, seed
from tests.unit.targets.simulator.media.test_engine import Phone

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMATS = ("ulaw", "alaw", "slin", "g722", "gsm", "ulaw", "ulaw", "ulaw", "ulaw")
HOSTILE = range(8)
HONEST = 8
AT_ONCE = 25


def send(phone: Phone, rows: NDArray[np.uint8], lengths: NDArray[np.int32]) -> None:
    """Send datagrams to a phone's leg."""
    for row, length in zip(rows, lengths, strict=True):
        phone.socket.sendto(row[:length].tobytes(), phone.address)


def test_hostile_packets_harm_no_other_leg() -> None:
    """Through echo, a bridge of two, a mixing bridge of codecs, and a leg that is idle."""
    random = np.random.default_rng(seed())
    engine = MediaEngine(len(FORMATS))
    phones = [Phone(engine, leg, name) for leg, name in enumerate(FORMATS)]
    engine.bridge("codecs", [0, 1, 2, 3, 4])
    engine.bridge("two", [5, 6])
    engine.echo(HONEST)
    heard = 0
    for turn in range(PACKETS // 10 // (AT_ONCE * len(HOSTILE))):
        for leg in HOSTILE:
            send(phones[leg], *hostile_datagrams(random, AT_ONCE, 700))
        phones[HONEST].send(turn, b"h" * 160)
        engine.receive(list(range(len(FORMATS))), turn * FRAME_NS)
        engine.tick(turn * FRAME_NS)
        engine.send_late(turn * FRAME_NS)
        for leg in HOSTILE:
            phones[leg].received()
        heard += phones[HONEST].received() == [b"h" * 160]
    assert heard == turn + 1
    for leg, phone in enumerate(phones):
        engine.close(leg)
        phone.socket.close()
