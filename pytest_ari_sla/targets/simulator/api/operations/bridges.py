"""Operations on bridges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.targets.simulator.api.operations.media import play, record
from pytest_ari_sla.targets.simulator.api.route import operation
from pytest_ari_sla.targets.simulator.pbx.reply import NO_CONTENT, Refused, Reply

if TYPE_CHECKING:
    from pytest_ari_sla.targets.simulator.api.route import Arguments
    from pytest_ari_sla.targets.simulator.pbx.pbx import Pbx
    from pytest_ari_sla.targets.simulator.pbx.resources import Bridge, Channel

__all__ = ["ROUTES"]


def _bridge(pbx: Pbx, arguments: Arguments) -> Bridge:
    return pbx.state.bridge(arguments.text("bridgeId"))


def _list(pbx: Pbx, arguments: Arguments) -> Reply:
    del arguments
    return Reply(body=[bridge.describe() for bridge in pbx.state.bridges.values()])


def _get(pbx: Pbx, arguments: Arguments) -> Reply:
    return Reply(body=_bridge(pbx, arguments).describe())


def _create(pbx: Pbx, arguments: Arguments) -> Reply:
    bridge = pbx.bridging.create(arguments.text("bridgeId"), arguments.text("type"), arguments.text("name"))
    bridge.variables |= arguments.variables()
    return Reply(body=bridge.describe())


def _destroy(pbx: Pbx, arguments: Arguments) -> Reply:
    pbx.bridging.destroy(_bridge(pbx, arguments))
    return NO_CONTENT


def _named_channels(pbx: Pbx, arguments: Arguments) -> list[Channel]:
    arguments.required("channel", "Missing parameter channel")
    found = [pbx.state.find_channel(name) for name in arguments.words("channel")]
    if None in found:
        raise Refused(400, "Channel not found")
    return [channel for channel in found if channel]


def _add(pbx: Pbx, arguments: Arguments) -> Reply:
    pbx.bridging.add(_bridge(pbx, arguments), _named_channels(pbx, arguments))
    return NO_CONTENT


def _remove(pbx: Pbx, arguments: Arguments) -> Reply:
    pbx.bridging.remove(_bridge(pbx, arguments), _named_channels(pbx, arguments))
    return NO_CONTENT


def _start_music(pbx: Pbx, arguments: Arguments) -> Reply:
    _bridge(pbx, arguments).plays_music = True
    return NO_CONTENT


def _stop_music(pbx: Pbx, arguments: Arguments) -> Reply:
    bridge = _bridge(pbx, arguments)
    if not bridge.plays_music:
        raise Refused(409, "Bridge isn't playing music")
    bridge.plays_music = False
    return NO_CONTENT


def _play(pbx: Pbx, arguments: Arguments) -> Reply:
    bridge = _bridge(pbx, arguments)
    if not arguments.text("media"):
        raise Refused(500, "Allocation failed", key="error")
    return play(pbx, f"bridge:{bridge.id}", arguments)


def _record(pbx: Pbx, arguments: Arguments) -> Reply:
    return record(pbx, f"bridge:{_bridge(pbx, arguments).id}", arguments)


def _get_variable(pbx: Pbx, arguments: Arguments) -> Reply:
    name = arguments.required("variable", "Variable name is required")
    bridge = _bridge(pbx, arguments)
    if name not in bridge.variables:
        raise Refused(404, "Provided variable was not found")
    return Reply(body={"value": bridge.variables[name]})


def _set_variable(pbx: Pbx, arguments: Arguments) -> Reply:
    # A real 22.10.1 dies of a missing name; here it is refused like everywhere else in ARI.
    name = arguments.required("variable", "Variable name is required")
    _bridge(pbx, arguments).variables[name] = arguments.text("value")
    return NO_CONTENT


def _get_variables(pbx: Pbx, arguments: Arguments) -> Reply:
    arguments.required("variables", "At least one variable name is required")
    bridge, names = _bridge(pbx, arguments), arguments.words("variables")
    if not bridge.variables.keys() >= set(names):
        raise Refused(404, "Provided variable was not found")
    return Reply(body={"variables": {name: bridge.variables[name] for name in names}})


def _set_variables(pbx: Pbx, arguments: Arguments) -> Reply:
    arguments.check_variables()
    _bridge(pbx, arguments).variables |= arguments.variables()
    return NO_CONTENT


_BRIDGE = "/bridges/{bridgeId}"
_MEDIA = "media!* announcer_format lang offsetms:int skipms:int"
_RECORD = "name! format! recorder_format maxDurationSeconds:int maxSilenceSeconds:int ifExists beep:boolean terminateOn"
_ADD = "channel!* role absorbDTMF:boolean mute:boolean inhibitConnectedLineUpdates:boolean"

ROUTES = (
    operation("GET", "/bridges", "list", "List[Bridge]", "", _list),
    operation("POST", "/bridges", "create", "Bridge", "type bridgeId name variables:body", _create),
    operation("POST", _BRIDGE, "createWithId", "Bridge", "type name variables:body", _create),
    operation("GET", _BRIDGE, "get", "Bridge", "", _get),
    operation("DELETE", _BRIDGE, "destroy", "void", "", _destroy),
    operation("GET", f"{_BRIDGE}/variable", "getBridgeVar", "Variable", "variable!", _get_variable),
    operation(
        "POST",
        f"{_BRIDGE}/variable",
        "setBridgeVar",
        "void",
        "variable! value report_events:boolean",
        _set_variable,
    ),
    operation("GET", f"{_BRIDGE}/variables", "getBridgeVars", "Variables", "variables!*", _get_variables),
    operation("POST", f"{_BRIDGE}/variables", "setBridgeVars", "void", "variables!:body", _set_variables),
    operation("POST", f"{_BRIDGE}/addChannel", "addChannel", "void", _ADD, _add),
    operation("POST", f"{_BRIDGE}/removeChannel", "removeChannel", "void", "channel!*", _remove),
    operation("POST", f"{_BRIDGE}/videoSource/{{channelId}}", "setVideoSource", "void"),
    operation("DELETE", f"{_BRIDGE}/videoSource", "clearVideoSource", "void"),
    operation("POST", f"{_BRIDGE}/moh", "startMoh", "void", "mohClass", _start_music),
    operation("DELETE", f"{_BRIDGE}/moh", "stopMoh", "void", "", _stop_music),
    operation("POST", f"{_BRIDGE}/play", "play", "Playback", f"{_MEDIA} playbackId", _play),
    operation("POST", f"{_BRIDGE}/play/{{playbackId}}", "playWithId", "Playback", _MEDIA, _play),
    operation("POST", f"{_BRIDGE}/record", "record", "LiveRecording", _RECORD, _record),
)
