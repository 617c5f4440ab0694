"""Dynamic configuration: of all that Asterisk can be told at run time, the sections of websocket_client.conf."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.targets.simulator.api.route import operation
from pytest_ari_sla.targets.simulator.pbx.reply import NO_CONTENT, Refused, Reply

if TYPE_CHECKING:
    from pytest_ari_sla.targets.simulator.api.route import Arguments
    from pytest_ari_sla.targets.simulator.pbx.pbx import Pbx

__all__ = ["ROUTES"]

_CLASS, _TYPE = "res_websocket_client", "websocket_client"
_ATTRIBUTES = {
    "type": "",
    "connection_type": "",
    "uri": "",
    "protocols": "",
    "username": "",
    "password": "",
    "connection_timeout": "500",
    "reconnect_attempts": "4",
    "reconnect_interval": "500",
}
"""Those of Asterisk's that mean something here, with their defaults."""


def _check(arguments: Arguments) -> None:
    config_class, object_type = arguments.text("configClass"), arguments.text("objectType")
    if config_class != _CLASS:
        raise Refused(404, f"configClass '{config_class}' not found")
    if object_type != _TYPE:
        raise Refused(404, f"objectType '{object_type}' not found")


def _section(pbx: Pbx, arguments: Arguments) -> dict[str, str]:
    _check(arguments)
    name = arguments.text("id")
    if found := pbx.state.websocket_clients.get(name):
        return found
    raise Refused(404, f"Object with id '{name}' not found")


def _reply(section: dict[str, str]) -> Reply:
    return Reply(body=[{"attribute": name, "value": value} for name, value in section.items() if name != "type"])


def _get(pbx: Pbx, arguments: Arguments) -> Reply:
    return _reply(_section(pbx, arguments))


def _update(pbx: Pbx, arguments: Arguments) -> Reply:
    _check(arguments)
    name, fields = arguments.text("id"), arguments.body.get("fields") or []
    known = pbx.state.websocket_clients.get(name)
    if known is not None and not fields:
        raise Refused(400, f"Fields must be provided to update object '{name}'")
    given = {str(field.get("attribute")): str(field.get("value")) for field in fields}
    section = {**(known or _ATTRIBUTES), **given}
    if not given.keys() <= _ATTRIBUTES.keys() or not section["uri"]:
        raise Refused(400, f"{'Update' if known else 'Creation'} of object '{name}' failed field value validation")
    pbx.state.websocket_clients[name] = section
    return _reply(section)


def _delete(pbx: Pbx, arguments: Arguments) -> Reply:
    _section(pbx, arguments)
    del pbx.state.websocket_clients[arguments.text("id")]
    return NO_CONTENT


_CONFIG = "/asterisk/config/dynamic/{configClass}/{objectType}/{id}"

ROUTES = (
    operation("GET", _CONFIG, "getObject", "List[ConfigTuple]", "", _get),
    operation("PUT", _CONFIG, "updateObject", "List[ConfigTuple]", "fields:body", _update),
    operation("DELETE", _CONFIG, "deleteObject", "void", "", _delete),
)
