"""Both back ends read and write connections the same way: what is taken, what is left, and what has ended."""

from __future__ import annotations

import itertools
import socket
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_ari_sla.udp import mmsg
from pytest_ari_sla.udp.batched import BACKEND_VARIABLE, make_stream_reader, make_stream_writer
from pytest_ari_sla.udp.datagrams import SO_TIMESTAMPNS, DatagramMemory

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH = 64


@pytest.fixture(
    params=[
        pytest.param("mmsg", marks=pytest.mark.skipif(not mmsg.is_available(), reason="no recvmsg here")),
        "python",
    ],
    autouse=True,
)
def chosen_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test with each back end."""
    monkeypatch.setenv(BACKEND_VARIABLE, request.param)


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Three connections: the end that is tested, non-blocking, and the other one."""
    made = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for _ in range(3):
            near = socket.create_connection(listener.getsockname())
            near.setblocking(False)
            near.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            made.append((near, listener.accept()[0]))
    yield made
    for near, far in made:
        near.close()
        far.close()


def readable(near: socket.socket) -> None:
    """Wait until there is something to read."""
    near.settimeout(30)
    near.recv(1, socket.MSG_PEEK)
    near.setblocking(False)


def test_each_connection_is_read_into_a_row_of_its_own(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """With the time at which it came, also where a row is used again."""
    memory = DatagramMemory.allocate(3, WIDTH)
    reader = make_stream_reader(memory)
    for turn in range(2):
        before_ns = time.time_ns()
        for number, (near, far) in enumerate(pairs):
            far.send(bytes([number]) * (number + 1 + turn))
            readable(near)
        lengths = reader.read([near.fileno() for near, _ in pairs])
        assert lengths.tolist() == [1 + turn, 2 + turn, 3 + turn]
        assert [memory.data[row, 0] for row in range(3)] == [0, 1, 2]
        arrival_ns = memory.arrival_ns(slice(0, 3))
        assert ((before_ns - 1_000_000 < arrival_ns) & (arrival_ns < time.time_ns() + 1_000_000)).all()


def test_an_end_is_told_from_nothing(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """No bytes at the end, -1 where there is nothing to read or the connection was reset."""
    (ended, far), (empty, _), (full, other) = pairs
    far.close()
    readable(ended)
    other.send(b"abc")
    readable(full)
    reader = make_stream_reader(DatagramMemory.allocate(3, WIDTH))
    assert reader.read([near.fileno() for near in (ended, empty, full)]).tolist() == [0, -1, 3]


def test_each_row_is_written_to_its_connection_and_timed(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """The clock is read before each."""
    rows = np.arange(3 * WIDTH, dtype=np.uint8).reshape(3, WIDTH)
    ticks = itertools.count(100)
    handed_ns, taken = make_stream_writer(rows).write([near.fileno() for near, _ in pairs], lambda: next(ticks))
    assert (handed_ns, taken) == ([100, 101, 102], [WIDTH] * 3)
    for row, (_, far) in zip(rows, pairs, strict=True):
        assert far.recv(WIDTH, socket.MSG_WAITALL) == row.tobytes()


def test_a_connection_that_takes_nothing_holds_up_no_other(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """Nor does one that is none."""
    (stuck, _), (near, far), _ = pairs
    while True:
        try:
            stuck.send(bytes(1 << 16))
        except BlockingIOError:
            break
    writer = make_stream_writer(np.ones((3, WIDTH), np.uint8))
    _, taken = writer.write([stuck.fileno(), -1, near.fileno()], time.monotonic_ns)
    assert taken[1:] == [-1, WIDTH]
    assert taken[0] < WIDTH
    assert far.recv(WIDTH, socket.MSG_WAITALL) == bytes([1]) * WIDTH
