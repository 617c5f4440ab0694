"""Sends everything back from many ports: the peer of a measurement of this machine alone.

Asterisk gives each call a port of its own, so the caller's sockets expect that. What comes is sent back by clock, not
at once: the caller does the same work for it, and this process takes little of the machine.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.children.child import CONTROL_OPTION, inherited_control
from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.peers.media_process import MediaProcess
from pytest_ari_sla.peers.ready_loop import ControlSession, ReadyLoop
from pytest_ari_sla.peers.reflector import BATCH, MOST_BATCHES, PACKET_WIDTH
from pytest_ari_sla.udp.batched import make_receiver, make_sender
from pytest_ari_sla.udp.datagrams import DatagramMemory, open_udp_socket, prepare_socket
from pytest_ari_sla.udp.pacing_timer import ask_for_realtime

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from pytest_ari_sla.peers.control import AnyRequest

__all__ = ["Mirror", "MirrorProcess", "main", "refuse"]

_ROUND_NS = 20_000_000
"""Each socket is looked at once in so long: packet times are no shorter, so it finds about one packet of each call."""

_STEPS = 10  # a tenth of the sockets each 2 ms: all of them at once would be a burst


class Mirror:
    """Sends back what sockets receive, a share of them at a time."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self._sockets = sockets
        memory = DatagramMemory.allocate(BATCH, PACKET_WIDTH)
        self._receiver, self._sender = make_receiver(memory), make_sender(memory)
        self._rows = np.arange(BATCH)
        self._step = 0
        self.next_due_ns = time.monotonic_ns()

    def turn(self) -> None:
        """Serve the next share of the sockets."""
        for udp in self._sockets[self._step :: _STEPS]:
            self._send_back(udp)
        self._step = (self._step + 1) % _STEPS
        # After a stall it goes on from now: steps made up for would come as a burst.
        self.next_due_ns = max(self.next_due_ns + _ROUND_NS // _STEPS, time.monotonic_ns())

    def _send_back(self, udp: socket.socket) -> None:
        for _ in range(MOST_BATCHES):
            received = self._receiver.receive(udp, 0, BATCH)
            if received:
                self._sender.send_rows(udp, self._rows[:received])
            if received < BATCH:
                return


class MirrorProcess:
    """A mirror on this machine's loopback; a context manager.

    Parameters
    ----------
    ports
        How many.

    Attributes
    ----------
    addresses
        Where it listens, while it runs.
    """

    def __init__(self, ports: int) -> None:
        self._process = MediaProcess("pytest_ari_sla.peers.echo.mirror", [str(ports)])

    def __enter__(self) -> MirrorProcess:
        self.addresses = [("127.0.0.1", port) for port in self._process.launch()]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()


def main(argv: Sequence[str] | None = None) -> int:
    """Run a mirror until its control connection ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("ports", type=int)
    parser.add_argument(CONTROL_OPTION, type=int, required=True)
    options = parser.parse_args(argv)
    with ExitStack() as stack, ReadyLoop() as loop:
        sockets = [stack.enter_context(open_udp_socket(("127.0.0.1", 0))) for _ in range(options.ports)]
        for udp in sockets:
            prepare_socket(udp)
        mirror = Mirror(sockets)
        control = ControlSession(loop, inherited_control(options.control_fd), refuse, loop.stop)
        control.greet([udp.getsockname()[1] for udp in sockets])
        ask_for_realtime()  # it stands for another machine, whose cores nobody else uses
        loop.run(lambda: mirror.next_due_ns, mirror.turn)
    return 0


def refuse(request: AnyRequest) -> None:
    """Answer a request.

    Raises
    ------
    UsageError
        Whatever it is: a mirror only sends back.
    """
    raise UsageError(f"a mirror has no answer to {type(request).__name__}")


if __name__ == "__main__":
    sys.exit(main())
