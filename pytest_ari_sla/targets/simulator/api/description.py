"""What ``/ari/api-docs`` says: the simulator's own operations and models as Swagger, made from its tables.

Clients such as ``ari`` and ``aioari`` build their methods from it.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from pytest_ari_sla.targets.simulator.api.models import EVENTS, MODELS
from pytest_ari_sla.targets.simulator.pbx.reply import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_ari_sla.targets.simulator.api.route import Parameter, Route

__all__ = ["ApiDocs", "operations_table"]

_API_VERSION = "10.0.0"


class ApiDocs:
    """Documents of the description, by the address that the server is reached at.

    Parameters
    ----------
    routes
        All operations.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = list(routes)
        self._resources = sorted({route.resource for route in self._routes})

    def document(self, name: str, base_path: str) -> dict[str, Any]:
        """Return a document (``resources.json``, ``channels.json`` …), or refuse with 404."""
        if name == "resources.json":
            return self._listing(base_path)
        resource = name.removesuffix(".json")
        if resource not in self._resources or name == resource:
            raise Refused(404, "Resource not found")
        return self._resource(resource, base_path)

    def _listing(self, base_path: str) -> dict[str, Any]:
        apis = [
            {"path": f"/api-docs/{resource}.{{format}}", "description": f"{resource} of the simulator"}
            for resource in self._resources
        ]
        return {"apiVersion": _API_VERSION, "swaggerVersion": "1.1", "basePath": base_path, "apis": apis}

    def _resource(self, resource: str, base_path: str) -> dict[str, Any]:
        routes = sorted((one for one in self._routes if one.resource == resource), key=lambda one: one.path)
        apis = [
            {"path": path, "description": path, "operations": [_describe_operation(route) for route in group]}
            for path, group in groupby(routes, key=lambda one: one.path)
        ]
        return {
            "apiVersion": _API_VERSION,
            "swaggerVersion": "1.1",
            "basePath": base_path,
            "resourcePath": f"/api-docs/{resource}.{{format}}",
            "apis": apis,
            "models": _models(resource),
        }


def _describe_operation(route: Route) -> dict[str, Any]:
    upgrade = {"upgrade": "websocket", "websocketProtocol": "ari"} if route.path == "/events" else {}
    return {
        "httpMethod": route.method,
        "summary": f"{route.method} {route.path}",
        "nickname": route.nickname,
        "responseClass": route.response,
        "parameters": [_describe_parameter(parameter) for parameter in route.parameters],
        **upgrade,
    }


def _describe_parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "description": parameter.name,
        "paramType": parameter.place,
        "required": parameter.required,
        "allowMultiple": parameter.multiple,
        "dataType": parameter.type,
    }


def _models(resource: str) -> dict[str, Any]:
    models = {name: _model(name, fields) for name, fields in MODELS.get(resource, {}).items()}
    if resource == "events":
        models["Message"] = {**_model("Message", "type! asterisk_id"), "discriminator": "type", "subTypes": ["Event"]}
        models["Event"] = {**_model("Event", "application! timestamp!:Date"), "subTypes": list(EVENTS)}
        models |= {name: _model(name, fields) for name, fields in EVENTS.items()}
    return models


def _model(name: str, notation: str) -> dict[str, Any]:
    properties = {}
    for one in notation.split():
        field, _, kind = one.partition(":")
        properties[field.rstrip("!")] = {"type": kind or "string", "required": field.endswith("!")}
    return {"id": name, "description": name, "properties": properties}


def operations_table(routes: Iterable[Route]) -> str:
    """Return the table of all operations as Markdown, and which of them the simulator carries out."""
    ordered = sorted(routes, key=lambda route: (route.resource, route.path, route.method))
    missing = sum(route.handler is None for route in ordered)
    lines = [
        "# ARI operations of the simulator",
        "",
        "Made by `python -m pytest_ari_sla.targets.simulator --operations`; a test keeps it up to date.",
        f"Of {len(ordered)} operations that Asterisk 22 describes, {len(ordered) - missing} are carried out and",
        f"{missing} answer 501.",
        "",
        "| Operation | Name | Simulator |",
        "|---|---|---|",
        *(
            f"| `{route.method} {route.path}` | {route.nickname} | {'yes' if route.handler else '501'} |"
            for route in ordered
        ),
    ]
    return "\n".join(lines) + "\n"
