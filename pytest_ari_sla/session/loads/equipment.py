"""What loads and tests use besides the target: ports, ARI sessions, callers, the echo server and the relay."""

from __future__ import annotations

import os
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from pytest_ari_sla.ari_client.removal.ownership import session_prefix
from pytest_ari_sla.ari_client.session import AriSession
from pytest_ari_sla.ari_client.tls import held_certificates
from pytest_ari_sla.children.guarding import Protection, protect
from pytest_ari_sla.children.wards import RemoveResources
from pytest_ari_sla.load.planning.voices import echo_media
from pytest_ari_sla.media.call_media import MediaPlan
from pytest_ari_sla.media.caller_worker import CallerWorker
from pytest_ari_sla.media.transport import MediaSite
from pytest_ari_sla.peers.echo.echo_process import EchoServerProcess
from pytest_ari_sla.peers.own_peers import OwnPeers
from pytest_ari_sla.peers.relay.relay_client import RelayProcess, RelayWorker
from pytest_ari_sla.session.loads.media_addresses import MediaAddresses, media_addresses
from pytest_ari_sla.settings import DEFAULT_TRANSPORT
from pytest_ari_sla.udp.port_leases import DEFAULT_RTP_PORTS, PortManager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.load.calls.call_tools import RelayControl
    from pytest_ari_sla.session.loads.coordination import Coordination
    from pytest_ari_sla.session.plugins.registry import Registry
    from pytest_ari_sla.settings import Settings

__all__ = ["Equipment"]


class Equipment:
    """Each piece is started when it is needed for the first time.

    Parameters
    ----------
    settings, registry
        What the user asked for, and what plug-ins registered.
    coordination
        The run, and this process's place in it.
    """

    def __init__(self, settings: Settings, registry: Registry, coordination: Coordination) -> None:
        self._settings = settings
        self._registry = registry
        self._coordination = coordination
        self._id_prefix = coordination.facts.id_prefix(coordination.number)
        self._stack = ExitStack()
        self._ports: PortManager | None = None
        self._echo: EchoServerProcess | None = None
        self._relay: RelayProcess | None = None
        self._sessions = 0
        self._protection: Protection | None = None

    def media(self) -> MediaAddresses:
        """Return where media ends."""
        return media_addresses(self._settings, self._coordination.own_address)

    def ports(self) -> PortManager:
        """Return the session's port manager."""
        if self._ports is None:
            low, high = self._settings.rtp_ports or DEFAULT_RTP_PORTS
            self._ports = self._stack.enter_context(PortManager(low, high, host=self.media().bound))
        return self._ports

    def site(self) -> MediaSite:
        """Return where media ends on this machine."""
        return MediaSite(self.media().announced, self.ports())

    def ari_session(self) -> AriSession:
        """Return a new ARI session with an application of its own, not opened yet."""
        endpoint, identity = self._coordination.facts.target().endpoint, self.new_id()
        return AriSession(
            endpoint.base_url,
            endpoint.user,
            endpoint.password,
            app=identity,
            id_prefix=identity,
            trust=self._settings.ari_trust,
            media_host=self.media().asterisk,
        )

    def caller(self, legs: int, codec_name: str) -> CallerWorker:
        """Return a caller of so many echoed legs, not started yet."""
        registry = self._registry
        codec = registry.codec(codec_name)
        packet_time_ms = codec.packet_times_ms[0]
        plan = MediaPlan(legs, echo_media(codec, packet_time_ms), packet_time_ms, realtime=self._settings.realtime)
        transport = registry.transport(DEFAULT_TRANSPORT)
        return CallerWorker(plan, transport, self.site(), registry.trackers.values(), registry.owners)

    def relay_process(self, echo: Address) -> RelayProcess:
        """Return a relay to an echo server, not started yet."""
        ports, media = self.ports(), self.media()
        return RelayProcess(
            echo,
            media.bound,
            (ports.low, ports.high),
            announced=media.announced,
            realtime=self._settings.realtime,
        )

    @asynccontextmanager
    async def open_relay(self) -> AsyncIterator[RelayControl]:
        """Connect to the relay: the user's, or one that is started now."""
        if self._settings.relay is not None:
            async with await RelayWorker.at(self._settings.relay) as worker:
                yield worker
            return
        with self.relay_process(self._echo_address()) as process:
            self._relay = process
            try:
                async with await process.connect() as worker:
                    peers = OwnPeers(worker, process, self._echo)
                    await peers.begin()
                    yield peers
            finally:
                self._relay = None  # stopped by us: `ensure_alive` must not miss it

    def _echo_address(self) -> Address:
        """Return the address of the echo server: the user's, or one that is started now."""
        if self._settings.echo is not None:
            return self._settings.echo
        if self._echo is None:
            self._echo = self._stack.enter_context(
                EchoServerProcess(host=self.media().local, realtime=self._settings.realtime)
            )
        return self._echo.address

    def ensure_alive(self) -> None:
        """Raise the error of a process of ours that has ended: what it no longer returns is not lost on the network."""
        for process in (self._echo, self._relay):
            if process is not None:
                process.ensure_alive()

    def new_id(self) -> str:
        """Return what begins the ids of one ARI session at Asterisk; different for every one, in every process."""
        if self._protection is None:  # before anything can be made under such an id
            self._protection = self._protect_target()
        self._sessions += 1
        return session_prefix(self._id_prefix, self._sessions)

    def _protect_target(self) -> Protection | None:
        """Have what we make at somebody else's Asterisk removed if we cannot; one of ours ends with us."""
        target, settings = self._coordination.facts.target(), self._settings
        if target.kind != "external":
            return None
        ward = RemoveResources(
            url=target.url,
            user=target.user,
            password=target.password,
            prefix=self._id_prefix,
            trust=settings.ari_trust,
        )
        # Read here, where somebody hears of a mistake; its file may be gone when the guard needs it.
        certificates = held_certificates(settings.ari_trust)
        try:
            return protect(ward, certificates)
        finally:
            if certificates is not None:
                os.close(certificates)

    def close(self) -> None:
        """Stop everything that was started."""
        self._stack.close()

    def release(self) -> None:
        """Let the guard forget the target: nothing of ours is left there."""
        if self._protection is not None:
            self._protection.release()
