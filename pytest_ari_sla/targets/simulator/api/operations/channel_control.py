"""Operations on a channel that is in Stasis: what can be done to it, and its variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.targets.simulator.api.operations.media import play, record
from pytest_ari_sla.targets.simulator.api.route import operation
from pytest_ari_sla.targets.simulator.pbx.reply import NO_CONTENT, Refused, Reply

if TYPE_CHECKING:
    from pytest_ari_sla.targets.simulator.api.route import Arguments
    from pytest_ari_sla.targets.simulator.pbx.pbx import Pbx
    from pytest_ari_sla.targets.simulator.pbx.resources import Channel

__all__ = ["ROUTES"]

_TRANSFER_STATES = frozenset({"channel_proceeding", "channel_progress", "channel_answered", "channel_unavailable"})
_NO_VARIABLE_NAME = "Variable name is required"


def _channel(pbx: Pbx, arguments: Arguments) -> Channel:
    return pbx.state.channel_in_stasis(arguments.text("channelId"))


def _continue(pbx: Pbx, arguments: Arguments) -> Reply:
    channel = _channel(pbx, arguments)
    if arguments.text("label"):
        raise Refused(404, "Requested label can not be found")  # no extension here has labels
    context = arguments.text("context", channel.context)
    exten = arguments.text("extension", channel.exten)
    pbx.calls.continue_in_dialplan(channel, context, exten, arguments.number("priority", 1))
    return NO_CONTENT


def _move(pbx: Pbx, arguments: Arguments) -> Reply:
    channel = _channel(pbx, arguments)
    # A real 22.10.1 dies of a missing name.
    app = arguments.required("app", "Missing parameter app")
    pbx.calls.move(channel, app, arguments.text("appArgs"))
    return NO_CONTENT


def _redirect(pbx: Pbx, arguments: Arguments) -> Reply:
    channel = _channel(pbx, arguments)
    endpoint = arguments.required("endpoint", "Required parameter 'endpoint' not provided.")
    technology, slash, _ = endpoint.partition("/")
    if not slash:
        raise Refused(422, f"Endpoint parameter '{endpoint}' does not contain tech/resource")
    if technology != channel.technology:
        problem = f"does not match channel technology '{channel.technology}'"
        raise Refused(422, f"Endpoint technology '{technology}' {problem}")
    return NO_CONTENT


def _answer(pbx: Pbx, arguments: Arguments) -> Reply:
    pbx.calls.answer(_channel(pbx, arguments))
    return NO_CONTENT


def _signal(pbx: Pbx, arguments: Arguments) -> Reply:
    """Take what no channel here has a way to signal: progress, hold, music without a class."""
    _channel(pbx, arguments)
    return NO_CONTENT


def _ring(pbx: Pbx, arguments: Arguments) -> Reply:
    pbx.calls.ring(_channel(pbx, arguments))
    return NO_CONTENT


def _transfer_progress(pbx: Pbx, arguments: Arguments) -> Reply:
    _channel(pbx, arguments)
    if arguments.required("states", "states must not be empty") not in _TRANSFER_STATES:
        raise Refused(400, "Invalid states value")
    return NO_CONTENT


def _dtmf(pbx: Pbx, arguments: Arguments) -> Reply:
    channel = _channel(pbx, arguments)
    for digit in arguments.required("dtmf", "DTMF is required"):
        pbx.state.media.digit(channel.id, digit)
    return NO_CONTENT


def _set_mute(pbx: Pbx, arguments: Arguments, *, muted: bool) -> Reply:
    channel = _channel(pbx, arguments)
    direction = arguments.required("direction", "Direction is required")
    if direction not in ("in", "out", "both"):
        raise Refused(400, "Invalid direction specified")
    incoming, outgoing = direction in ("in", "both"), direction in ("out", "both")
    channel.muted_in = muted if incoming else channel.muted_in
    channel.muted_out = muted if outgoing else channel.muted_out
    pbx.state.media.mute(channel.id, incoming=channel.muted_in, outgoing=channel.muted_out)
    return NO_CONTENT


def _mute(pbx: Pbx, arguments: Arguments) -> Reply:
    return _set_mute(pbx, arguments, muted=True)


def _unmute(pbx: Pbx, arguments: Arguments) -> Reply:
    return _set_mute(pbx, arguments, muted=False)


def _start_silence(pbx: Pbx, arguments: Arguments) -> Reply:
    pbx.state.media.play(_channel(pbx, arguments).id, "")
    return NO_CONTENT


def _stop_silence(pbx: Pbx, arguments: Arguments) -> Reply:
    pbx.state.media.stop_playing(_channel(pbx, arguments).id)
    return NO_CONTENT


def _play(pbx: Pbx, arguments: Arguments) -> Reply:
    channel = _channel(pbx, arguments)
    if not arguments.text("media"):
        raise Refused(500, "Failed to queue media for playback")
    return play(pbx, f"channel:{channel.id}", arguments)


def _record(pbx: Pbx, arguments: Arguments) -> Reply:
    return record(pbx, f"channel:{_channel(pbx, arguments).id}", arguments)


def _dial(pbx: Pbx, arguments: Arguments) -> Reply:
    channel = _channel(pbx, arguments)
    if channel.state != "Down":
        raise Refused(409, "Channel is not in the 'Down' state")
    pbx.calls.dial(channel)
    return NO_CONTENT


def _get_variable(pbx: Pbx, arguments: Arguments) -> Reply:
    name = arguments.required("variable", _NO_VARIABLE_NAME)
    if (channel := pbx.state.find_channel(arguments.text("channelId"))) is None:
        raise Refused(404, "Provided channel was not found")
    if (value := pbx.calls.read_variable(channel, name)) is None:
        raise Refused(404, "Provided variable was not found")
    return Reply(body={"value": value})


def _set_variable(pbx: Pbx, arguments: Arguments) -> Reply:
    name = arguments.required("variable", _NO_VARIABLE_NAME)
    pbx.calls.write_variable(_channel(pbx, arguments), name, arguments.text("value"))
    return NO_CONTENT


def _get_variables(pbx: Pbx, arguments: Arguments) -> Reply:
    arguments.required("variables", "At least one variable name is required")
    channel = pbx.state.channel(arguments.text("channelId"))
    values = {name: pbx.calls.read_variable(channel, name) for name in arguments.words("variables")}
    if None in values.values():
        raise Refused(404, "Provided variable was not found")
    return Reply(body={"variables": values})


def _set_variables(pbx: Pbx, arguments: Arguments) -> Reply:
    arguments.check_variables()
    channel = _channel(pbx, arguments)
    for name, value in arguments.variables().items():
        pbx.calls.write_variable(channel, name, value)
    return NO_CONTENT


_CHANNEL = "/channels/{channelId}"
_DIALPLAN = "context extension priority:int label"
_DTMF = "dtmf before:int between:int duration:int after:int"
_MEDIA = "media!* lang offsetms:int skipms:int"
_RECORD = "name! format! maxDurationSeconds:int maxSilenceSeconds:int ifExists beep:boolean terminateOn"
_SET = "variable! value report_events:boolean"

ROUTES = (
    operation("POST", f"{_CHANNEL}/continue", "continueInDialplan", "void", _DIALPLAN, _continue),
    operation("POST", f"{_CHANNEL}/move", "move", "void", "app! appArgs", _move),
    operation("POST", f"{_CHANNEL}/redirect", "redirect", "void", "endpoint!", _redirect),
    operation("POST", f"{_CHANNEL}/answer", "answer", "void", "", _answer),
    operation("POST", f"{_CHANNEL}/ring", "ring", "void", "", _ring),
    operation("DELETE", f"{_CHANNEL}/ring", "ringStop", "void", "", _signal),
    operation("POST", f"{_CHANNEL}/progress", "progress", "void", "", _signal),
    operation("POST", f"{_CHANNEL}/dtmf", "sendDTMF", "void", _DTMF, _dtmf),
    operation("POST", f"{_CHANNEL}/mute", "mute", "void", "direction", _mute),
    operation("DELETE", f"{_CHANNEL}/mute", "unmute", "void", "direction", _unmute),
    operation("POST", f"{_CHANNEL}/hold", "hold", "void", "", _signal),
    operation("DELETE", f"{_CHANNEL}/hold", "unhold", "void", "", _signal),
    operation("POST", f"{_CHANNEL}/moh", "startMoh", "void", "mohClass", _signal),
    operation("DELETE", f"{_CHANNEL}/moh", "stopMoh", "void", "", _signal),
    operation("POST", f"{_CHANNEL}/silence", "startSilence", "void", "", _start_silence),
    operation("DELETE", f"{_CHANNEL}/silence", "stopSilence", "void", "", _stop_silence),
    operation("POST", f"{_CHANNEL}/play", "play", "Playback", f"{_MEDIA} playbackId", _play),
    operation("POST", f"{_CHANNEL}/play/{{playbackId}}", "playWithId", "Playback", _MEDIA, _play),
    operation("POST", f"{_CHANNEL}/record", "record", "LiveRecording", _RECORD, _record),
    operation("GET", f"{_CHANNEL}/variable", "getChannelVar", "Variable", "variable!", _get_variable),
    operation("POST", f"{_CHANNEL}/variable", "setChannelVar", "void", _SET, _set_variable),
    operation("GET", f"{_CHANNEL}/variables", "getChannelVars", "Variables", "variables!*", _get_variables),
    operation("POST", f"{_CHANNEL}/variables", "setChannelVars", "void", "variables!:body", _set_variables),
    operation("POST", f"{_CHANNEL}/dial", "dial", "void", "caller timeout:int", _dial),
    operation("POST", f"{_CHANNEL}/transfer_progress", "transfer_progress", "void", "states!", _transfer_progress),
)
