"""Operations on channels: making them, and looking at them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_ari_sla.targets.simulator.api.operations.external_media import external_media
from pytest_ari_sla.targets.simulator.api.route import operation
from pytest_ari_sla.targets.simulator.pbx.causes import NORMAL, REASONS
from pytest_ari_sla.targets.simulator.pbx.reply import NO_CONTENT, Refused, Reply
from pytest_ari_sla.targets.simulator.pbx.resources import Channel, Party

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_ari_sla.targets.simulator.api.route import Arguments
    from pytest_ari_sla.targets.simulator.pbx.pbx import Pbx

__all__ = ["ROUTES"]

_DIRECTIONS = frozenset({"none", "both", "out", "in"})


def _list(pbx: Pbx, arguments: Arguments) -> Reply:
    del arguments
    return Reply(body=[channel.describe() for channel in pbx.state.channels])


def _get(pbx: Pbx, arguments: Arguments) -> Reply:
    return Reply(body=pbx.state.channel(arguments.text("channelId")).describe())


def _hang_up(pbx: Pbx, arguments: Arguments) -> Reply:
    channel, cause = pbx.state.channel(arguments.text("channelId")), NORMAL
    if code := arguments.text("reason_code"):
        if not code.isdigit():
            raise Refused(400, "Invalid reason for hangup reason code provided")
        cause = int(code)
    elif reason := arguments.text("reason"):
        if reason not in REASONS:
            raise Refused(400, "Invalid reason for hangup reason provided")
        cause = REASONS[reason]
    pbx.calls.hang_up(channel, cause)
    return NO_CONTENT


def _app(arguments: Arguments) -> tuple[str, str]:
    return arguments.text("app"), arguments.text("appArgs")


def _endpoint(arguments: Arguments) -> tuple[str, str]:
    technology, slash, resource = arguments.required("endpoint", "Endpoint must be specified").partition("/")
    if not slash:
        raise Refused(400, "Invalid endpoint specified")
    return technology, resource


def _check_formats(pbx: Pbx, arguments: Arguments) -> None:
    originator = arguments.text("originator")
    if originator and arguments.text("formats"):
        raise Refused(400, "Originator and formats can't both be specified")
    if originator and pbx.state.find_channel(originator) is None:
        raise Refused(400, "Provided originator channel was not found")
    pbx.calls.check_formats(arguments.words("formats"))


def _ids(pbx: Pbx, arguments: Arguments) -> tuple[str, str]:
    return pbx.calls.local_ids(arguments.text("channelId"), arguments.text("otherChannelId"))


def _caller(text: str) -> Party | None:
    """Read ``Name <number>``, or a number alone."""
    if not text:
        return None
    match = re.fullmatch(r'\s*"?([^"<]*?)"?\s*<([^>]*)>\s*', text)
    return Party(match[1], match[2]) if match else Party("", text)


def _target(pbx: Pbx, arguments: Arguments) -> Callable[[Channel], None]:
    """Return what becomes of an originated channel once it is answered."""
    if arguments.text("app"):
        app = _app(arguments)
        return lambda channel: pbx.calls.enter_stasis(channel, app)
    exten = arguments.required("extension", "Application or extension must be specified")
    context, priority = arguments.text("context", "default"), arguments.number("priority", 1)
    return pbx.calls.to_dialplan(context, exten, priority)


def _originate(pbx: Pbx, arguments: Arguments) -> Reply:
    endpoint, target = _endpoint(arguments), _target(pbx, arguments)
    _check_formats(pbx, arguments)
    channel = pbx.calls.originate(
        endpoint,
        _ids(pbx, arguments),
        target,
        owner=arguments.text("app") or None,
        caller=_caller(arguments.text("callerId")),
        variables=arguments.variables(),
        formats=arguments.words("formats"),
    )
    return Reply(body=channel.describe())


def _create(pbx: Pbx, arguments: Arguments) -> Reply:
    endpoint = _endpoint(arguments)
    _check_formats(pbx, arguments)
    channel = pbx.calls.create(endpoint, _ids(pbx, arguments), _app(arguments), arguments.words("formats"))
    for name, value in arguments.variables().items():
        pbx.calls.write_variable(channel, name, value)
    return Reply(body=channel.describe())


def _directions(arguments: Arguments) -> None:
    spy, whisper = arguments.text("spy", "none"), arguments.text("whisper", "none")
    for name, value in (("spy", spy), ("whisper", whisper)):
        if value not in _DIRECTIONS:
            raise Refused(400, f"Invalid direction specified for {name}")
    if spy == whisper == "none":
        raise Refused(400, "Direction must be specified for at least spy or whisper")


def _snoop(pbx: Pbx, arguments: Arguments) -> Reply:
    _directions(arguments)
    arguments.required("app", "Application name is required")
    snooped = pbx.state.channel(arguments.text("channelId"))
    try:
        snoop_id, _ = pbx.calls.local_ids(arguments.text("snoopId"))
    except Refused as refused:
        raise Refused(500, "Snoop channel could not be created") from refused
    return Reply(body=pbx.calls.snoop(snooped, snoop_id, _app(arguments)).describe())


def _rtp_statistics(pbx: Pbx, arguments: Arguments) -> Reply:
    pbx.state.channel(arguments.text("channelId"))
    raise Refused(404, "RTP info not found")  # UnicastRTP keeps none


_CHANNEL = "/channels/{channelId}"
_DIALPLAN = "extension context priority:long label"
_ORIGINATE = f"endpoint! {_DIALPLAN} app appArgs callerId timeout:int variables:body"
_CREATE = "endpoint! app! appArgs channelId otherChannelId originator formats variables:body"
_EXTERNAL = (
    "channelId app! variables:body external_host encapsulation transport connection_type format! direction data"
    " transport_data"
)
_SNOOP = "spy whisper app! appArgs"

ROUTES = (
    operation("GET", "/channels", "list", "List[Channel]", "", _list),
    operation(
        "POST",
        "/channels",
        "originate",
        "Channel",
        f"{_ORIGINATE} channelId otherChannelId originator formats",
        _originate,
    ),
    operation("POST", "/channels/create", "create", "Channel", _CREATE, _create),
    operation("POST", "/channels/externalMedia", "externalMedia", "Channel", _EXTERNAL, external_media),
    operation("GET", _CHANNEL, "get", "Channel", "", _get),
    operation(
        "POST",
        _CHANNEL,
        "originateWithId",
        "Channel",
        f"{_ORIGINATE} otherChannelId originator formats",
        _originate,
    ),
    operation("DELETE", _CHANNEL, "hangup", "void", "reason_code reason", _hang_up),
    operation("POST", f"{_CHANNEL}/snoop", "snoopChannel", "Channel", f"{_SNOOP} snoopId", _snoop),
    operation("POST", f"{_CHANNEL}/snoop/{{snoopId}}", "snoopChannelWithId", "Channel", _SNOOP, _snoop),
    operation("GET", f"{_CHANNEL}/rtp_statistics", "rtpstatistics", "RTPstat", "", _rtp_statistics),
)
