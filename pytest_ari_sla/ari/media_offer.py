"""What Asterisk is asked for, so that the media of a channel comes to us."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MediaOffer", "OfferChanges"]


class OfferChanges(TypedDict, total=False):
    """What a topology may ask for instead of what the transport offers: see :class:`MediaOffer`."""

    encapsulation: str
    transport: str
    connection_type: str
    direction: str
    data: str
    transport_data: str
    variables: Mapping[str, str]


@dataclass(frozen=True)
class MediaOffer:
    """The parameters of ``POST /channels/externalMedia`` that say where media goes and how.

    What is None is left out, so that Asterisk's default holds: RTP over UDP, both ways.

    Attributes
    ----------
    external_host
        ``host:port``; ``INCOMING`` where we connect to a WebSocket of Asterisk; empty with ``websocket_uri``.
    encapsulation, transport
        ``rtp`` over ``udp``, ``audiosocket`` over ``tcp``, ``none`` over ``websocket``: Asterisk takes
        these pairs only.
    connection_type
        Who connects: Asterisk (``client``) or we (``server``, WebSockets only).
    direction
        ``both``, ``in`` or ``out``; acts for WebSockets only, from Asterisk 22.9 on.
    data
        For AudioSocket the UUID of the stream.
    transport_data
        Options of the WebSocket's dial string, from Asterisk 22.8 on.
    variables
        Channel variables to set.
    websocket_uri
        Where Asterisk connects to for a WebSocket: the session writes the section of websocket_client.conf that is
        the ``external_host``, once for each URI.
    """

    external_host: str = ""
    encapsulation: str | None = None
    transport: str | None = None
    connection_type: str | None = None
    direction: str | None = None
    data: str | None = None
    transport_data: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)  # a dict has no hash
    websocket_uri: str | None = None

    def changed(self, **changes: Unpack[OfferChanges]) -> MediaOffer:
        """Return the offer with some parameters given; variables are set beside those that it has."""
        changes["variables"] = {**self.variables, **changes.get("variables", {})}
        return replace(self, **changes)

    def options(self) -> dict[str, Any]:
        """Return all but the host, as keyword arguments of :meth:`AriSession.external_media`."""
        return {
            "encapsulation": self.encapsulation,
            "transport": self.transport,
            "connection_type": self.connection_type,
            "direction": self.direction,
            "data": self.data,
            "transport_data": self.transport_data,
            "variables": self.variables or None,
            "websocket_uri": self.websocket_uri,
        }
