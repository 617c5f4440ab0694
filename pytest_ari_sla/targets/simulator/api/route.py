"""Operations of ARI as a table: what can be asked, with which parameters, and what carries it out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_ari_sla.targets.simulator.pbx.reply import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pytest_ari_sla.targets.simulator.pbx.pbx import Pbx
    from pytest_ari_sla.targets.simulator.pbx.reply import Reply

    Handler = Callable[[Pbx, "Arguments"], Reply]

__all__ = ["Arguments", "Parameter", "Route", "RouteTable", "operation"]

_ANY = None  # a placeholder among the parts of paths; no part of a request's path is equal to it
_BODY_TYPES = {"body": "containers", "object": "object"}
# As ast_true() of main/utils.c.
_TRUE = frozenset({"yes", "true", "y", "t", "1", "on"})


@dataclass(frozen=True)
class Arguments:
    """What a request says.

    Attributes
    ----------
    path
        Values of the placeholders of the path.
    query
        Parameters of the query, or of a form.
    body
        The JSON body; anything of the query may stand there as well.
    """

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter; a list in the body is joined by commas."""
        value = self.path.get(name) or self.query.get(name) or self.body.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return str(value).lower()
        return ",".join(map(str, value)) if isinstance(value, list) else str(value)

    def words(self, name: str) -> list[str]:
        """Return the parts of a parameter that has commas between them."""
        return [word for word in self.text(name).split(",") if word]

    def number(self, name: str, default: int = 0) -> int:
        """Return a whole number; like Asterisk, 0 for what is none."""
        match = re.match(r"\s*[+-]?\d+", self.text(name, str(default)))
        return int(match[0]) if match else 0

    def flag(self, name: str) -> bool:
        """Return whether something is wanted."""
        return self.text(name).lower() in _TRUE

    def variables(self) -> dict[str, str]:
        """Return the variables of the body."""
        given = self.body.get("variables")
        return {str(name): str(value) for name, value in given.items()} if isinstance(given, dict) else {}

    def check_variables(self) -> None:
        """Refuse with 400 unless the body has an object of variables."""
        if "variables" not in self.body:
            raise Refused(400, "The 'variables' field is required")
        if not isinstance(self.body["variables"], dict):
            raise Refused(400, "The 'variables' field must be a JSON object")

    def required(self, name: str, message: str) -> str:
        """Return a parameter, or refuse with 400."""
        if value := self.text(name):
            return value
        raise Refused(400, message)


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operation.

    Attributes
    ----------
    place
        ``path``, ``query`` or ``body``.
    multiple
        Whether several values may be given, with commas between them.
    """

    name: str
    place: str
    type: str = "string"
    required: bool = False
    multiple: bool = False


@dataclass(frozen=True)
class Route:
    """An operation of ARI.

    Attributes
    ----------
    nickname
        Its name in clients that are made from the description.
    response
        What it answers: a model's name, ``List[…]`` of one, ``void`` or ``binary``.
    handler
        Carries it out; None where the simulator does not.
    """

    method: str
    path: str
    nickname: str
    response: str
    parameters: tuple[Parameter, ...]
    handler: Handler | None

    @property
    def resource(self) -> str:
        """The first part of the path."""
        return self.path.split("/")[1]


def operation(
    method: str, path: str, nickname: str, response: str, parameters: str = "", handler: Handler | None = None
) -> Route:
    """Describe an operation.

    Parameters
    ----------
    parameters
        Names with blanks between them, those of the path left out. Behind a name: ``!`` for one that is required,
        ``*`` for one that takes several values, ``:int`` and the like for a type, ``:body`` and ``:object`` for a JSON
        object in the body.
    """
    in_path = [Parameter(name, "path", required=True) for name in re.findall(r"\{(\w+)\}", path)]
    return Route(method, path, nickname, response, (*in_path, *map(_parameter, parameters.split())), handler)


def _parameter(notation: str) -> Parameter:
    name, _, kind = notation.partition(":")
    place = "body" if kind in _BODY_TYPES else "query"
    type_name = _BODY_TYPES.get(kind) or kind or "string"
    return Parameter(name.strip("!*"), place, type_name, required="!" in name, multiple="*" in name)


class RouteTable:
    """Finds the operation that a request names.

    Literal parts of a path win over placeholders: ``/channels/create`` is no channel's id.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._root: dict[str | None, Any] = {}
        for route in self.routes:
            node = self._root
            for part in route.path.strip("/").split("/"):
                node = node.setdefault(_ANY if part.startswith("{") else part, {})
            node.setdefault("/", {})[route.method] = route

    def find(self, path: str) -> tuple[dict[str, Route], list[str]]:
        """Return the operations of a path by method, and the values of its placeholders in order.

        A path that only leads to operations has none itself. An empty part ends the path, as it does in Asterisk.

        Raises
        ------
        Refused
            With 404 if there is no such path.
        """
        node, values = self._root, []
        for part in path[1:].split("/") if path != "/" else ():
            if part in node:
                node = node[part]
            elif not part:
                break
            elif _ANY in node:
                node = node[_ANY]
                values.append(part)
            else:
                raise Refused(404, "Resource not found")
        return node.get("/", {}), values
