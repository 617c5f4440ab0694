"""All operations of ARI, and how a request finds its way to one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.targets.simulator.api.operations import (
    applications,
    asterisk,
    bridges,
    channel_control,
    channels,
    configuration,
    media,
)
from pytest_ari_sla.targets.simulator.api.route import Arguments, RouteTable, operation
from pytest_ari_sla.targets.simulator.pbx.reply import NO_CONTENT, Refused, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pytest_ari_sla.targets.simulator.pbx.pbx import Pbx

__all__ = ["EVENTS_PATH", "ROUTES", "TABLE", "answer", "check_slash"]

EVENTS_PATH = "/events"


def _upgrade_required(pbx: Pbx, arguments: Arguments) -> Reply:
    """Answer a request for events that is no WebSocket handshake; the server takes handshakes itself."""
    del pbx, arguments
    raise Refused(426, "Upgrade Required")


ROUTES = (
    *applications.ROUTES,
    *asterisk.ROUTES,
    *configuration.ROUTES,
    *bridges.ROUTES,
    *channels.ROUTES,
    *channel_control.ROUTES,
    *media.ROUTES,
    operation("GET", EVENTS_PATH, "eventWebsocket", "Message", "app!* subscribeAll:boolean", _upgrade_required),
)
"""Every operation that Asterisk 22 describes."""

TABLE = RouteTable(ROUTES)


def answer(pbx: Pbx, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> Reply:
    """Carry out a request.

    Parameters
    ----------
    path
        What stands behind ``/ari``.
    body
        The JSON body; empty without one.
    """
    try:
        check_slash(path)
        return _answer(pbx, method, path, query, body)
    except Refused as refused:
        return refused.reply


def check_slash(path: str) -> None:
    """Refuse a path that ends with a slash, but for the root's."""
    if path.endswith("/") and path != "/":
        # As in res_ari.c: not redirected, since clients would repeat a POST as a GET.
        raise Refused(404, f"ARI URLs do not end with a slash. Try /ari{path[:-1]}")


def _answer(pbx: Pbx, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> Reply:
    methods, values = TABLE.find(path)
    if method == "OPTIONS":
        return Reply(NO_CONTENT.status, headers={"Allow": ",".join(["OPTIONS", *methods])})
    if method not in methods:
        raise Refused(405, "Invalid method")
    route = methods[method]
    if route.handler is None:
        raise Refused(501, "Method not implemented by the simulator")
    in_path = [parameter.name for parameter in route.parameters if parameter.place == "path"]
    return route.handler(pbx, Arguments(dict(zip(in_path, values, strict=True)), query, body))
