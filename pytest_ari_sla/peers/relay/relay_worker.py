"""The relay: the service under an ARI application, which sends Asterisk's RTP to an echo server and the echo back.

It runs as a process of its own: under :class:`~pytest_ari_sla.peers.relay.relay_client.RelayProcess`, or on another
host as ``ari-sla relay``. Each control connection has calls, sockets and figures of its own; they end with it.

Orders are taken without a password. The harm that a stranger could do with them is bounded: RTP goes to the one echo
server, and back only to addresses that have sent RTP themselves.
"""

from __future__ import annotations

import argparse
import gc
import signal
import socket
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from pytest_ari_sla.arguments import argument, parse_host, parse_port_range
from pytest_ari_sla.children.child import CONTROL_OPTION, inherited_control
from pytest_ari_sla.children.dead_hosts import notice_dead_host
from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.peers.addresses import address_of_peer, address_to_listen_at
from pytest_ari_sla.peers.control import PROTOCOL, Connect, Release, Reserve, TakeSnapshot
from pytest_ari_sla.peers.door import Door
from pytest_ari_sla.peers.ready_loop import ControlSession, ReadyLoop
from pytest_ari_sla.peers.reflector import PacketMover
from pytest_ari_sla.peers.relay import stream_relay
from pytest_ari_sla.peers.relay.relay_group import RELAY_METRICS, RelayFigures, RelayGroup
from pytest_ari_sla.peers.stream_command import STREAMS, transport_of
from pytest_ari_sla.udp.datagrams import host_number
from pytest_ari_sla.udp.pacing_timer import ask_for_realtime
from pytest_ari_sla.udp.port_leases import DEFAULT_RTP_PORTS, PortManager

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.peers.control import AnyRequest

__all__ = ["RELAY_METRICS", "Relay", "main"]

_SWEEP_NS = 1_000_000_000


class Relay:
    """All that a relay process does.

    Parameters
    ----------
    loop
        Where sockets are watched.
    ports
        Leases the sockets towards Asterisk.
    echo
        The echo server's address.
    announced
        What Asterisk is told to send to.
    """

    def __init__(self, loop: ReadyLoop, ports: PortManager, echo: Address, announced: str) -> None:
        self.loop = loop
        self.ports = ports
        self.echo = echo
        self.announced = announced
        self.mover = PacketMover()
        self._sessions: set[_RelaySession] = set()
        self._sweep_ns = time.monotonic_ns() + _SWEEP_NS

    def serve(self, control: socket.socket, *, only: bool) -> None:
        """Serve a control connection; the ``only`` one takes the relay along when it ends."""
        session = _RelaySession(self)

        def end() -> None:
            session.close()
            self._sessions.remove(session)
            if only:
                self.loop.stop()

        self._sessions.add(session)
        ControlSession(self.loop, control, session.answer, end).greet({"protocol": PROTOCOL})

    def take(self, control: socket.socket) -> None:
        """Serve a client that has connected over TCP."""
        # Nagle's algorithm would hold a reply back until the one before it is acknowledged, up to 40 ms.
        control.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        notice_dead_host(control)
        self.serve(control, only=False)

    def next_sweep_ns(self) -> int:
        """When :meth:`sweep` is to be called (``time.monotonic_ns``)."""
        return self._sweep_ns

    def sweep(self) -> None:
        """Give up what the echo server has not returned; once a second."""
        self._sweep_ns = time.monotonic_ns() + _SWEEP_NS
        for session in self._sessions:
            session.expire()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for session in self._sessions:
            session.close()


class _RelaySession:
    """The calls of one control connection."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._figures = RelayFigures()
        # The loop serves all clients: what stood still before this one came is none of its calls'.
        self._before = Snapshot({"harness.relay_stall": relay.loop.stalls})
        self._groups: list[RelayGroup] = []
        self._group_of: dict[str, RelayGroup] = {}

    def answer(self, request: AnyRequest) -> Any:
        """Carry a request out.

        Raises
        ------
        UsageError
            When it names a call that is not there, or there already.
        PortsExhausted
            When there is no port left to reserve.
        """
        match request:
            case Reserve(call=call):
                return self._reserve(call)
            case Connect(call=call, host=host, port=port):
                self._group(call).calls.connect(call, host_number(host), port)
            case Release(call=call):
                self._group(call).release(call)
                del self._group_of[call]
            case TakeSnapshot():
                drops = sum(group.receive_drops() for group in self._groups)
                figures = self._figures.snapshot(drops, self._relay.loop.stalls)
                return (figures - self._before).to_plain()
        return None

    def _reserve(self, call: str) -> Address:
        if call in self._group_of:
            message = f"call {call} has a place at the relay already"
            raise UsageError(message)
        # Packets of many calls at one socket make large batches, which cost less each.
        group = next((group for group in self._groups if group.reserve(call)), None)
        if group is None:
            relay = self._relay
            with ExitStack() as undone:
                lease = undone.enter_context(relay.ports.lease())
                group = RelayGroup(relay.loop, lease, relay.echo, relay.mover, self._figures)
                undone.pop_all()
            self._groups.append(group)
            group.reserve(call)
        self._group_of[call] = group
        return self._relay.announced, group.port

    def _group(self, call: str) -> RelayGroup:
        try:
            return self._group_of[call]
        except KeyError:
            message = f"call {call} has no place at the relay"
            raise UsageError(message) from None

    def expire(self) -> None:
        """Count packets as lost that left for the echo server too long ago."""
        for group in self._groups:
            group.expire()

    def close(self) -> None:
        """Close all sockets."""
        for group in self._groups:
            group.close()
        self._groups.clear()
        self._group_of.clear()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("ari-sla relay", description="Relay RTP between Asterisk and an echo server.")
    parser.add_argument(
        "--transport",
        choices=("rtp", *STREAMS),
        default="rtp",
        help="what to relay (default: %(default)s); see --transport NAME --help for the options of the others",
    )
    parser.add_argument(
        "--echo", type=argument(address_of_peer), required=True, metavar="HOST:PORT", help="where the echo server is"
    )
    parser.add_argument("--host", help="address that takes Asterisk's packets (default: where --listen listens)")
    parser.add_argument(
        "--announce",
        type=argument(parse_host),
        metavar="HOST",
        help="address for Asterisk to send to, where it is another one (NAT, containers)",
    )
    parser.add_argument(
        "--rtp-ports",
        type=argument(parse_port_range),
        default=DEFAULT_RTP_PORTS,
        metavar="LOW-HIGH",
        help="range that ports are leased from",
    )
    parser.add_argument(
        "--realtime",
        choices=("auto", "off"),
        default="auto",
        help="run under SCHED_FIFO where allowed, so that nobody's round trip waits for other programs",
    )
    control = parser.add_mutually_exclusive_group(required=True)
    control.add_argument(
        "--listen",
        type=argument(address_to_listen_at),
        metavar="HOST:PORT",
        help="TCP address to take orders at; trusted networks only",
    )
    control.add_argument(CONTROL_OPTION, type=int, help=argparse.SUPPRESS)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a relay until it is told to stop (Ctrl-C, SIGTERM, or the end of its inherited control connection)."""
    if transport_of(argv) != "rtp":
        return stream_relay.main(argv)
    parser = _parser()
    options = parser.parse_args(argv)
    host = options.host or (options.listen[0] if options.listen else "127.0.0.1")
    low, high = options.rtp_ports
    try:
        ports = PortManager(low, high, host=host)
        listener = socket.create_server(options.listen) if options.listen else None
    except (OSError, UsageError) as error:
        parser.error(str(error))
    with ports, ReadyLoop() as loop, Relay(loop, ports, options.echo, options.announce or host) as relay:
        signal.signal(signal.SIGTERM, lambda *_: loop.stop())
        if listener:
            _listen(relay, listener)
        else:
            relay.serve(inherited_control(options.control_fd), only=True)
        # The collector then never walks what start-up made: its pauses would be in somebody's round trip.
        gc.freeze()
        if options.realtime == "auto":
            ask_for_realtime()
        loop.run(relay.next_sweep_ns, relay.sweep)
    return 0


def _listen(relay: Relay, listener: socket.socket) -> None:
    signal.signal(signal.SIGINT, lambda *_: relay.loop.stop())
    Door(relay.loop, listener, relay.take)
    host, port = listener.getsockname()
    sys.stdout.write(f"relay at {host}:{port} (control), echo server at {relay.echo[0]}:{relay.echo[1]}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
