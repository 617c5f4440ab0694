"""Operations on the server itself: information, modules, global variables; sounds, device states, endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_ari_sla.targets.simulator.api.route import operation
from pytest_ari_sla.targets.simulator.pbx.audio.prompts import PROMPT_FRAMES
from pytest_ari_sla.targets.simulator.pbx.reply import NO_CONTENT, Refused, Reply
from pytest_ari_sla.targets.simulator.pbx.state import ENTITY_ID, VERSION

if TYPE_CHECKING:
    from pytest_ari_sla.targets.simulator.api.route import Arguments
    from pytest_ari_sla.targets.simulator.pbx.pbx import Pbx

__all__ = ["ROUTES"]

# What the simulator stands for; the names are those of the modules that do it in Asterisk.
_MODULES = {
    "app_echo.so": "echoes audio",
    "app_stasis.so": "hands channels to applications",
    "bridge_holding.so": "holding bridges",
    "bridge_simple.so": "bridges of two",
    "bridge_softmix.so": "bridges of many",
    "chan_audiosocket.so": "channels of AudioSocket",
    "chan_rtp.so": "channels of plain RTP",
    "chan_websocket.so": "channels of WebSocket media",
    "codec_alaw.so": "G.711 A-law",
    "codec_ulaw.so": "G.711 mu-law",
    "res_ari.so": "ARI",
    "res_ari_applications.so": "ARI: applications",
    "res_ari_asterisk.so": "ARI: the server",
    "res_ari_bridges.so": "ARI: bridges",
    "res_ari_channels.so": "ARI: channels",
    "res_ari_device_states.so": "ARI: device states",
    "res_ari_endpoints.so": "ARI: endpoints",
    "res_ari_events.so": "ARI: events",
    "res_ari_playbacks.so": "ARI: playbacks",
    "res_ari_recordings.so": "ARI: recordings",
    "res_ari_sounds.so": "ARI: sounds",
    "res_audiosocket.so": "AudioSocket",
    "res_http_websocket.so": "WebSockets of the HTTP server",
    "res_rtp_asterisk.so": "RTP",
    "res_stasis.so": "applications",
    "res_websocket_client.so": "WebSockets to others",
}
_DEVICE_STATES = frozenset(
    {"NOT_INUSE", "INUSE", "BUSY", "INVALID", "UNAVAILABLE", "RINGING", "RINGINUSE", "ONHOLD", "UNKNOWN"}
)
_NO_VARIABLE_NAME = "Variable name is required"
_LOG = "logChannelName"


def _info(pbx: Pbx, arguments: Arguments) -> Reply:
    parts: dict[str, Any] = {
        "build": {
            "os": "Linux",
            "kernel": "unknown",
            "machine": "unknown",
            "options": "SIMULATOR",
            "date": pbx.state.started,
            "user": "nobody",
        },
        "system": {"version": VERSION, "entity_id": ENTITY_ID},
        "config": {"name": "simulator", "default_language": "en", "setid": {"user": "", "group": ""}},
        "status": {"startup_time": pbx.state.started, "last_reload_time": pbx.state.started},
    }
    wanted = arguments.words("only")
    return Reply(body={name: part for name, part in parts.items() if not wanted or name in wanted})


def _ping(pbx: Pbx, arguments: Arguments) -> Reply:
    del arguments
    return Reply(body={"ping": "pong", "timestamp": pbx.state.timestamp(), "asterisk_id": ENTITY_ID})


def _module(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "description": _MODULES[name],
        "use_count": 0,
        "status": "Running",
        "support_level": "core",
    }


def _list_modules(pbx: Pbx, arguments: Arguments) -> Reply:
    del pbx, arguments
    return Reply(body=[_module(name) for name in _MODULES])


def _get_module(pbx: Pbx, arguments: Arguments) -> Reply:
    del pbx
    if (name := arguments.text("moduleName")) not in _MODULES:
        raise Refused(404, "Module could not be found in running modules")
    return Reply(body=_module(name))


def _list_logs(pbx: Pbx, arguments: Arguments) -> Reply:
    del pbx, arguments
    return Reply(body=[])


def _get_global(pbx: Pbx, arguments: Arguments) -> Reply:
    name = arguments.required("variable", _NO_VARIABLE_NAME)
    return Reply(body={"value": pbx.state.variables.get(name, "")})


def _set_global(pbx: Pbx, arguments: Arguments) -> Reply:
    pbx.state.variables[arguments.required("variable", _NO_VARIABLE_NAME)] = arguments.text("value")
    return NO_CONTENT


def _sound(name: str) -> dict[str, Any]:
    return {"id": name, "text": f"the prompt {name}", "formats": [{"language": "en", "format": "gsm"}]}


def _list_sounds(pbx: Pbx, arguments: Arguments) -> Reply:
    del pbx
    fits = arguments.text("lang", "en") == "en" and arguments.text("format", "gsm") == "gsm"
    return Reply(body=[_sound(name) for name in PROMPT_FRAMES if fits])


def _get_sound(pbx: Pbx, arguments: Arguments) -> Reply:
    del pbx
    if (name := arguments.text("soundId")) not in PROMPT_FRAMES:
        raise Refused(404, "Sound not found")
    return Reply(body=_sound(name))


def _device(pbx: Pbx, name: str) -> dict[str, str]:
    return {"name": name, "state": pbx.state.device_states.get(name, "UNKNOWN")}


def _list_devices(pbx: Pbx, arguments: Arguments) -> Reply:
    del arguments
    return Reply(body=[_device(pbx, name) for name in pbx.state.device_states])


def _get_device(pbx: Pbx, arguments: Arguments) -> Reply:
    return Reply(body=_device(pbx, arguments.text("deviceName")))


def _own_device(arguments: Arguments) -> str:
    name = arguments.text("deviceName")
    if not name.startswith("Stasis:"):
        raise Refused(409, "Uncontrolled device specified")
    return name


def _set_device(pbx: Pbx, arguments: Arguments) -> Reply:
    name, state = _own_device(arguments), arguments.text("deviceState")
    if state not in _DEVICE_STATES:
        raise Refused(500, "Unknown device")
    pbx.state.device_states[name] = state
    event = {"type": "DeviceStateChanged", "device_state": _device(pbx, name)}
    pbx.state.publish("deviceState", name, event)
    return NO_CONTENT


def _delete_device(pbx: Pbx, arguments: Arguments) -> Reply:
    pbx.state.device_states.pop(_own_device(arguments), None)
    return NO_CONTENT


def _list_endpoints(pbx: Pbx, arguments: Arguments) -> Reply:
    del pbx, arguments
    return Reply(body=[])


def _endpoints_of_technology(pbx: Pbx, arguments: Arguments) -> Reply:
    del pbx
    raise Refused(404, f"No Endpoints found - invalid tech {arguments.text('tech')}")


def _no_endpoint(pbx: Pbx, arguments: Arguments) -> Reply:
    del pbx, arguments
    raise Refused(404, "Endpoint not found")


_MESSAGE = "from! body variables:body"
_REFER = "from! refer_to! to_self:boolean variables:body"

ROUTES = (
    operation("GET", "/asterisk/info", "getInfo", "AsteriskInfo", "only*", _info),
    operation("GET", "/asterisk/ping", "ping", "AsteriskPing", "", _ping),
    operation("GET", "/asterisk/modules", "listModules", "List[Module]", "", _list_modules),
    operation("GET", "/asterisk/modules/{moduleName}", "getModule", "Module", "", _get_module),
    operation("POST", "/asterisk/modules/{moduleName}", "loadModule", "void"),
    operation("DELETE", "/asterisk/modules/{moduleName}", "unloadModule", "void"),
    operation("PUT", "/asterisk/modules/{moduleName}", "reloadModule", "void"),
    operation("GET", "/asterisk/logging", "listLogChannels", "List[LogChannel]", "", _list_logs),
    operation("POST", f"/asterisk/logging/{{{_LOG}}}", "addLog", "void", "configuration!"),
    operation("DELETE", f"/asterisk/logging/{{{_LOG}}}", "deleteLog", "void"),
    operation("PUT", f"/asterisk/logging/{{{_LOG}}}/rotate", "rotateLog", "void"),
    operation("GET", "/asterisk/variable", "getGlobalVar", "Variable", "variable!", _get_global),
    operation("POST", "/asterisk/variable", "setGlobalVar", "void", "variable! value", _set_global),
    operation("GET", "/sounds", "list", "List[Sound]", "lang format", _list_sounds),
    operation("GET", "/sounds/{soundId}", "get", "Sound", "", _get_sound),
    operation("GET", "/deviceStates", "list", "List[DeviceState]", "", _list_devices),
    operation("GET", "/deviceStates/{deviceName}", "get", "DeviceState", "", _get_device),
    operation("PUT", "/deviceStates/{deviceName}", "update", "void", "deviceState!", _set_device),
    operation("DELETE", "/deviceStates/{deviceName}", "delete", "void", "", _delete_device),
    operation("GET", "/endpoints", "list", "List[Endpoint]", "", _list_endpoints),
    operation("PUT", "/endpoints/sendMessage", "sendMessage", "void", f"to! {_MESSAGE}", _no_endpoint),
    operation("POST", "/endpoints/refer", "refer", "void", f"to! {_REFER}", _no_endpoint),
    operation("GET", "/endpoints/{tech}", "listByTech", "List[Endpoint]", "", _endpoints_of_technology),
    operation("GET", "/endpoints/{tech}/{resource}", "get", "Endpoint", "", _no_endpoint),
    operation(
        "PUT", "/endpoints/{tech}/{resource}/sendMessage", "sendMessageToEndpoint", "void", _MESSAGE, _no_endpoint
    ),
    operation("POST", "/endpoints/{tech}/{resource}/refer", "referToEndpoint", "void", _REFER, _no_endpoint),
    operation("GET", "/mailboxes", "list", "List[Mailbox]"),
    operation("GET", "/mailboxes/{mailboxName}", "get", "Mailbox"),
    operation("PUT", "/mailboxes/{mailboxName}", "update", "void", "oldMessages!:int newMessages!:int"),
    operation("DELETE", "/mailboxes/{mailboxName}", "delete", "void"),
)
