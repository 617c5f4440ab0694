"""Events have the times at which they came, however late and at once our loop reads them."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from contextlib import closing

from pytest_ari_sla.ari_client.event_stream.event_thread import PumpedSocket

CLOCKS_NS = 1_000_000
"""How well the wall clock, of which the kernel's stamps are, is known on the monotonic one of a busy machine."""


def test_messages_that_wait_keep_their_own_times() -> None:
    """The kernel alone would give both the time of the second."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        connection = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    with theirs, PumpedSocket(connection, realtime=False) as pumped:
        theirs.sendall(b"first")
        assert select.select([pumped], [], [], 30)[0]
        between_ns = time.monotonic_ns()
        theirs.sendall(b"second")
        theirs.shutdown(socket.SHUT_WR)
        pumped.setblocking(True)
        assert pumped.recv(3) == b"fir"
        assert pumped.recv(100) == b"st"
        first_ns = pumped.received_ns
        assert pumped.recv(100) == b"second"
        assert first_ns - CLOCKS_NS <= between_ns <= pumped.received_ns + CLOCKS_NS
        assert first_ns < pumped.received_ns
        assert pumped.lag_ns >= 0
        assert pumped.recv(100) == b""


def test_what_is_sent_takes_no_detour() -> None:
    """Pongs and closing frames go to the connection itself, and closing ends the process."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        connection = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    with theirs:
        with PumpedSocket(connection, realtime=False) as pumped:
            pumped.send(b"pong")
            assert theirs.recv(100) == b"pong"
        assert theirs.recv(100) == b""
        assert pumped._pump.returncode == 0


def test_a_process_that_somebody_has_stopped_ends_as_well() -> None:
    """Nobody waits for it for ever."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        connection = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    with theirs:
        with PumpedSocket(connection, realtime=False) as pumped:
            os.kill(pumped._pump.pid, signal.SIGSTOP)
        assert pumped._pump.returncode == -signal.SIGKILL
