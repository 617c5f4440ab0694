"""ARI's questions: what changes nothing at Asterisk, as methods with typed results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_ari_sla.ari.resources import (
    Application,
    AsteriskInfo,
    AsteriskPing,
    Bridge,
    Channel,
    RtpStatistics,
    Variable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_ari_sla.ari_client.requests import AriClient, QueryValue

__all__ = ["BRIDGE", "CHANNEL", "NO_CHANNEL", "AriQueries", "variable_of"]

CHANNEL = "/channels/{channelId}"
BRIDGE = "/bridges/{bridgeId}"

NO_CHANNEL = "no-such-channel."
"""The id of no channel: Asterisk compares it with each of its channels, and takes the lock of each for that."""


class AriQueries:
    """The questions that `AriSession` can ask.

    Parameters
    ----------
    client
        Who sends them.
    app
        Name of our Stasis application.
    """

    def __init__(self, client: AriClient, app: str) -> None:
        self._client = client
        self.app = app

    async def info(self) -> AsteriskInfo:
        """Return version, limits and start time of Asterisk."""
        return await self._client.fetch(AsteriskInfo, "GET", "/asterisk/info")

    async def ping(self) -> AsteriskPing:
        """Ask for a sign of life; it comes also while channels are stuck."""
        return await self._client.fetch(AsteriskPing, "GET", "/asterisk/ping")

    async def application(self, name: str | None = None) -> Application:
        """Return a Stasis application, by default our own."""
        return await self._client.fetch(
            Application, "GET", "/applications/{applicationName}", path={"applicationName": name or self.app}
        )

    async def channels(self) -> list[Channel]:
        """Return all channels, also those of others."""
        return await self._client.fetch(list[Channel], "GET", "/channels")

    async def bridges(self) -> list[Bridge]:
        """Return all bridges, also those of others."""
        return await self._client.fetch(list[Bridge], "GET", "/bridges")

    async def channel(self, channel_id: str) -> Channel:
        """Return one channel, as Asterisk has it in its cache."""
        return await self._client.fetch(Channel, "GET", CHANNEL, path={"channelId": channel_id})

    async def rtp_statistics(self, channel_id: str) -> RtpStatistics:
        """Return what Asterisk says of a channel's RTP; ExternalMedia channels have none."""
        return await self._client.fetch(
            RtpStatistics, "GET", f"{CHANNEL}/rtp_statistics", path={"channelId": channel_id}
        )

    async def bridge(self, bridge_id: str) -> Bridge:
        """Return one bridge."""
        return await self._client.fetch(Bridge, "GET", BRIDGE, path={"bridgeId": bridge_id})

    async def request(
        self,
        method: str,
        route: str,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, QueryValue] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Send any other request; see `AriClient.request`.

        What it creates is removed at the end only if its id is from `new_id`.
        """
        return await self._client.request(method, route, path, query, body)

    async def get_variable(self, channel_id: str, variable: str) -> str:
        """Return a channel variable or function; hangs where the channel's lock does."""
        return await variable_of(self._client, channel_id, variable)


async def variable_of(client: AriClient, channel_id: str, variable: str) -> str:
    """Return a channel variable or function; see `AriQueries.get_variable`."""
    answer = await client.fetch(
        Variable, "GET", CHANNEL + "/variable", path={"channelId": channel_id}, query={"variable": variable}
    )
    return answer.value
