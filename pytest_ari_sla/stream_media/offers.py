"""What Asterisk is asked for, so that the media of a channel comes to us by a stream, and whose a connection is."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Protocol

from pytest_ari_sla.ari.media_offer import MediaOffer
from pytest_ari_sla.errors import AriRequestFailed, UsageError
from pytest_ari_sla.framing.audiosocket import audio_kind, encode
from pytest_ari_sla.framing.conversations import LEG_PARAMETER

if TYPE_CHECKING:
    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from pytest_ari_sla.ari.resources import ExternalMedia
    from pytest_ari_sla.hookspecs.codec import Voice

__all__ = ["AudioSocketOffers", "Offers", "WebSocketOffers", "WebSocketServerOffers"]

_CONNECTION_ID = "MEDIA_WEBSOCKET_CONNECTION_ID"


class Offers(Protocol):
    """How a transport asks for its channels."""

    def offer(self, host: str, port: int) -> tuple[str, MediaOffer]:
        """Return what a new channel's peer will name itself by, and the offer; empty where we connect."""

    def silence(self, voice: Voice) -> bytes:
        """Return what a connection is sent until it has a stream; empty for nothing."""

    def destination(self, ari: AriEndpoint | None, media: ExternalMedia) -> tuple[str, int, str]:
        """Return where we connect to: host, port and path."""


class _Listening:
    def destination(self, ari: AriEndpoint | None, media: ExternalMedia) -> tuple[str, int, str]:
        """Asterisk connects to us."""
        raise NotImplementedError


class AudioSocketOffers(_Listening):
    """``encapsulation=audiosocket``: the connection is made inside the request."""

    def offer(self, host: str, port: int) -> tuple[str, MediaOffer]:
        """Return a new UUID, and the offer."""
        key = str(uuid.uuid4())  # anything but a UUID is refused (chan_audiosocket)
        return key, MediaOffer(f"{host}:{port}", encapsulation="audiosocket", transport="tcp", data=key)

    def silence(self, voice: Voice) -> bytes:
        """Return silence: a channel thread that awaits a header polls without an end (asterisk#2089)."""
        return encode(audio_kind(voice.codec.sample_rate_hz), bytes(voice.frames.shape[1]))


class WebSocketOffers(_Listening):
    """``connection_type=client``: Asterisk connects to a section of websocket_client.conf, written for us."""

    def offer(self, host: str, port: int) -> tuple[str, MediaOffer]:
        """Return a new key, which comes back as a parameter of the URI, and the offer."""
        key = uuid.uuid4().hex
        return key, MediaOffer(
            websocket_uri=f"ws://{host}:{port}/media",
            encapsulation="none",
            transport="websocket",
            connection_type="client",
            # One section serves all calls, so the URI's query tells them apart.
            transport_data=f"v({LEG_PARAMETER}={key})",
        )

    def silence(self, voice: Voice) -> bytes:
        """Nothing need be said."""
        del voice
        return b""


class WebSocketServerOffers:
    """``connection_type=server``: Asterisk awaits our connection under an id that its answer tells."""

    def offer(self, host: str, port: int) -> tuple[str, MediaOffer]:
        """Return no key, and the offer."""
        del host, port
        return "", MediaOffer("INCOMING", encapsulation="none", transport="websocket", connection_type="server")

    def silence(self, voice: Voice) -> bytes:
        """Nothing need be said."""
        del voice
        return b""

    def destination(self, ari: AriEndpoint | None, media: ExternalMedia) -> tuple[str, int, str]:
        """Return Asterisk's HTTP server and the path of the connection.

        Raises
        ------
        UsageError
            It is reached by TLS.
        AriRequestFailed
            Its answer tells no id.
        """
        if ari is None or ari.is_encrypted:
            raise UsageError("transport 'websocket-server' needs an Asterisk that is reached by http, not https")
        connection = media.channel.channelvars.get(_CONNECTION_ID)
        if not connection:
            raise AriRequestFailed("POST", "/channels/externalMedia", 200, f"the answer holds no {_CONNECTION_ID}")
        # /media is a sibling of /ari, below http.conf's prefix.
        prefix = ari.base_url.partition("://")[2].partition("/")[2].removesuffix("ari").rstrip("/")
        return ari.host, ari.port, f"/{prefix}/media/{connection}".replace("//", "/")
