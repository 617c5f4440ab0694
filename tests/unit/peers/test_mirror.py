"""What the mirror says to those who command it."""

from __future__ import annotations

import socket

from pytest_ari_sla.peers.control import TakeSnapshot, decode_reply, encode
from pytest_ari_sla.peers.echo.mirror import refuse
from pytest_ari_sla.peers.ready_loop import ControlSession, ReadyLoop


def test_a_mirror_that_is_asked_for_something_refuses_and_goes_on() -> None:
    """It has nothing to tell, and does not die of the question."""
    ours, theirs = socket.socketpair()
    with ReadyLoop() as loop, theirs:
        ControlSession(loop, ours, refuse, loop.stop)
        for number in (1, 2):
            theirs.sendall(encode(TakeSnapshot(number=number)))
        theirs.shutdown(socket.SHUT_WR)
        loop.run(lambda: None, lambda: None)
        replies = [decode_reply(line) for line in theirs.recv(1 << 16).splitlines()]
    assert [(reply.number, reply.error) for reply in replies] == [
        (number, "a mirror has no answer to TakeSnapshot") for number in (1, 2)
    ]
