"""Media over TCP in the simulated PBX, on socket pairs: nothing that a peer sends may raise."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.framing import audiosocket
from pytest_ari_sla.framing.websocket import Opcode, WebSocketParser, encode
from pytest_ari_sla.targets.simulator.media.engine import FRAME_NS, MediaEngine
from pytest_ari_sla.targets.simulator.media.streams import PAYLOAD_WAIT_NS, AudioSocketStream, WebSocketStream
from pytest_ari_sla.targets.simulator.media.websocket_driver import DriverOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

UUID = bytes(range(16))
OPTIONS = DriverOptions(
    channel_id="one", channel="WebSocket/x/0x1", connection_id="x", format="ulaw", frame_bytes=160, encoding="json"
)


@pytest.fixture
def engine() -> Iterator[MediaEngine]:
    """Return an engine whose connections are closed after the test."""
    made = MediaEngine(4)
    yield made
    for leg in list(made.sockets):
        made.close(leg)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return two ends of a connection: the peer's, and Asterisk's."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


def received(peer: socket.socket) -> list[tuple[int, bytes]]:
    """Return the AudioSocket messages that have come."""
    return [(kind, payload) for kind, payload in audiosocket.AudioSocketParser().feed(peer.recv(1 << 16))]


def test_audio_is_passed_on_at_once(engine: MediaEngine, pair: tuple[socket.socket, socket.socket]) -> None:
    """A leg in Echo() says what it hears, message by message."""
    peer, inside = pair
    engine.open_stream(0, AudioSocketStream(inside, "slin", UUID))
    engine.echo(0)
    assert received(peer) == [(audiosocket.Kind.UUID, UUID)]
    peer.send(audiosocket.encode(0x10, b"\1\2" * 160) + audiosocket.encode(0x10, b"\3\4"))
    engine.receive([0], 0)
    assert received(peer) == [(0x10, b"\1\2" * 160), (0x10, b"\3\4")]


def test_a_payload_that_does_not_come_ends_the_call_after_5_ms(
    engine: MediaEngine, pair: tuple[socket.socket, socket.socket]
) -> None:
    """From the last byte on; told once."""
    peer, inside = pair
    engine.open_stream(0, AudioSocketStream(inside, "slin", UUID))
    peer.send(b"\x10\x01\x40abc")
    engine.receive([0], 7)
    assert engine.next_due_ns() == 7 + PAYLOAD_WAIT_NS
    engine.expire(6 + PAYLOAD_WAIT_NS)
    assert engine.told == []
    engine.expire(7 + PAYLOAD_WAIT_NS)
    engine.expire(8 + PAYLOAD_WAIT_NS)
    assert engine.told == [("ended", 0)]


def test_a_header_in_pieces_is_waited_for(engine: MediaEngine, pair: tuple[socket.socket, socket.socket]) -> None:
    """As long as it takes."""
    peer, inside = pair
    engine.open_stream(0, AudioSocketStream(inside, "slin", UUID))
    peer.send(b"\x10\x01")
    engine.receive([0], 0)
    assert engine.next_due_ns() is None


def test_a_frame_of_a_websocket_waits_for_its_tick(
    engine: MediaEngine, pair: tuple[socket.socket, socket.socket]
) -> None:
    """One for each 20 ms, however many have come."""
    peer, inside = pair
    engine.open_stream(0, WebSocketStream(inside, is_client=True, options=OPTIONS))
    engine.echo(0)
    parser = WebSocketParser(masked=True)
    assert [message.opcode for message in parser.feed(peer.recv(1 << 16))] == [Opcode.TEXT]
    assert engine.told == [("answer", 0)]
    peer.send(encode(Opcode.BINARY, b"a" * 160 + b"b" * 160, masked=False))
    engine.receive([0], 0)
    for number, frame in enumerate((b"a" * 160, b"b" * 160)):
        engine.tick(number * FRAME_NS)
        assert [message.payload for message in parser.feed(peer.recv(1 << 16))] == [frame]


def test_a_peer_that_never_reads_loses_whole_frames_and_takes_no_memory(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """Asterisk writes without waiting; what the peer reads when it does so is whole, and in its order."""
    peer, inside = pair
    stream = AudioSocketStream(inside, "slin", UUID)
    frames = 20_000
    for number in range(frames):
        stream.write(number.to_bytes(320))
    parser = audiosocket.AudioSocketParser()
    heard: list[int] = []
    while True:
        try:
            data = peer.recv(1 << 16)
        except BlockingIOError:
            if not stream._unsent:
                break
            stream.write(b"\0" * 320)
            continue
        heard += [int.from_bytes(payload) for kind, payload in parser.feed(data) if kind == audiosocket.Kind.SLIN]
    assert not parser.faults
    assert heard[:100] == list(range(100))
    assert sum(number > 0 for number in heard) < frames // 2
    stream.close()


def test_a_peer_that_has_gone_is_told_once(engine: MediaEngine, pair: tuple[socket.socket, socket.socket]) -> None:
    """Whatever is still sent to it."""
    peer, inside = pair
    engine.open_stream(0, WebSocketStream(inside, is_client=True, options=OPTIONS))
    engine.told.clear()
    peer.close()
    for _ in range(3):
        engine.receive([0], 0)
        engine.tick(0)
        engine.digit(0, "1")
    assert engine.told == [("ended", 0)]


def test_what_one_half_of_a_local_channel_says_the_other_hears(engine: MediaEngine) -> None:
    """Untouched where the format is the same; in samples where it is not."""
    first, second = socket.socketpair(), socket.socketpair()
    engine.open_local(0, 1, "slin")
    engine.open_stream(2, AudioSocketStream(first[1], "slin", UUID))
    engine.open_stream(3, WebSocketStream(second[1], is_client=True, options=OPTIONS))
    engine.bridge("near", [0, 2])
    engine.bridge("far", [1, 3])
    first[0].send(audiosocket.encode(0x10, b"\0\0" * 160))
    engine.receive([2], 0)
    heard = WebSocketParser(masked=True).feed(second[0].recv(1 << 16))
    assert [message.payload for message in heard if message.opcode == Opcode.BINARY] == [b"\xff" * 160]
    engine.close(0)
    engine.close(1)
    first[0].close()
    second[0].close()


def test_a_local_channel_in_echo_gives_the_partner_its_voice_back(
    engine: MediaEngine, pair: tuple[socket.socket, socket.socket]
) -> None:
    """Through both halves and back."""
    peer, inside = pair
    engine.open_local(0, 1, "slin")
    engine.open_stream(2, AudioSocketStream(inside, "slin", UUID))
    received(peer)
    engine.bridge("near", [0, 2])
    engine.echo(1)
    peer.send(audiosocket.encode(0x10, b"\1\2" * 160))
    engine.receive([2], 0)
    assert received(peer) == [(0x10, b"\1\2" * 160)]


@given(st.lists(st.binary(max_size=200), max_size=20), st.booleans())
def test_no_bytes_of_a_peer_raise(pieces: list[bytes], is_audiosocket: bool) -> None:
    """They end the call at worst."""
    peer, inside = socket.socketpair()
    engine = MediaEngine(1)
    stream = (
        AudioSocketStream(inside, "slin", UUID)
        if is_audiosocket
        else WebSocketStream(inside, is_client=False, options=OPTIONS)
    )
    engine.open_stream(0, stream)
    engine.echo(0)
    for number, piece in enumerate(pieces):
        peer.send(piece)
        engine.receive([0], number)
        engine.tick(number)
    assert set(engine.told) <= {("answer", 0), ("hang_up", 0), ("ended", 0)}
    engine.close(0)
    peer.close()
