"""Where Asterisk is told to connect to for WebSocket media: a section of websocket_client.conf, written through ARI.

``externalMedia`` takes the name of such a section, never a URI. ARI's dynamic configuration writes one while Asterisk
runs, if sorcery.conf lets it keep such objects in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SORCERY_CONF", "WEBSOCKET_CLIENT", "WebSocketClientSection", "refusal_words", "section_name"]

SORCERY_CONF = (
    "[res_websocket_client]\n"
    "websocket_client = config,websocket_client.conf,criteria=type=websocket_client\n"
    "websocket_client = memory\n"
)
"""What sorcery.conf must say; read when res_websocket_client is loaded, and not when it is reloaded."""

WEBSOCKET_CLIENT = "/asterisk/config/dynamic/res_websocket_client/websocket_client/{id}"
"""ARI's route to a section, by its name."""


def section_name(prefix: str, number: int) -> str:
    """Return the name of a session's section, by the prefix of the session's ids and the section's number, from 1."""
    return f"{prefix}websocket-{number}"


@dataclass(frozen=True)
class WebSocketClientSection:
    """A section of websocket_client.conf.

    Attributes
    ----------
    name
        Its name: ``external_host`` of the channels that use it.
    uri
        ``ws://host:port/path`` of a server that speaks the sub-protocol ``media``.
    """

    name: str
    uri: str

    def body(self) -> dict[str, list[dict[str, str]]]:
        """Return the body of the request that writes it: one connection for each call, all else as by default."""
        values = {"connection_type": "per_call_config", "uri": self.uri, "protocols": "media"}
        return {"fields": [{"attribute": name, "value": value} for name, value in values.items()]}


def refusal_words(status: int, reason: str) -> str:
    """Return, in one sentence, why Asterisk did not take a section, and what to do.

    Parameters
    ----------
    status, reason
        HTTP status of its answer, and what that says.
    """
    if status == 404:
        return (
            "Asterisk does not run res_websocket_client, so it cannot connect to us for WebSocket media; load it and "
            "chan_websocket in modules.conf (Asterisk has them since 20.16 and 22.6)"
        )
    if status == 403:
        lines = "; ".join(SORCERY_CONF.splitlines())
        return (
            "Asterisk does not take sections of websocket_client.conf through ARI, so it cannot be told where to "
            f"connect to for WebSocket media; add to sorcery.conf '{lines}', and restart Asterisk"
        )
    return f"Asterisk did not take a section of websocket_client.conf for our WebSocket media ({status}: {reason})"
