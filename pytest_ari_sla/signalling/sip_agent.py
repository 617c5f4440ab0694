"""The sockets of SIP: one for all calls that go the same way, over UDP or TCP."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING, Any

from pytest_ari_sla.ari_client.event_stream.pump import arrival_ns, ask_for_stamps
from pytest_ari_sla.errors import CallNotAnswered
from pytest_ari_sla.sip.destination import SIP_PORT
from pytest_ari_sla.sip.dialog import CallState, OutgoingCall
from pytest_ari_sla.sip.messages import Incoming, MalformedMessage, Party, read_message
from pytest_ari_sla.sip.retransmission import LONGEST_NS
from pytest_ari_sla.sip.strangers import answer_stranger
from pytest_ari_sla.sip.stream_framing import FramingError, StreamFramer
from pytest_ari_sla.udp.host_limits import kept_from_connecting, lacks_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiosipua import SipDigestAuth

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.clock import Clock
    from pytest_ari_sla.sip.destination import SipDestination
    from pytest_ari_sla.sip.sdp import OwnStream

__all__ = ["AgentCall", "SipAgent"]

_CONNECT_TIMEOUT_S = 5.0
_ANCILLARY_BYTES = 256
_LINGER_NS = LONGEST_NS
"""So long may the other side send its last response again (RFC 3261, 17.1.1.2: timer D)."""


class AgentCall:
    """A call, and whom to tell when something happens to it."""

    def __init__(self, call: OutgoingCall, changed: Callable[[], None]) -> None:
        self.call = call
        self._changed = changed
        self._news = asyncio.Event()
        self.timer: asyncio.TimerHandle | None = None

    def tell(self) -> None:
        """Wake up whoever waits."""
        self._news.set()
        self._changed()

    async def until(self, condition: Callable[[OutgoingCall], bool]) -> None:
        """Wait until something is so."""
        while not condition(self.call):
            self._news.clear()
            await self._news.wait()


class SipAgent:
    """Makes calls to one place; use :meth:`open`, and :meth:`aclose` when all of them have ended.

    Attributes
    ----------
    local
        Our own address.
    ignored
        Messages that were none, or that belonged to nothing.
    """

    def __init__(self, destination: SipDestination, clock: Clock = time) -> None:
        self._destination = destination
        self._clock = clock
        self._calls: dict[str, AgentCall] = {}
        self._ended: list[tuple[int, str]] = []
        self._udp: asyncio.DatagramTransport | None = None
        self._stream: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._reconnecting: asyncio.Task[None] | None = None
        self.remote: Address = ("", 0)
        self.local: Address = ("", 0)
        self.ignored = 0

    async def open(self) -> None:
        """Open the socket.

        Raises
        ------
        CallNotAnswered
            The host has no address, or does not take connections.
        """
        wanted, loop = self._destination, asyncio.get_running_loop()
        where = f"{wanted.host}:{wanted.port or SIP_PORT} ({wanted.protocol})"
        try:
            # IPv4 alone: our session descriptions know no other.
            found = await loop.getaddrinfo(wanted.host, wanted.port or SIP_PORT, family=socket.AF_INET)
            self.remote = str(found[0][4][0]), int(found[0][4][1])
            if wanted.protocol == "udp":
                own = _StampedSocket(socket.AF_INET, socket.SOCK_DGRAM)
                # Not the wildcard: this address stands in Via and Contact.
                own.bind((_local_host(self.remote), 0))
                self._udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self, own), sock=own)
                self.local = self._udp.get_extra_info("sockname")[:2]
            else:
                await self._connect()
        except (OSError, TimeoutError) as problem:
            limit = lacks_files() if isinstance(problem, socket.gaierror) else kept_from_connecting(problem, where)
            if limit is not None:
                raise limit from problem
            raise CallNotAnswered(f"SIP at {where} cannot be reached: {str(problem) or 'it timed out'}") from problem

    async def _connect(self) -> None:
        loop, own = asyncio.get_running_loop(), _StampedSocket(socket.AF_INET, socket.SOCK_STREAM)
        own.setblocking(False)  # or sock_connect would hold up the event loop
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await loop.sock_connect(own, self.remote)
            self._stream, _ = await loop.create_connection(lambda: _Stream(self, own), sock=own)
        except BaseException:
            own.close()
            raise
        self.local = self._stream.get_extra_info("sockname")[:2]

    def party(self, user: str, display: str, account: SipDigestAuth | None) -> Party:
        """Return who we are here."""
        return Party(self.local, self._destination.protocol, user, display, account)

    def invite(
        self,
        party: Party,
        target: str,
        stream: OwnStream,
        headers: dict[str, str],
        changed: Callable[[], None],
        name: str = "",
    ) -> AgentCall:
        """Begin a call to a SIP URI; ``changed`` is called when something happens, ``name`` begins its Call-ID."""
        call = OutgoingCall(party, target, stream, self._clock.monotonic_ns(), headers, name)
        held = self._calls[call.call_id] = AgentCall(call, changed)
        self._serve(held)
        return held

    def hang_up(self, held: AgentCall) -> None:
        """End a call."""
        held.call.hang_up(self._clock.monotonic_ns())
        self._serve(held)

    def take(self, data: bytes, source: Address, arrived_ns: int) -> None:
        """Take in a message, whatever it is, that arrived at a time (monotonic)."""
        try:
            incoming = read_message(data)
        except MalformedMessage:
            self.ignored += 1
            return
        held = self._calls.get(incoming.call_id)
        if held is None:
            self._refuse(incoming, source)
            return
        held.call.receive(incoming, arrived_ns)
        self._serve(held)
        held.tell()

    def _refuse(self, incoming: Incoming, source: Address) -> None:
        self.ignored += 1
        answer = answer_stranger(incoming)
        if answer is not None:
            self._send(answer, source)

    def lost_connection(self) -> None:
        """Take note that the other side has closed the TCP connection: what was in it is lost.

        The next message opens another one (RFC 3261, 18.1.1): calls that are up want to be ended as well.
        """
        self._stream = None

    def _serve(self, held: AgentCall) -> None:
        """Send what a call wants sent, and look after it again in time."""
        for message in held.call.take_outgoing():
            self._send(message, self.remote)
        if held.timer is not None:
            held.timer.cancel()
            held.timer = None
        now_ns = self._clock.monotonic_ns()
        if held.call.deadline_ns < 1 << 62:
            delay_s = max(0.0, (held.call.deadline_ns - now_ns) / 1e9)
            held.timer = asyncio.get_running_loop().call_later(delay_s, self._look_after, held)
        if held.call.state is CallState.ENDED:
            self._let_go(held.call.call_id, now_ns)

    def _look_after(self, held: AgentCall) -> None:
        held.timer = None
        held.call.advance(self._clock.monotonic_ns())
        self._serve(held)
        held.tell()

    def _let_go(self, call_id: str, now_ns: int) -> None:
        """Forget what ended long ago; a call that has just ended may still be asked about."""
        if not self._ended or self._ended[-1][1] != call_id:
            self._ended.append((now_ns, call_id))
        while self._ended and now_ns - self._ended[0][0] > _LINGER_NS:
            self._calls.pop(self._ended.pop(0)[1], None)

    def _send(self, message: bytes, to: Address) -> None:
        if self._udp is not None:
            self._udp.sendto(message, to)
        elif self._stream is not None:
            self._stream.write(message)
        else:
            self._unsent.append(message)
            if self._reconnecting is None:
                self._reconnecting = asyncio.create_task(self._reconnect())

    async def _reconnect(self) -> None:
        """Connect again, and send what has waited for it; where that fails, calls end as nobody responds to them."""
        try:
            await self._connect()
        except (OSError, TimeoutError):
            self.ignored += len(self._unsent)
        unsent, self._unsent, self._reconnecting = self._unsent, [], None
        if self._stream is not None:
            self._stream.writelines(unsent)

    async def aclose(self) -> None:
        """Close the socket, with all that is still to be sent."""
        for held in self._calls.values():
            if held.timer is not None:
                held.timer.cancel()
        if self._reconnecting is not None:
            self._reconnecting.cancel()
            await asyncio.wait([self._reconnecting])
        for transport in (self._udp, self._stream):
            if transport is not None:
                transport.close()
        await asyncio.sleep(0)  # what asyncio has to do to close them


class _StampedSocket(socket.socket):
    """A socket that tells when what was read last had arrived: an event loop that is busy comes round to it later.

    Attributes
    ----------
    arrived_ns
        By the kernel, on the monotonic clock.
    """

    def __init__(self, family: int, kind: int) -> None:
        super().__init__(family, kind)
        self.arrived_ns = 0
        ask_for_stamps(self)

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Receive, and take the kernel's time."""
        return self.recvfrom(size, flags)[0]

    def recvfrom(self, size: int, flags: int = 0, /) -> tuple[bytes, Any]:
        """Receive, and take the kernel's time."""
        data, ancillary, _, address = self.recvmsg(size, _ANCILLARY_BYTES, flags)
        self.arrived_ns = arrival_ns(ancillary, time.monotonic_ns())
        return data, address


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, agent: SipAgent, own: _StampedSocket) -> None:
        self._agent = agent
        self._own = own

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._agent.take(data, addr[:2], self._own.arrived_ns)

    def error_received(self, exc: Exception) -> None:
        """Leave it to the retransmissions: nobody can tell which call it belongs to."""


class _Stream(asyncio.Protocol):
    def __init__(self, agent: SipAgent, own: _StampedSocket) -> None:
        self._agent = agent
        self._own = own
        self._framer = StreamFramer()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._framer.feed(data)
        except FramingError:
            self._agent.ignored += 1
            self._transport.close()  # nobody can tell where the next message begins
            return
        for message in messages:
            self._agent.take(message, self._agent.remote, self._own.arrived_ns)

    def connection_lost(self, exc: Exception | None) -> None:
        self._agent.lost_connection()


def _local_host(remote: Address) -> str:
    """Return the address that packets to somewhere leave from."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Sends nothing over UDP: the kernel picks a route, and with it the source address.
        probe.connect(remote)
        host: str = probe.getsockname()[0]
        return host
