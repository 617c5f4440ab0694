"""Operations on Stasis applications: subscriptions, filters, user events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_ari_sla.targets.simulator.api.route import operation
from pytest_ari_sla.targets.simulator.pbx.reply import NO_CONTENT, Refused, Reply
from pytest_ari_sla.targets.simulator.pbx.resources import ALL_TOPICS

if TYPE_CHECKING:
    from pytest_ari_sla.targets.simulator.api.route import Arguments
    from pytest_ari_sla.targets.simulator.pbx.pbx import Pbx
    from pytest_ari_sla.targets.simulator.pbx.resources import Application

__all__ = ["ROUTES"]


def _application(pbx: Pbx, arguments: Arguments) -> Application:
    return pbx.state.application(arguments.text("applicationName"))


def _list(pbx: Pbx, arguments: Arguments) -> Reply:
    del arguments
    return Reply(body=[application.describe() for application in pbx.state.applications.values()])


def _get(pbx: Pbx, arguments: Arguments) -> Reply:
    return Reply(body=_application(pbx, arguments).describe())


def _event_sources(arguments: Arguments) -> list[tuple[str, str]]:
    """Return kind and id of each source ("" for everything of its kind)."""
    arguments.required("eventSource", "Missing parameter eventSource")
    sources = [source.partition(":")[::2] for source in arguments.words("eventSource")]
    if any(kind not in ALL_TOPICS for kind, _ in sources):
        raise Refused(400, "Invalid event source URI scheme")
    return sources


def _exists(pbx: Pbx, kind: str, identifier: str) -> bool:
    match kind:
        case _ if not identifier:
            return True
        case "channel":
            return pbx.state.find_channel(identifier) is not None
        case "bridge":
            return identifier in pbx.state.bridges
        case "deviceState":
            return True
        case _:
            return False


def _subscribe(pbx: Pbx, arguments: Arguments) -> Reply:
    sources, application = _event_sources(arguments), _application(pbx, arguments)
    if not all(_exists(pbx, kind, identifier) for kind, identifier in sources):
        raise Refused(422, "Event source does not exist")
    for kind, identifier in sources:
        application.subscribe(kind, identifier or ALL_TOPICS[kind])
    return Reply(body=application.describe())


def _unsubscribe(pbx: Pbx, arguments: Arguments) -> Reply:
    sources, application = _event_sources(arguments), _application(pbx, arguments)
    if not all(identifier for _, identifier in sources):
        raise Refused(501, "Method not implemented")  # Asterisk's own words for unsubscribing from everything
    if not all(identifier in application.subscriptions[kind] for kind, identifier in sources):
        raise Refused(422, "Event source was not subscribed to")
    for kind, identifier in sources:
        application.unsubscribe(kind, identifier)
    return Reply(body=application.describe())


def _filter_list(body: Any, name: str) -> list[dict[str, str]] | None:
    """Return one list of a filter; None where the body has none."""
    if name not in body:
        return None
    given = body[name]
    if not isinstance(given, list) or not all(isinstance(one, dict) and "type" in one for one in given):
        raise Refused(400, "Invalid format definition")
    return given


def _set_filter(pbx: Pbx, arguments: Arguments) -> Reply:
    application = _application(pbx, arguments)
    allowed, disallowed = _filter_list(arguments.body, "allowed"), _filter_list(arguments.body, "disallowed")
    if not arguments.body:  # an empty filter lets everything pass again
        allowed = disallowed = []
    application.allowed = application.allowed if allowed is None else allowed
    application.disallowed = application.disallowed if disallowed is None else disallowed
    return Reply(body=application.describe())


def _user_event(pbx: Pbx, arguments: Arguments) -> Reply:
    application = pbx.state.application(arguments.required("application", "Missing parameter application"))
    name = arguments.text("eventName")
    event: dict[str, Any] = {
        "type": "ChannelUserevent",
        "eventname": name,
        "userevent": {"eventname": name, **arguments.variables()},
    }
    for source in arguments.words("source"):
        event |= _source_of_event(pbx, *source.partition(":")[::2])
    pbx.state.tell(application, event)
    return NO_CONTENT


def _source_of_event(pbx: Pbx, kind: str, identifier: str) -> dict[str, Any]:
    """Return the field that names a user event's subject."""
    if kind not in ("channel", "bridge", "endpoint"):
        raise Refused(400, "Invalid event source URI scheme")
    found: Any = pbx.state.find_channel(identifier) if kind == "channel" else pbx.state.bridges.get(identifier)
    if found is None or kind == "endpoint":
        raise Refused(422, "Event source was not found")
    return {kind: found.describe()}


_APPLICATION = "/applications/{applicationName}"

ROUTES = (
    operation("GET", "/applications", "list", "List[Application]", "", _list),
    operation("GET", _APPLICATION, "get", "Application", "", _get),
    operation("POST", f"{_APPLICATION}/subscription", "subscribe", "Application", "eventSource!*", _subscribe),
    operation("DELETE", f"{_APPLICATION}/subscription", "unsubscribe", "Application", "eventSource!*", _unsubscribe),
    operation("PUT", f"{_APPLICATION}/eventFilter", "filter", "Application", "filter:object", _set_filter),
    operation(
        "POST", "/events/user/{eventName}", "userEvent", "void", "application! source* variables:body", _user_event
    ),
    operation("POST", "/events/claim", "claimChannel", "void", "channelId! application!"),
)
