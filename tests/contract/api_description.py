"""Asterisk's own description of ARI (Swagger 1.2, shipped with it) as a check of replies and events."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from pathlib import Path

_SIMPLE_TYPES: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "Date": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4}$"},
    "int": {"type": "integer"},
    "long": {"type": "integer"},
    "double": {"type": "number"},
    "boolean": {"type": "boolean"},
    "object": {},
    "containers": {},
    "binary": {},
    "void": {"type": "null"},
}


@dataclass(frozen=True)
class Operation:
    """One thing that ARI can be asked: ``POST /channels/{channelId}/answer``."""

    method: str
    path: str
    nickname: str
    response: str

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is this operation."""
        return method == self.method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", self.path), path) is not None


class ApiDescription:
    """What one version of Asterisk says about its ARI.

    Parameters
    ----------
    folder
        Asterisk's ``rest-api`` folder.
    """

    def __init__(self, folder: Path) -> None:
        documents = read_documents(folder)
        # Literal paths first: /channels/create is no channel's id.
        self.operations = sorted(
            (operation for document in documents for operation in _operations(document)),
            key=lambda operation: operation.path.replace("{", "~"),
        )
        models = {name: model for document in documents for name, model in document.get("models", {}).items()}
        self._subtypes = {name: _all_subtypes(models, name) for name in models}
        self._definitions = _definitions(models)

    def operation(self, method: str, path: str) -> Operation | None:
        """Return the operation that a request names, if there is one."""
        return next((found for found in self.operations if found.matches(method, path)), None)

    def check_reply(self, method: str, path: str, status: int, body: object) -> None:
        """Fail unless a reply's body is what the description promises."""
        operation = self.operation(method, path)
        if status >= 400:
            self._check({"type": "object", "anyOf": [{"required": ["message"]}, {"required": ["error"]}]}, body)
        elif operation is not None and operation.response != "binary":
            schema = _SIMPLE_TYPES["void"] if status == 204 else _schema_of(operation.response)
            self._check(schema, body)

    def check_event(self, event: dict[str, Any]) -> None:
        """Fail unless an event is one of the messages that the description knows, with the fields it has there."""
        assert event["type"] in self._subtypes["Message"], f"no such event: {event['type']}"
        self._check({"$ref": f"#/$defs/{event['type']}"}, event)

    def _check(self, schema: dict[str, Any], value: object) -> None:
        Draft202012Validator({**schema, "$defs": self._definitions}).validate(value)


def read_documents(folder: Path) -> list[dict[str, Any]]:
    """Return the parsed files of a description, without the list of them."""
    files = sorted(file for file in folder.glob("*.json") if file.name != "resources.json")
    return [json.loads(file.read_text()) for file in files]


def _operations(document: dict[str, Any]) -> list[Operation]:
    return [
        Operation(operation["httpMethod"], api["path"], operation["nickname"], operation["responseClass"])
        for api in document["apis"]
        for operation in api.get("operations", [])
    ]


def _all_subtypes(models: dict[str, Any], name: str) -> set[str]:
    direct = models[name].get("subTypes", [])
    return set(direct).union(*(_all_subtypes(models, subtype) for subtype in direct))


def _definitions(models: dict[str, Any]) -> dict[str, Any]:
    """Turn Swagger 1.2 models into JSON Schema; a sub-type has its parents' properties too."""
    parents = {subtype: name for name, model in models.items() for subtype in model.get("subTypes", [])}
    definitions = {}
    for name in models:
        properties: dict[str, Any] = {}
        ancestor: str | None = name
        while ancestor:
            properties = {**models[ancestor].get("properties", {}), **properties}
            ancestor = parents.get(ancestor)
        definitions[name] = {
            "type": "object",
            "properties": {key: _schema_of(value["type"]) for key, value in properties.items()},
            "required": [key for key, value in properties.items() if value.get("required")],
            # Models without properties are free-form (Variables).
            "additionalProperties": not properties,
        }
    return definitions


def _schema_of(type_name: str) -> dict[str, Any]:
    if listed := re.fullmatch(r"List\[(\w+)\]", type_name):
        return {"type": "array", "items": _schema_of(listed[1])}
    return _SIMPLE_TYPES.get(type_name, {"$ref": f"#/$defs/{type_name}"})
