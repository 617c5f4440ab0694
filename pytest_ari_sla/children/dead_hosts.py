"""TCP connections to hosts that can lose their power: nobody closes those, and TCP by itself waits for hours."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

__all__ = ["NOTICED_S", "notice_dead_host", "notice_dead_host_of"]

NOTICED_S = 9
"""A host that answers nothing for so long is dead; a process that is only stopped has a kernel that answers."""

_IDLE_S, _EVERY_S = 3, 2  # after 3 s of silence 3 probes, 2 s apart: 9 s


def notice_dead_host(stream: socket.socket) -> None:
    """Let a TCP connection break when the host at its other end is gone without a word.

    Both ways: with nothing to send (keep-alive probes) and with data that nobody acknowledges (TCP_USER_TIMEOUT, which
    with probes also says when to give up: tcp(7)). Any other kind of socket is left as it is.
    """
    with suppress(OSError):  # a connection that has broken already is found by whoever reads it
        if stream.family not in (socket.AF_INET, socket.AF_INET6):
            return
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (
            ("TCP_KEEPIDLE", _IDLE_S),
            ("TCP_KEEPINTVL", _EVERY_S),
            ("TCP_KEEPCNT", (NOTICED_S - _IDLE_S) // _EVERY_S),
            ("TCP_USER_TIMEOUT", NOTICED_S * 1000),
        ):
            if hasattr(socket, option):  # not every system has all of them
                stream.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def notice_dead_host_of(gateway: Any) -> None:
    """Do so for the connection of an execnet gateway, where that is a socket: ssh has options of its own for it."""
    # execnet has no public way to its connection.
    stream = getattr(getattr(gateway, "_io", None), "sock", None)
    if stream is not None:
        notice_dead_host(stream)
