"""Channels whose media travels over TCP: AudioSocket, and WebSockets that Asterisk or its peer connects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_ari_sla.targets.simulator.pbx.audio.frames import frame_bytes
from pytest_ari_sla.targets.simulator.pbx.causes import NORMAL
from pytest_ari_sla.targets.simulator.pbx.reply import Refused
from pytest_ari_sla.targets.simulator.pbx.resources import Channel, PeerConnection
from pytest_ari_sla.targets.simulator.pbx.state import MediaUnavailable

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from uuid import UUID

    from pytest_ari_sla.targets.simulator.pbx.calls import Calls
    from pytest_ari_sla.targets.simulator.pbx.state import PbxState

__all__ = ["INCOMING", "INTERNAL", "Streams"]

INCOMING = "INCOMING"
INTERNAL = "An internal error prevented this request from being handled"
_OPTION = re.compile(r"([a-z])(?:\(([^()]*)\))?")
_OPTIONS = frozenset("cnvpfd")
# AST_CAUSE_NO_ROUTE_DESTINATION: what chan_websocket.c sets where it cannot connect.
_NO_ROUTE = 3


class Streams:
    """Channels of AudioSocket and chan_websocket.

    Parameters
    ----------
    state
        State of the PBX.
    calls
        The rules of channels.
    """

    def __init__(self, state: PbxState, calls: Calls) -> None:
        self._state = state
        self._calls = calls

    def audiosocket(
        self,
        channel_id: str,
        service: str,
        uuid: UUID,
        payload_format: str,
        app: tuple[str, str],
        variables: Mapping[str, str],
        connection: socket.socket,
    ) -> Channel:
        """Make a channel on a connection that is up; it is answered at once."""
        channel = Channel(channel_id, f"AudioSocket/{service}-{uuid}", self._state.timestamp(), has_media=True)
        channel.dial_string = f"{service}/{uuid}"
        channel.variables = {"AUDIOSOCKET_UUID": str(uuid), "AUDIOSOCKET_SERVICE": service}
        try:
            self._state.media.open_audiosocket(channel_id, connection, payload_format, uuid.bytes)
        except MediaUnavailable as error:
            raise Refused(500, INTERNAL) from error
        self._calls.begin_external(channel, app, variables)
        return channel

    def websocket(
        self,
        channel_id: str,
        section: str,
        payload_format: str,
        app: tuple[str, str],
        variables: Mapping[str, str],
        *,
        transport_data: str,
        direction: str,
    ) -> Channel:
        """Make a channel that is answered once its peer is connected."""
        options = _parse(transport_data)
        if section == INCOMING and "v" in options:
            raise Refused(500, INTERNAL)
        name = f"WebSocket/{section}/{0x7F0000000000 + self._state.number() * 16:#x}"
        channel = Channel(channel_id, name, self._state.timestamp(), has_media=True)
        told = f"{transport_data}d({direction})" if direction else transport_data
        channel.dial_string = f"{section}/{told}" if told else section
        connection_id = self._state.new_uuid() if section == INCOMING else section
        uri = "" if section == INCOMING else self._state.websocket_clients[section]["uri"]
        size = frame_bytes(payload_format)
        channel.variables = {
            "MEDIA_WEBSOCKET_OPTIMAL_FRAME_SIZE": str(size),
            "MEDIA_WEBSOCKET_CONNECTION_ID": connection_id,
        }
        channel.peer = PeerConnection(
            id=connection_id,
            uri=_with_parameters(uri, options.get("v", "")),
            options={
                "channel_id": channel_id,
                "channel": channel.name,
                "connection_id": connection_id,
                "format": payload_format,
                "frame_bytes": size,
                "encoding": "json" if options.get("f") == "json" else "plain-text",
                "direction": direction or options.get("d") or "both",
                "auto_answer": "n" not in options,
                # Without a fixed size there is nothing to cut by: each message is a frame then.
                "is_passthrough": "p" in options or size == 0,
                "variables": channel.variables,
            },
        )
        self._calls.begin_external(channel, app, variables)
        return channel

    def awaited(self, connection_id: str) -> Channel:
        """Return the channel that awaits a connection; refuse with 404 or 409 where none does, or it has one."""
        for channel in self._state.channels:
            if channel.peer is not None and not channel.peer.uri and channel.peer.id == connection_id:
                if channel.peer.is_connected:
                    raise Refused(409, "Another websocket connection exists for this connection id")
                return channel
        raise Refused(404, "WebSocket instance not found")

    def connected(self, channel: Channel, connection: socket.socket, received: bytes) -> None:
        """Let a channel have the connection that was made for it; where it has gone meanwhile, that ends too."""
        peer = channel.peer
        if peer is None or self._state.find_channel(channel.id) is not channel or channel.ending:
            connection.close()
            return
        peer.is_connected = True
        options = {**peer.options, "variables": dict(channel.variables)}
        try:
            self._state.media.open_websocket(channel.id, connection, received, options, is_client=bool(peer.uri))
        except MediaUnavailable:
            self.failed(channel)

    def failed(self, channel: Channel) -> None:
        """End a channel that could not be connected."""
        if self._state.find_channel(channel.id) is channel and not channel.ending:
            self._calls.destroy(channel, _NO_ROUTE)

    def hear(self, word: str, channel_id: str) -> None:
        """Take what the media plane tells of a channel: see ``MediaPlane``."""
        channel = self._state.find_channel(channel_id)
        if channel is None or channel.ending:
            return
        if word == "answer":
            self._calls.answered(channel)
            return
        if channel.peer is not None:
            self._state.publish_channel("ChannelHangupRequest", channel, cause=NORMAL)
        self._calls.end(channel, 0)


def _parse(transport_data: str) -> dict[str, str]:
    """Return the options of a dial string, by their letters; refuse what Asterisk cannot read."""
    options: dict[str, Any] = {match[1]: match[2] or "" for match in _OPTION.finditer(transport_data)}
    if _OPTION.sub("", transport_data) or not options.keys() <= _OPTIONS:
        raise Refused(500, INTERNAL)
    return options


def _with_parameters(uri: str, parameters: str) -> str:
    """Return a URI with the parameters of ``v(…)``, which have commas between them."""
    if not parameters:
        return uri
    return f"{uri}{'&' if urlsplit(uri).query else '?'}{parameters.replace(',', '&')}"
