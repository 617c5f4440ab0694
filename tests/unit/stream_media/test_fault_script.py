"""What each step of a fault does to a connection, by a clock that the test moves."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.framing.conversations import AudioSocketClient
from pytest_ari_sla.media.peer_faults import (
    Burst,
    Close,
    HalfClose,
    Mute,
    PeerFault,
    Reset,
    SendBytes,
    SkipAnswer,
    Speak,
    Step,
    StopReading,
    Wait,
    WaitForFrame,
)
from pytest_ari_sla.stream_media.loop.fault_script import FaultScript
from pytest_ari_sla.stream_media.loop.link import Link, LinkTable

if TYPE_CHECKING:
    from collections.abc import Iterator

MS = 1_000_000


@pytest.fixture
def ends() -> Iterator[tuple[Link, socket.socket]]:
    """A link that may send, and the peer of its connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    far.settimeout(10)
    link = Link(near, AudioSocketClient("00000000-0000-0000-0000-000000000001"), LinkTable(1))
    link.conversation.outgoing.clear()
    link.frame_bytes, link.kind = 4, 0x10
    with far:
        yield link, far
    link.close()


def script(link: Link, *steps: Step) -> FaultScript:
    """Return a script that begins at 0."""
    return FaultScript(link, PeerFault("fault", steps, ("audiosocket",)), 0)


def test_steps_wait_for_their_time_and_for_frames(ends: tuple[Link, socket.socket]) -> None:
    """Nothing is done before."""
    link, _ = ends
    going = script(link, Mute(), Wait(5), WaitForFrame(), Speak())
    states = [(going.go_on(at * MS), link.is_ready) for at in (0, 4, 5, 6)]
    assert states == [(True, False)] * 4
    link._table.seen[link.descriptor] += 1
    assert not going.go_on(7 * MS)
    assert link.is_ready


def test_bytes_and_bursts_are_sent_as_they_are(ends: tuple[Link, socket.socket]) -> None:
    """A burst is so many frames of silence, at once."""
    link, far = ends
    assert not script(link, SendBytes(b"\x10\x01"), Burst(2)).go_on(0)
    assert far.recv(100) == b"\x10\x01" + 2 * b"\x10\x00\x04\x00\x00\x00\x00"


def test_one_half_is_closed_and_the_other_stays_open(ends: tuple[Link, socket.socket]) -> None:
    """The peer reads the end, and can still write."""
    link, far = ends
    script(link, HalfClose()).go_on(0)
    assert far.recv(100) == b""
    far.send(b"\x10\x00\x00")
    assert not link.is_closed


def test_a_reset_is_a_rst(ends: tuple[Link, socket.socket]) -> None:
    """And a close is none."""
    link, far = ends
    script(link, Reset()).go_on(0)
    assert link.wants_closing
    link.close()
    with pytest.raises(ConnectionResetError):
        far.recv(100)


def test_what_is_to_be_said_is_not_and_nothing_is_read(ends: tuple[Link, socket.socket]) -> None:
    """As a peer that accepts and never answers the upgrade."""
    link, _ = ends
    link.conversation.outgoing += b"HTTP/1.1 101"
    script(link, SkipAnswer(), StopReading(), Close()).go_on(0)
    assert not link.conversation.outgoing
    assert link.is_deaf
    assert link.wants_closing
