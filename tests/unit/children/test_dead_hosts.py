from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from pytest_ari_sla.children.dead_hosts import NOTICED_S, notice_dead_host, notice_dead_host_of


def options_of(stream: socket.socket) -> tuple[bool, int]:
    """Return whether a connection is probed, and for how many ms nothing has to come before it breaks."""
    probed = bool(stream.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
    return probed, stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)


@pytest.fixture
def stream() -> socket.socket:
    """Return a TCP socket."""
    return socket.socket()


def test_a_connection_breaks_when_the_other_host_is_dead(stream: socket.socket) -> None:
    """Within less than ten seconds, whether or not there is something to send."""
    with stream:
        notice_dead_host(stream)
        assert options_of(stream) == (True, NOTICED_S * 1000)
        idle, every, times = (
            stream.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        assert idle + every * times == NOTICED_S < 10


def test_a_connection_within_this_host_is_left_as_it_is() -> None:
    """A pair of sockets has no other host."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        notice_dead_host(ours)
        assert not ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_gateways_socket_is_found_where_it_has_one(stream: socket.socket) -> None:
    """Gateways over ssh and those of this host have pipes."""
    with stream:
        notice_dead_host_of(SimpleNamespace(_io=SimpleNamespace(sock=stream)))
        notice_dead_host_of(SimpleNamespace(_io=SimpleNamespace(popen=None)))
        assert options_of(stream)[0]
