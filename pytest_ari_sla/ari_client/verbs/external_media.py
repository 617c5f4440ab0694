"""Channels for media from elsewhere: ARI's externalMedia, and where at Asterisk their media goes."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from pytest_ari_sla.ari.resources import Channel, ExternalMedia
from pytest_ari_sla.ari_client.queries import variable_of
from pytest_ari_sla.errors import AriRequestFailed, TargetIncomplete

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_ari_sla.ari_client.requests import AriClient, QueryValue
    from pytest_ari_sla.ari_client.verbs.creation import AriCreation
    from pytest_ari_sla.ari_client.verbs.websocket_clients import WebSocketClients

__all__ = ["AriExternalMedia"]


class AriExternalMedia:
    """The verb of `AriSession` that makes a channel for media of our own.

    Parameters
    ----------
    client
        Who sends requests.
    creation
        Who makes channels.
    websocket_clients
        Who lets Asterisk know where to connect to for a WebSocket.
    media_host
        Where Asterisk takes media, instead of the address that it announces; None: that one.
    """

    def __init__(
        self, client: AriClient, creation: AriCreation, websocket_clients: WebSocketClients, media_host: str | None
    ) -> None:
        self._client = client
        self._creation = creation
        self._websocket_clients = websocket_clients
        self._media_host = media_host

    async def external_media(
        self,
        channel_id: str,
        external_host: str,
        format: str,
        *,
        encapsulation: str | None = None,
        transport: str | None = None,
        connection_type: str | None = None,
        direction: str | None = None,
        data: str | None = None,
        transport_data: str | None = None,
        variables: Mapping[str, str] | None = None,
        websocket_uri: str | None = None,
    ) -> ExternalMedia:
        """Create a channel that exchanges media with ``external_host``; see `MediaOffer` for the other parameters.

        Returns
        -------
        The channel, and the address at Asterisk that takes our RTP, as far as Asterisk knows it: the session's
        ``media_host`` stands for its host. StasisStart may have come by then, or come later:
        ``session.watch(channel_id).in_stasis()`` waits for it.

        Raises
        ------
        AriRequestFailed
            Asterisk refused: an unknown format, no free RTP port, an id in use, or no ExternalMedia (404).
        TargetIncomplete
            It cannot be told where to connect to for a WebSocket.
        """
        if websocket_uri is not None:
            external_host = await self._websocket_clients.name_for(websocket_uri)
        query: dict[str, QueryValue] = {
            "channelId": channel_id,
            "app": self._creation.app,
            "external_host": external_host,
            "format": format,
            "encapsulation": encapsulation,
            "transport": transport,
            "connection_type": connection_type,
            "direction": direction,
            "data": data,
            "transport_data": transport_data,
        }
        channel = await self._creation.create_channel("/channels/externalMedia", channel_id, query, variables)
        is_rtp = encapsulation in (None, "rtp")
        return ExternalMedia(channel, await self._local_address(channel) if is_rtp else ("", 0))

    async def check_websocket_clients(self) -> None:
        """Find out whether Asterisk can be told where to connect to for a WebSocket.

        Raises
        ------
        TargetIncomplete
            It cannot; the sentence says what to load or to write.
        """
        await self._websocket_clients.check()

    async def _local_address(self, channel: Channel) -> tuple[str, int]:
        """Return where Asterisk takes a channel's RTP; asked for where the answer does not hold it."""
        host = channel.channelvars.get("UNICASTRTP_LOCAL_ADDRESS")
        port = channel.channelvars.get("UNICASTRTP_LOCAL_PORT")
        if not host or not port:
            host = await variable_of(self._client, channel.id, "UNICASTRTP_LOCAL_ADDRESS")
            port = await variable_of(self._client, channel.id, "UNICASTRTP_LOCAL_PORT")
        if not _is_port(port) or not _is_address(host):
            raise AriRequestFailed(
                "GET",
                f"/channels/{channel.id}/variable",
                200,
                f"UNICASTRTP_LOCAL_ADDRESS and _PORT are {host[:100]!r} and {port[:100]!r}: no address that takes RTP",
            )
        if ":" in host and self._media_host is None:
            raise TargetIncomplete(
                f"Asterisk takes the RTP of this channel at the IPv6 address {host}, and media travels over IPv4 here: "
                "name the IPv4 address of Asterisk by --ari-asterisk-media"
            )
        return self._media_host or host, int(port)


def _is_port(text: str) -> bool:
    # int() raises for more than 4,300 digits.
    return text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= 65535


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
