from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.peers.control import (
    MOST_LINE_BYTES,
    MOST_UNSENT_BYTES,
    Connect,
    ControlLink,
    Release,
    Reply,
    Request,
    Reserve,
    TakeSnapshot,
    decode_reply,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def ends() -> Iterator[tuple[ControlLink, socket.socket]]:
    """A serving end, and the client's socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ControlLink(ours), theirs


def read_on(link: ControlLink) -> None:
    """Read until something happens."""
    while True:
        link.read()


REQUESTS: list[Request] = [
    Reserve(number=1, call="a"),
    Connect(number=2, call="a", host="127.0.0.1", port=4000),
    Release(number=3, call="a"),
    TakeSnapshot(number=4),
]


def test_requests_survive_the_wire_however_they_are_cut(ends: tuple[ControlLink, socket.socket]) -> None:
    """Byte by byte or all at once, the same requests come out."""
    link, client = ends
    wire = b"".join(map(encode, REQUESTS))
    received = []
    for byte in wire:
        client.sendall(bytes([byte]))
        received += link.read()
    client.sendall(wire)
    received += link.read()
    assert received == REQUESTS * 2
    assert link.read() == []


@pytest.mark.parametrize(
    "junk",
    [
        b"GET / HTTP/1.1\r\n",
        b'{"request":"format-disk","number":1}\n',
        b'{"request":"connect","number":1,"call":"a","host":"127.0.0.1","port":70000}\n',
        b"x" * MOST_LINE_BYTES + b"y",
    ],
)
def test_a_stranger_is_cut_off(ends: tuple[ControlLink, socket.socket], junk: bytes) -> None:
    """What is no request ends the connection, and is never kept beyond the longest line."""
    link, client = ends
    client.sendall(junk)
    with pytest.raises(ConnectionAbortedError):
        read_on(link)


def test_a_closed_connection_is_told(ends: tuple[ControlLink, socket.socket]) -> None:
    """The end of the other side is an error of the connection."""
    link, client = ends
    client.close()
    with pytest.raises(ConnectionResetError):
        link.read()


def test_a_client_that_asks_on_and_reads_nothing_is_cut_off(ends: tuple[ControlLink, socket.socket]) -> None:
    """It would fill the memory of the process that serves others as well."""
    link, _ = ends
    reply = Reply(7, "x" * (MOST_UNSENT_BYTES // 4))
    for _ in range(5):
        link.write(reply)
    with pytest.raises(ConnectionAbortedError, match="bytes of replies were not read"):
        link.write(reply)


def test_a_slow_reader_does_not_block(ends: tuple[ControlLink, socket.socket]) -> None:
    """Replies that the other side does not read wait here, and arrive whole in the end."""
    link, client = ends
    reply = Reply(7, "x" * 4_000_000)
    link.write(reply)
    assert not link.flush()
    received = b""
    while not received.endswith(b"\n"):
        received += client.recv(1 << 20)
        link.flush()
    assert link.flush()
    assert decode_reply(received) == reply
