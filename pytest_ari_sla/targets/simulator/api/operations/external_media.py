"""``POST /channels/externalMedia``: which media, checked in the order in which Asterisk checks it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from pytest_ari_sla.targets.simulator.pbx.reply import Connecting, Refused, Reply
from pytest_ari_sla.targets.simulator.pbx.streams import INCOMING, INTERNAL

if TYPE_CHECKING:
    import socket

    from pytest_ari_sla.targets.simulator.api.route import Arguments
    from pytest_ari_sla.targets.simulator.pbx.pbx import Pbx
    from pytest_ari_sla.targets.simulator.pbx.resources import Channel

__all__ = ["external_media"]

_LARGEST_PORT = 0xFFFF
_DIRECTIONS = frozenset({"", "both", "in", "out"})


def external_media(pbx: Pbx, arguments: Arguments) -> Reply:
    """Make a channel whose media goes to a host outside."""
    arguments.required("app", "app cannot be empty")
    transport, encapsulation = arguments.text("transport", "udp"), arguments.text("encapsulation", "rtp")
    _check_pair(transport, encapsulation)
    is_websocket = transport == "websocket"
    is_server = arguments.text("connection_type", "client") == "server"
    if is_server and not is_websocket:
        raise Refused(400, "'server' connection_type can only be used with the websocket transport")
    external_host = arguments.text("external_host")
    if not external_host and not is_server:
        raise Refused(400, "external_host is required for all but websocket server connections")
    if not is_websocket:
        _split(external_host)
    elif not is_server and external_host not in pbx.state.websocket_clients:
        raise Refused(400, "external_host must be a valid websocket_client connection id.")
    arguments.required("format", "format cannot be empty")
    if arguments.text("direction") not in _DIRECTIONS:
        raise Refused(400, "Invalid direction specified")
    match transport, encapsulation:
        case "udp", "rtp":
            return _rtp(pbx, arguments)
        case "tcp", "audiosocket":
            return _audiosocket(pbx, arguments)
        case "websocket", "none":
            return _websocket(pbx, arguments, INCOMING if is_server else external_host)
    raise Refused(501, "The encapsulation and/or transport is not supported")


def _check_pair(transport: str, encapsulation: str) -> None:
    if transport == "websocket" and encapsulation != "none":
        raise Refused(400, "encapsulation must be 'none' for websocket transport")
    if encapsulation == "rtp" and transport != "udp":
        raise Refused(400, "transport must be 'udp' for rtp encapsulation")
    if encapsulation == "audiosocket" and transport != "tcp":
        raise Refused(400, "transport must be 'tcp' for audiosocket encapsulation")


def _split(external_host: str) -> tuple[str, int]:
    host, colon, port = external_host.rpartition(":")
    if not colon or not port.isdigit() or int(port) > _LARGEST_PORT:
        raise Refused(400, "external_host must be <host>:<port> for all transports other than websocket")
    return host, int(port)


def _app(arguments: Arguments) -> tuple[str, str]:
    return arguments.text("app"), arguments.text("data")


def _new_channel(pbx: Pbx, arguments: Arguments) -> str:
    """Return the new channel's id; Asterisk 22 tells no reason where it refuses one, or a format."""
    try:
        pbx.calls.check_formats([arguments.text("format")])
        return pbx.calls.local_ids(arguments.text("channelId"))[0]
    except Refused as refused:
        raise Refused(500, INTERNAL) from refused


def _reply(channel: Channel) -> Reply:
    return Reply(body={**channel.describe(), "channelvars": dict(channel.variables)})


def _rtp(pbx: Pbx, arguments: Arguments) -> Reply:
    channel_id, remote = _new_channel(pbx, arguments), _split(arguments.text("external_host"))
    app, variables = _app(arguments), arguments.variables()
    return _reply(pbx.calls.external_media(channel_id, remote, arguments.text("format"), app, variables))


def _audiosocket(pbx: Pbx, arguments: Arguments) -> Reply:
    """Connect first: Asterisk does that inside the request."""
    data = arguments.required("data", "data can not be empty")
    try:
        uuid = UUID(data)
    except ValueError as error:
        raise Refused(500, INTERNAL) from error
    _new_channel(pbx, arguments)
    service = arguments.text("external_host")

    def go_on(connection: socket.socket | None) -> Reply:
        if connection is None:
            raise Refused(500, INTERNAL)
        try:
            channel_id = _new_channel(pbx, arguments)
        except Refused:
            connection.close()
            raise
        app, variables = _app(arguments), arguments.variables()
        payload_format = arguments.text("format")
        return _reply(pbx.streams.audiosocket(channel_id, service, uuid, payload_format, app, variables, connection))

    return Reply(connecting=Connecting(_split(service), go_on))


def _websocket(pbx: Pbx, arguments: Arguments, section: str) -> Reply:
    channel = pbx.streams.websocket(
        _new_channel(pbx, arguments),
        section,
        arguments.text("format"),
        _app(arguments),
        arguments.variables(),
        transport_data=arguments.text("transport_data"),
        direction=arguments.text("direction"),
    )
    return _reply(channel)
