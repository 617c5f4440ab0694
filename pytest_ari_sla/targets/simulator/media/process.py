"""Media in a process of its own, so that neither HTTP nor events ever delay a packet."""

from __future__ import annotations

import errno
import resource
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from pytest_ari_sla.children.channel import Channel
from pytest_ari_sla.children.child import Child
from pytest_ari_sla.errors import MediaLoopFailed
from pytest_ari_sla.targets.simulator.media.commands import (
    Bridge,
    CloseLeg,
    Echo,
    Idle,
    LegNews,
    Mute,
    OpenAudioSocket,
    OpenLocal,
    OpenRtp,
    OpenWebSocket,
    Play,
    SendDigit,
    SetFaults,
    StopPlaying,
)
from pytest_ari_sla.targets.simulator.media.formats import PAYLOAD_TYPES
from pytest_ari_sla.targets.simulator.pbx.state import MediaUnavailable
from pytest_ari_sla.targets.target import local_address_towards
from pytest_ari_sla.udp.host_limits import host_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_ari_sla.targets.simulator.faults import Faults
    from pytest_ari_sla.targets.simulator.media.commands import Command

__all__ = ["MediaProcess"]

_GRACE_S = 0.5
_RECEIVE_BUFFER_BYTES = 1 << 18  # a second of G.711 waits in less than that


class MediaProcess:
    """A media plane (see ``state.MediaPlane``) whose packets are moved by another process; a context manager.

    Parameters
    ----------
    host
        The address that RTP comes from and goes to.
    ports
        First and last port; each channel gets an even one.
    seed
        Start of SSRCs and sequence numbers.
    """

    def __init__(self, host: str, ports: tuple[int, int], seed: int = 0) -> None:
        self._host = host
        # RFC 3550, section 11: RTP on even ports; Asterisk keeps the odd one after each for RTCP.
        self._ports = range(ports[0] + ports[0] % 2, ports[1] + 1, 2)
        self._seed = seed
        self._place = 0
        self._legs: dict[str, int] = {}
        self._used_ports: dict[int, int] = {}
        self._free_legs: list[int] = list(range(len(self._ports)))[::-1]
        self._max_channels = 0
        self._child: Child | None = None
        self._channel: Channel[LegNews] | None = None

    def __enter__(self) -> Self:
        _allow_many_files()
        arguments = [str(len(self._ports)), str(self._seed)]
        self._child = Child("pytest_ari_sla.targets.simulator.media.loop", arguments, grace_s=_GRACE_S)
        self._channel = Channel(self._child.control, LegNews)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._child is not None:
            self._child.end()

    def fileno(self) -> int:
        """Return what becomes readable when there is news, or the process is gone."""
        if self._channel is None:
            raise MediaLoopFailed("the simulator's media process was not started")
        return self._channel.fileno()

    def take_news(self) -> list[tuple[str, str]] | None:
        """Return what peers want of their channels, and which have gone (see ``MediaPlane``); None: the process has."""
        if self._child is None or self._channel is None:
            return None
        news: list[tuple[str, str]] = []
        self._child.control.setblocking(False)
        try:
            with suppress(BlockingIOError):
                while (received := self._channel.receive()) is not None:
                    news.append((received.message.word, received.message.channel))
                return None
        except OSError:
            return None
        finally:
            # Commands go by the same socket, and must wait while the other end is busy.
            self._child.control.setblocking(True)
        return news

    def set_faults(self, faults: Faults) -> None:
        """Let these faults be shown from now on."""
        self._max_channels = faults.max_media_channels
        self._tell(SetFaults(faults.describe()))

    def open(self, channel: str, remote: tuple[str, int], payload_format: str) -> tuple[str, int]:
        """Make a port for a channel that sends to ``remote``; return its host and port.

        Raises
        ------
        MediaUnavailable
            If there is none, or ``remote`` does not exist.
        """
        self._ensure_free()
        if payload_format not in PAYLOAD_TYPES:
            payload_format = "ulaw"  # Asterisk too falls back to what it can
        try:
            remote_host = socket.gethostbyname(remote[0])
        except OSError as error:
            raise MediaUnavailable from error
        local_host = self._host if self._host != "0.0.0.0" else local_address_towards(remote_host)
        with self._bind(local_host) as udp:
            leg, port = self._free_legs.pop(), udp.getsockname()[1]
            self._legs[channel], self._used_ports[leg] = leg, port
            self._tell(OpenRtp(leg, payload_format, remote_host, remote[1]), udp)
        return local_host, port

    def open_audiosocket(self, channel: str, connection: socket.socket, payload_format: str, uuid: bytes) -> None:
        """Let a channel's media come and go by a connection, which is theirs from now on.

        Raises
        ------
        MediaUnavailable
            If there are too many channels.
        """
        self._open_stream(channel, connection, lambda leg: OpenAudioSocket(leg, channel, payload_format, uuid))

    def open_websocket(
        self, channel: str, connection: socket.socket, received: bytes, options: dict[str, Any], *, is_client: bool
    ) -> None:
        """Let a channel's media come and go by a WebSocket after its handshake; what followed that was received.

        Raises
        ------
        MediaUnavailable
            If there are too many channels.
        """
        self._open_stream(channel, connection, lambda leg: OpenWebSocket(leg, channel, is_client, received, options))

    def _open_stream(self, channel: str, connection: socket.socket, order: Callable[[int], Command]) -> None:
        # The other process gets a descriptor of its own: ours is closed whether it could be told or not.
        with connection:
            self._ensure_free()
            leg = self._legs[channel] = self._free_legs.pop()
            self._tell(order(leg), connection)

    def open_local(self, near: str, far: str, payload_format: str) -> None:
        """Let what one of these channels is to say be what the other one hears.

        Raises
        ------
        MediaUnavailable
            If there are too many channels.
        """
        if len(self._free_legs) < 2:
            raise MediaUnavailable
        self._legs[near], self._legs[far] = self._free_legs.pop(), self._free_legs.pop()
        self._tell(OpenLocal(self._legs[near], self._legs[far], payload_format))

    def _ensure_free(self) -> None:
        if not self._free_legs or (self._max_channels and len(self._legs) >= self._max_channels):
            raise MediaUnavailable

    def close(self, channel: str) -> None:
        """Free a channel's port or connection; a channel without one is left alone."""
        if (leg := self._legs.pop(channel, None)) is not None:
            self._tell(CloseLeg(leg))
            self._free_legs.append(leg)
            self._used_ports.pop(leg, None)

    def digit(self, channel: str, digit: str) -> None:
        """Send a digit."""
        self._tell_leg(channel, SendDigit, digit)

    def idle(self, channel: str) -> None:
        """Neither echo nor listen to anybody."""
        self._tell_leg(channel, Idle)

    def echo(self, channel: str) -> None:
        """Send back what comes in."""
        self._tell_leg(channel, Echo)

    def bridge(self, bridge: str, channels: Sequence[str]) -> None:
        """Join exactly these channels, as far as they have media."""
        self._tell(Bridge(bridge, [self._legs[channel] for channel in channels if channel in self._legs]))

    def mute(self, channel: str, *, incoming: bool, outgoing: bool) -> None:
        """Let nothing come in or go out, or do again."""
        self._tell_leg(channel, Mute, incoming, outgoing)

    def play(self, channel: str, prompt: str) -> None:
        """Send a prompt's sound until :meth:`stop_playing`."""
        self._tell_leg(channel, Play, prompt)

    def stop_playing(self, channel: str) -> None:
        """End the prompt."""
        self._tell_leg(channel, StopPlaying)

    def _bind(self, host: str) -> socket.socket:
        """Return a socket on the next free port: ports come round, so that late packets of a call find nobody."""
        used = set(self._used_ports.values())
        # One round: then every port has been tried.
        for _ in self._ports:
            port = self._ports[self._place]
            self._place = (self._place + 1) % len(self._ports)
            if port in used:
                continue
            try:
                return _bound((host, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:  # that port is somebody else's: the next one may be free
                    raise MediaUnavailable(f"the simulator: {host_limit(error) or error.strerror}") from error
        raise MediaUnavailable

    def _tell_leg(self, channel: str, order: Callable[..., Command], *arguments: Any) -> None:
        """Tell something about a channel; one without media is left alone."""
        if (leg := self._legs.get(channel)) is not None:
            self._tell(order(leg, *arguments))

    def _tell(self, command: Command, attached: socket.socket | None = None) -> None:
        if self._channel is None:
            raise MediaLoopFailed("the simulator's media process was not started")
        try:
            self._channel.send(command, None if attached is None else attached.fileno())
        except OSError as error:
            raise MediaLoopFailed(f"the simulator's media process is gone: {error.strerror}") from error


def _bound(address: tuple[str, int]) -> socket.socket:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        udp.bind(address)
        udp.setblocking(False)
    except OSError:
        udp.close()
        raise
    return udp


def _allow_many_files() -> None:
    """Raise the limit of open files to what this user may have: each channel needs one, here and there."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
