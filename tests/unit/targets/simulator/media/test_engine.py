"""The media engine on loopback: told what to do and what time it is."""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.targets.simulator.faults import Faults
from pytest_ari_sla.targets.simulator.media.engine import FRAME_NS, MediaEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALL = range(4)


class Phone:
    """One leg's other end."""

    def __init__(self, engine: MediaEngine, leg: int, payload_format: str = "ulaw") -> None:
        self.socket, inside = self._bound(), self._bound()
        self.address = inside.getsockname()
        engine.open(leg, inside.detach(), payload_format, *self.socket.getsockname())

    @staticmethod
    def _bound() -> socket.socket:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        return udp

    def send(self, number: int, payload: bytes, payload_type: int = 0) -> None:
        """Send a packet."""
        header = struct.pack("!BBHII", 0x80, payload_type, number, number * 160, 0x1111)
        self.socket.sendto(header + payload, self.address)

    def received(self) -> list[bytes]:
        """Return the payloads that have come."""
        payloads = []
        while True:
            try:
                payloads.append(self.socket.recv(2048)[12:])
            except BlockingIOError:
                return payloads


@pytest.fixture
def engine() -> Iterator[MediaEngine]:
    """Return an engine whose sockets are closed after the test."""
    made = MediaEngine(len(_ALL))
    yield made
    for leg in list(made.sockets):
        made.close(leg)


@pytest.fixture
def phones(engine: MediaEngine) -> Iterator[list[Phone]]:
    """Return one phone for each leg."""
    made = [Phone(engine, leg) for leg in _ALL]
    yield made
    for phone in made:
        phone.socket.close()


def exchange(engine: MediaEngine, now_ns: int = 0) -> None:
    """Let the engine take what waits; loopback delivers before a send returns."""
    engine.receive(list(_ALL), now_ns)


def test_an_idle_leg_hears_nothing(engine: MediaEngine, phones: list[Phone]) -> None:
    """It does not echo by itself."""
    phones[0].send(1, b"a" * 160)
    exchange(engine)
    assert [phone.received() for phone in phones] == [[], [], [], []]


def test_echo_then_pair_then_idle(engine: MediaEngine, phones: list[Phone]) -> None:
    """A leg goes where it is told to, at once."""
    engine.echo(0)
    phones[0].send(1, b"a" * 160)
    exchange(engine)
    engine.bridge("room", [0, 1])
    phones[0].send(2, b"b" * 160)
    exchange(engine)
    engine.idle(1)
    phones[0].send(3, b"c" * 160)
    exchange(engine)
    assert [phone.received() for phone in phones[:2]] == [[b"a" * 160], [b"b" * 160]]


def test_a_mixing_bridge_speaks_by_the_clock(engine: MediaEngine, phones: list[Phone]) -> None:
    """Each tick everybody gets the sum of the others; it ends when two are left."""
    engine.bridge("room", [0, 1, 2])
    assert engine.makes_packets
    phones[0].send(1, b"\x90" * 160)
    exchange(engine)
    engine.tick(FRAME_NS)
    silence = b"\xff" * 160
    assert [phone.received() for phone in phones[:3]] == [[silence], [b"\x90" * 160], [b"\x90" * 160]]
    engine.bridge("room", [0, 1])
    assert not engine.makes_packets


def test_a_prompt_is_sent_until_it_is_stopped(engine: MediaEngine, phones: list[Phone]) -> None:
    """A tone for a name, silence for none."""
    engine.play(0, "beep")
    engine.play(1, "")
    for tick in range(3):
        engine.tick(tick * FRAME_NS)
    engine.stop_playing(0)
    engine.stop_playing(1)
    assert not engine.makes_packets
    tone, silence = phones[0].received(), phones[1].received()
    assert len(tone) == len(silence) == 3
    assert set(silence) == {b"\xff" * 160}
    assert b"\xff" * 160 not in tone


def test_formats_are_translated_where_that_is_possible(engine: MediaEngine, phones: list[Phone]) -> None:
    """Linear ones into each other; what is not linear is dropped, and the rest goes on."""
    engine.close(1)
    other = Phone(engine, 1, "slin")
    engine.bridge("room", [0, 1])
    phones[0].send(1, b"\xff" * 160)
    phones[0].send(2, b"g" * 33, payload_type=3)
    phones[0].send(3, b"\xff" * 160)
    exchange(engine)
    assert other.received() == [b"\0" * 320] * 2
    other.socket.close()


def test_a_closed_leg_is_not_asked(engine: MediaEngine, phones: list[Phone]) -> None:
    """Also when the kernel had told that something waits there."""
    engine.echo(0)
    phones[0].send(1, b"a" * 160)
    engine.close(0)
    exchange(engine)
    assert phones[0].received() == []


def test_late_packets_are_kept_until_they_are_due(engine: MediaEngine, phones: list[Phone]) -> None:
    """And lost if their leg is gone by then."""
    engine.set_faults(Faults(rtp_delay_s=0.1).describe())
    for leg in (0, 1):
        engine.echo(leg)
        phones[leg].send(1, b"a" * 160)
    exchange(engine, now_ns=1000)
    assert engine.next_due_ns() == 100_001_000
    engine.close(1)
    engine.send_late(100_000_999)
    assert phones[0].received() == []
    engine.send_late(100_001_000)
    assert phones[0].received() == [b"a" * 160]
    assert engine.next_due_ns() is None


def test_more_packets_than_fit_are_taken_in_parts(engine: MediaEngine, phones: list[Phone]) -> None:
    """None is lost on the way."""
    engine.echo(0)
    for number in range(40):
        phones[0].send(number, bytes([number]) * 160)
    deadline_s = time.monotonic() + 5
    received: list[bytes] = []
    while len(received) < 40 and time.monotonic() < deadline_s:
        exchange(engine)
        received += phones[0].received()
    assert received == [bytes([number]) * 160 for number in range(40)]
