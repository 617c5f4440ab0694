"""What Asterisk is asked for, so that the media of a channel comes to us by a stream, and whose a connection is."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Protocol

from pytest_ari_sla.ari.media_offer import MediaOffer
from pytest_ari_sla.errors import AriRequestFailed, AriUnreachable, UsageError
from pytest_ari_sla.framing.audiosocket import audio_kind, encode
from pytest_ari_sla.framing.conversations import LEG_PARAMETER
from pytest_ari_sla.udp.host_limits import kept_from_connecting

if TYPE_CHECKING:
    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from pytest_ari_sla.ari.resources import ExternalMedia
    from pytest_ari_sla.hookspecs.codec import Voice

__all__ = ["AudioSocketOffers", "Offers", "WebSocketOffers", "WebSocketServerOffers"]

_FIND_S = 10.0
_CONNECTION_ID = "MEDIA_WEBSOCKET_CONNECTION_ID"


class Offers(Protocol):
    """How a transport asks for its channels."""

    def offer(self, host: str, port: int) -> tuple[str, MediaOffer]:
        """Return what a new channel's peer will name itself by, and the offer; empty where we connect."""

    def silence(self, voice: Voice) -> bytes:
        """Return what a connection is sent until it has a stream; empty for nothing."""

    async def find_server(self, ari: AriEndpoint | None) -> Address:
        """Return where we connect to, as a number and a port; called once, before the first call."""

    def destination(self, ari: AriEndpoint | None, media: ExternalMedia) -> tuple[str, str]:
        """Return what to ask there: the server's name, and the path."""


class _Listening:
    async def find_server(self, ari: AriEndpoint | None) -> Address:
        """Asterisk connects to us."""
        del ari
        return "", 0

    def destination(self, ari: AriEndpoint | None, media: ExternalMedia) -> tuple[str, str]:
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

    async def find_server(self, ari: AriEndpoint | None) -> Address:
        """Return the address of Asterisk's HTTP server at which it answers, IPv6 or IPv4.

        Raises
        ------
        UsageError
            It is reached by TLS.
        AriUnreachable, HostLimit
            Its name has no address, or nobody accepts connections there; or this machine lets us make none.
        """
        own = _unencrypted(ari)
        try:
            async with asyncio.timeout(_FIND_S):
                _, writer = await asyncio.open_connection(own.host, own.port)
        except OSError as error:
            if (limit := kept_from_connecting(error, f"{own.host}:{own.port}")) is not None:
                raise limit from error
            problem = str(error) or f"no answer within {_FIND_S:g} s"
            raise AriUnreachable(f"cannot connect to {own.host}:{own.port} for a call's media: {problem}") from error
        found: str = writer.get_extra_info("peername")[0]
        writer.close()
        return found, own.port

    def destination(self, ari: AriEndpoint | None, media: ExternalMedia) -> tuple[str, str]:
        """Return the name of Asterisk's HTTP server, and the path of the connection.

        Raises
        ------
        UsageError
            It is reached by TLS.
        AriRequestFailed
            Its answer tells no id.
        """
        own = _unencrypted(ari)
        connection = media.channel.channelvars.get(_CONNECTION_ID)
        if not connection:
            raise AriRequestFailed("POST", "/channels/externalMedia", 200, f"the answer holds no {_CONNECTION_ID}")
        # /media is a sibling of /ari, below http.conf's prefix.
        authority, _, path = own.base_url.partition("://")[2].partition("/")
        prefix = path.removesuffix("ari").rstrip("/")
        return authority, f"/{prefix}/media/{connection}".replace("//", "/")


def _unencrypted(ari: AriEndpoint | None) -> AriEndpoint:
    if ari is None or ari.is_encrypted:
        raise UsageError("transport 'websocket-server' needs an Asterisk that is reached by http, not https")
    return ari
