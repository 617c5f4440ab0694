"""ARI's requests as methods with typed results.

What creates something writes it down first (`Ledger`), and what needs a channel in the application waits for the
channel's StasisStart first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pytest_ari_sla.ari.resources import (
    Application,
    AsteriskInfo,
    AsteriskPing,
    Bridge,
    Channel,
    ExternalMedia,
    LiveRecording,
    Playback,
    Variable,
)
from pytest_ari_sla.errors import AriAuthenticationFailed, AriRequestFailed, NotAnAsterisk
from pytest_ari_sla.transport.ari_ownership import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_ari_sla.transport.ari_client import AriClient, Clock, QueryValue
    from pytest_ari_sla.transport.ari_events import EventStream
    from pytest_ari_sla.transport.ari_ownership import Ledger
    from pytest_ari_sla.transport.ari_watch import ChannelWatch

__all__ = ["AriCommands"]

T = TypeVar("T")

#: Answers that say: this was not carried out.
_REFUSALS = (AriRequestFailed, AriAuthenticationFailed, NotAnAsterisk)

_CHANNEL = "/channels/{channelId}"
_BRIDGE = "/bridges/{bridgeId}"


class AriCommands:
    """The verbs of `AriSession`."""

    app: str
    client: AriClient
    _clock: Clock
    _stream: EventStream
    _ledger: Ledger

    def watch(self, channel_id: str) -> ChannelWatch:
        """Return the watch over a channel; see `AriSession.watch`."""
        raise NotImplementedError

    def _known_watch(self, channel_id: str) -> ChannelWatch | None:
        """Return the watch over a channel, if there is one; see `AriSession`."""
        raise NotImplementedError

    # --- Asterisk ---

    async def info(self) -> AsteriskInfo:
        """Return version, limits and start time of Asterisk."""
        return await self.client.fetch(AsteriskInfo, "GET", "/asterisk/info")

    async def ping(self) -> AsteriskPing:
        """Ask for a sign of life; it comes also while channels are stuck."""
        return await self.client.fetch(AsteriskPing, "GET", "/asterisk/ping")

    async def application(self, name: str | None = None) -> Application:
        """Return a Stasis application, by default our own."""
        return await self.client.fetch(
            Application, "GET", "/applications/{applicationName}", path={"applicationName": name or self.app}
        )

    async def channels(self) -> list[Channel]:
        """Return all channels, also those of others."""
        return await self.client.fetch(list[Channel], "GET", "/channels")

    async def bridges(self) -> list[Bridge]:
        """Return all bridges, also those of others."""
        return await self.client.fetch(list[Bridge], "GET", "/bridges")

    async def channel(self, channel_id: str) -> Channel:
        """Return one channel, as Asterisk has it in its cache."""
        return await self.client.fetch(Channel, "GET", _CHANNEL, path={"channelId": channel_id})

    async def bridge(self, bridge_id: str) -> Bridge:
        """Return one bridge."""
        return await self.client.fetch(Bridge, "GET", _BRIDGE, path={"bridgeId": bridge_id})

    async def request(
        self,
        method: str,
        route: str,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, QueryValue] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Send any other request; see `AriClient.request`.

        What it creates is removed at the end only if its id is from `new_id`.
        """
        return await self.client.request(method, route, path, query, body)

    # --- channels: making ---

    async def external_media(
        self,
        channel_id: str,
        external_host: str,
        format: str,
        *,
        encapsulation: str | None = None,
        transport: str | None = None,
        connection_type: str | None = None,
        direction: str | None = None,
        data: str | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> ExternalMedia:
        """Create a channel that exchanges media with ``external_host`` (``host:port``).

        Returns
        -------
        The channel, and the address at Asterisk that takes our RTP. StasisStart may have come by then, or come later:
        ``session.watch(channel_id).in_stasis()`` waits for it.

        Raises
        ------
        AriRequestFailed
            Asterisk refused: an unknown format, no free RTP port, an id in use, or no ExternalMedia (404).
        """
        query: dict[str, QueryValue] = {
            "channelId": channel_id,
            "app": self.app,
            "external_host": external_host,
            "format": format,
            "encapsulation": encapsulation,
            "transport": transport,
            "connection_type": connection_type,
            "direction": direction,
            "data": data,
        }
        channel = await self._create_channel("/channels/externalMedia", channel_id, query, variables)
        is_rtp = encapsulation in (None, "rtp")
        return ExternalMedia(channel, await self._local_address(channel) if is_rtp else ("", 0))

    async def _local_address(self, channel: Channel) -> tuple[str, int]:
        """Return where Asterisk takes a channel's RTP; asked for where the answer does not hold it."""
        host = channel.channelvars.get("UNICASTRTP_LOCAL_ADDRESS")
        port = channel.channelvars.get("UNICASTRTP_LOCAL_PORT")
        if not host or not port:
            host = await self.get_variable(channel.id, "UNICASTRTP_LOCAL_ADDRESS")
            port = await self.get_variable(channel.id, "UNICASTRTP_LOCAL_PORT")
        if not port.isdecimal():
            raise AriRequestFailed(
                "GET", f"/channels/{channel.id}/variable", 200, f"UNICASTRTP_LOCAL_PORT is {port!r}, not a port"
            )
        return host, int(port)

    async def originate(
        self,
        channel_id: str,
        endpoint: str,
        *,
        context: str | None = None,
        extension: str | None = None,
        priority: int | None = None,
        app_args: str | None = None,
        caller_id: str | None = None,
        timeout_s: int | None = None,
        other_channel_id: str | None = None,
        originator: str | None = None,
        formats: str | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Channel:
        """Create a channel and dial it; it enters our application, or the dialplan where an extension is given."""
        query: dict[str, QueryValue] = {
            "channelId": channel_id,
            "endpoint": endpoint,
            "app": self.app if extension is None else None,
            "appArgs": app_args,
            "context": context,
            "extension": extension,
            "priority": priority,
            "callerId": caller_id,
            "timeout": timeout_s,
            "otherChannelId": other_channel_id,
            "originator": originator,
            "formats": formats,
        }
        return await self._create_channel("/channels", channel_id, query, variables)

    async def create(
        self,
        channel_id: str,
        endpoint: str,
        *,
        app_args: str | None = None,
        other_channel_id: str | None = None,
        originator: str | None = None,
        formats: str | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Channel:
        """Create a channel that enters our application before it is dialled; see `dial`."""
        query: dict[str, QueryValue] = {
            "channelId": channel_id,
            "endpoint": endpoint,
            "app": self.app,
            "appArgs": app_args,
            "otherChannelId": other_channel_id,
            "originator": originator,
            "formats": formats,
        }
        return await self._create_channel("/channels/create", channel_id, query, variables)

    async def snoop(
        self, channel_id: str, snoop_id: str, *, spy: str = "both", whisper: str = "none", app_args: str | None = None
    ) -> Channel:
        """Create a channel that listens (``spy``) or talks (``whisper``) to another: in, out, both or none."""
        await self._ensure_in_stasis(channel_id)
        query: dict[str, QueryValue] = {"app": self.app, "spy": spy, "whisper": whisper, "appArgs": app_args}
        return await self._create_channel(
            _CHANNEL + "/snoop/{snoopId}", snoop_id, query, path={"channelId": channel_id, "snoopId": snoop_id}
        )

    async def _create_channel(
        self,
        route: str,
        channel_id: str,
        query: Mapping[str, QueryValue],
        variables: Mapping[str, str] | None = None,
        path: Mapping[str, str] | None = None,
    ) -> Channel:
        """Have a channel made: watched and written down before the request goes out."""
        await self._stream.wait_open()
        watch = self.watch(channel_id)
        self._ledger.add(Kind.CHANNEL, channel_id)
        watch.requested_ns = self._clock.monotonic_ns()
        body = None if variables is None else {"variables": dict(variables)}
        try:
            channel = await self.client.fetch(Channel, "POST", route, path=path, query=query, body=body)
        except _REFUSALS:
            self._ledger.forget(Kind.CHANNEL, channel_id)
            raise
        watch.answered()
        return channel

    # --- channels: using ---

    async def _ensure_in_stasis(self, channel_id: str) -> None:
        """Wait for a channel's own StasisStart; channels that are not watched are their user's business."""
        watch = self._known_watch(channel_id)
        if watch is not None:
            await watch.in_stasis()

    async def _tell(
        self, method: str, verb: str, channel_id: str, query: Mapping[str, QueryValue] | None = None
    ) -> None:
        """Send a request that answers nothing about a channel, once it is in the application."""
        await self._ensure_in_stasis(channel_id)
        await self.client.request(method, f"{_CHANNEL}/{verb}", {"channelId": channel_id}, query)

    async def dial(self, channel_id: str, *, caller: str | None = None, timeout_s: int | None = None) -> None:
        """Dial a channel from `create`; waits for its StasisStart, without which Asterisk answers 409."""
        await self._tell("POST", "dial", channel_id, {"caller": caller, "timeout": timeout_s})

    async def answer(self, channel_id: str) -> None:
        """Answer a channel."""
        await self._tell("POST", "answer", channel_id)

    async def ring(self, channel_id: str) -> None:
        """Indicate ringing to a channel."""
        await self._tell("POST", "ring", channel_id)

    async def stop_ringing(self, channel_id: str) -> None:
        """Stop indicating ringing."""
        await self._tell("DELETE", "ring", channel_id)

    async def hold(self, channel_id: str) -> None:
        """Put a channel on hold."""
        await self._tell("POST", "hold", channel_id)

    async def unhold(self, channel_id: str) -> None:
        """Take a channel off hold."""
        await self._tell("DELETE", "hold", channel_id)

    async def mute(self, channel_id: str, direction: str = "both") -> None:
        """Mute a channel: both, in or out."""
        await self._tell("POST", "mute", channel_id, {"direction": direction})

    async def unmute(self, channel_id: str, direction: str = "both") -> None:
        """Unmute a channel."""
        await self._tell("DELETE", "mute", channel_id, {"direction": direction})

    async def send_dtmf(
        self,
        channel_id: str,
        dtmf: str,
        *,
        before_ms: int | None = None,
        between_ms: int | None = None,
        duration_ms: int | None = None,
        after_ms: int | None = None,
    ) -> None:
        """Send DTMF digits (0-9, A-D, * and #) on a channel."""
        await self._tell(
            "POST",
            "dtmf",
            channel_id,
            {"dtmf": dtmf, "before": before_ms, "between": between_ms, "duration": duration_ms, "after": after_ms},
        )

    async def continue_in_dialplan(self, channel_id: str, context: str, extension: str, priority: int = 1) -> None:
        """Let a channel leave the application and go on in the dialplan."""
        await self._tell(
            "POST", "continue", channel_id, {"context": context, "extension": extension, "priority": priority}
        )

    async def get_variable(self, channel_id: str, variable: str) -> str:
        """Return a channel variable or function; hangs where the channel's lock does."""
        answer = await self.client.fetch(
            Variable, "GET", _CHANNEL + "/variable", path={"channelId": channel_id}, query={"variable": variable}
        )
        return answer.value

    async def set_variable(self, channel_id: str, variable: str, value: str) -> None:
        """Set a channel variable or function."""
        await self._tell("POST", "variable", channel_id, {"variable": variable, "value": value})

    async def play(self, channel_id: str, playback_id: str, media: str | Sequence[str]) -> Playback:
        """Play media (``sound:…``, ``tone:…``, ``digits:…``, ``recording:…``) to a channel."""
        await self._ensure_in_stasis(channel_id)
        return await self.client.fetch(
            Playback,
            "POST",
            _CHANNEL + "/play/{playbackId}",
            path={"channelId": channel_id, "playbackId": playback_id},
            query={"media": media if isinstance(media, str) else ",".join(media)},
        )

    async def record(
        self,
        channel_id: str,
        name: str,
        format: str = "wav",
        *,
        max_duration_s: int | None = None,
        max_silence_s: int | None = None,
        if_exists: str | None = None,
        beep: bool | None = None,
        terminate_on: str | None = None,
    ) -> LiveRecording:
        """Record a channel into a file at Asterisk; the file is removed with everything else at the session's end."""
        await self._ensure_in_stasis(channel_id)
        self._ledger.add(Kind.RECORDING, name)
        return await self.client.fetch(
            LiveRecording,
            "POST",
            _CHANNEL + "/record",
            path={"channelId": channel_id},
            query={
                "name": name,
                "format": format,
                "maxDurationSeconds": max_duration_s,
                "maxSilenceSeconds": max_silence_s,
                "ifExists": if_exists,
                "beep": beep,
                "terminateOn": terminate_on,
            },
        )

    async def hangup(self, channel_id: str, reason: str | None = None) -> bool:
        """Hang a channel up (``normal``, ``busy``, ``congestion`` …); return False if it was gone already.

        It is told to end when this returns; ``session.watch(channel_id).destroyed()`` waits until it has.
        """
        watch = self._known_watch(channel_id)
        if watch is not None:
            watch.hangup_requested = True
        existed = await self.client.delete(_CHANNEL, {"channelId": channel_id}, {"reason": reason})
        if not existed:
            self._ledger.forget(Kind.CHANNEL, channel_id)
        return existed

    # --- bridges ---

    async def create_bridge(self, bridge_id: str, type: str = "mixing") -> Bridge:
        """Create a bridge: ``mixing``, ``holding``, or with further attributes (``mixing,dtmf_events``)."""
        await self._stream.wait_open()
        self._ledger.add(Kind.BRIDGE, bridge_id)
        return await self.client.fetch(Bridge, "POST", "/bridges", query={"bridgeId": bridge_id, "type": type})

    async def add_to_bridge(self, bridge_id: str, *channel_ids: str) -> None:
        """Put channels into a bridge, each after its own StasisStart."""
        for channel_id in channel_ids:
            await self._ensure_in_stasis(channel_id)
        await self.client.request(
            "POST", _BRIDGE + "/addChannel", {"bridgeId": bridge_id}, {"channel": ",".join(channel_ids)}
        )

    async def remove_from_bridge(self, bridge_id: str, *channel_ids: str) -> None:
        """Take channels out of a bridge; they stay in the application."""
        await self.client.request(
            "POST", _BRIDGE + "/removeChannel", {"bridgeId": bridge_id}, {"channel": ",".join(channel_ids)}
        )

    async def destroy_bridge(self, bridge_id: str) -> bool:
        """Remove a bridge; return False if it was gone already."""
        existed = await self.client.delete(_BRIDGE, {"bridgeId": bridge_id})
        self._ledger.forget(Kind.BRIDGE, bridge_id)
        return existed
