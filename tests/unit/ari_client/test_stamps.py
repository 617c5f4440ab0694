"""Times of requests and answers are those of the kernel, however late our loop comes round to them."""

from __future__ import annotations

import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.ari_client.event_stream import pump
from pytest_ari_sla.ari_client.stamps import StampedSocket, WireTimes, stamp_exchange

if TYPE_CHECKING:
    from collections.abc import Iterator

CLOCKS_NS = 1_000_000
"""How well the wall clock, of which the kernel's stamps are, is known on the monotonic one of a busy machine."""


@pytest.fixture
def ends() -> Iterator[tuple[StampedSocket, socket.socket]]:
    """Return both ends of a connection; ours is stamped."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server, StampedSocket(socket.AF_INET) as ours:
        ours.connect(server.getsockname())
        theirs, _ = server.accept()
        with theirs:
            ours.sendall(b"-")  # the kernel begins to stamp a moment after it was asked to
            theirs.sendall(theirs.recv(1))
            ours.recv(1)
            time.sleep(0.01)
            yield ours, theirs


@pytest.mark.parametrize("way", ["recv", "recv_into"])
def test_an_answer_that_is_read_late_came_when_it_came(ends: tuple[StampedSocket, socket.socket], way: str) -> None:
    """What lies between its arrival and our reading is no time of Asterisk's; TLS reads into a buffer."""
    ours, theirs = ends
    times = stamp_exchange()
    before_ns = time.monotonic_ns()
    ours.send(b"request")
    assert theirs.recv(100) == b"request"
    asked_ns = time.monotonic_ns()
    theirs.sendall(b"answer")
    answered_ns = time.monotonic_ns()
    time.sleep(0.02)
    buffer = bytearray(100)
    read = ours.recv(100) if way == "recv" else bytes(buffer[: ours.recv_into(buffer)])
    assert read == b"answer"
    assert times.sent_ns is not None
    assert times.received_ns is not None
    assert before_ns - CLOCKS_NS <= times.sent_ns <= asked_ns + CLOCKS_NS
    assert asked_ns - CLOCKS_NS <= times.received_ns <= answered_ns + CLOCKS_NS
    assert times.took_ns(before_ns, time.monotonic_ns()) == (times.received_ns - times.sent_ns, 0)


@pytest.mark.parametrize("step_ns", [3_600_000_000_000, -3_600_000_000_000])
def test_a_clock_that_was_set_makes_no_answer_take_an_hour(
    ends: tuple[StampedSocket, socket.socket], monkeypatch: pytest.MonkeyPatch, step_ns: int
) -> None:
    """Stamps that cannot be true are left out: then our own readings bound the time."""
    ours, theirs = ends
    offset_ns = pump._clock_offset_ns()
    monkeypatch.setattr(pump, "_clock_offset_ns", lambda: offset_ns + step_ns)
    times = stamp_exchange()
    before_ns = time.monotonic_ns()
    ours.send(b"request")
    theirs.sendall(theirs.recv(100))
    ours.recv(100)
    after_ns = time.monotonic_ns()
    assert times.sent_ns is not None
    assert times.received_ns is not None
    assert before_ns <= times.sent_ns <= times.received_ns <= after_ns


def test_a_request_in_parts_was_sent_with_the_last_one(ends: tuple[StampedSocket, socket.socket]) -> None:
    """Asterisk cannot answer before it has all of it."""
    ours, _ = ends
    times = stamp_exchange()
    ours.send(b"head")
    between_ns = time.monotonic_ns()
    ours.sendmsg([b"bo", b"dy"])
    assert times.sent_ns is not None
    assert times.sent_ns >= between_ns - CLOCKS_NS


def test_times_of_one_exchange_do_not_change_with_the_next(ends: tuple[StampedSocket, socket.socket]) -> None:
    """A connection carries one request after the other."""
    ours, theirs = ends
    first = stamp_exchange()
    ours.send(b"1")
    theirs.sendall(b"1")
    ours.recv(1)
    before = WireTimes(first.sent_ns, first.sending_ns, first.received_ns)
    second = stamp_exchange()
    ours.send(b"2")
    theirs.sendall(b"2")
    ours.recv(1)
    assert first == before
    assert second.sent_ns is not None
    assert first.received_ns is not None
    assert second.sent_ns >= first.received_ns - CLOCKS_NS


def test_without_stamps_the_whole_time_is_uncertain() -> None:
    """An event loop that moves bytes past Python's sockets leaves nothing else to say."""
    assert WireTimes().took_ns(100, 350) == (250, 250)
