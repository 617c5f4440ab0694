"""The sections of websocket_client.conf that a session writes, so that Asterisk's WebSockets come to us."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pytest_ari_sla.ari.websocket_client import (
    WEBSOCKET_CLIENT,
    WebSocketClientSection,
    refusal_words,
    section_name,
)
from pytest_ari_sla.errors import AriRequestFailed, SlaError, TargetIncomplete

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_ari_sla.ari_client.requests import AriClient

__all__ = ["WebSocketClients"]

_NOWHERE = "ws://127.0.0.1:9/"


class WebSocketClients:
    """What one session has written.

    Parameters
    ----------
    client
        How Asterisk is reached.
    prefix
        Begins the names: the prefix of the session's ids, with its terminator.
    """

    def __init__(self, client: AriClient, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._names: dict[str, str] = {}
        self._writing = asyncio.Lock()

    async def name_for(self, uri: str) -> str:
        """Return the name of the section that leads to a URI; written when it is asked for first.

        Raises
        ------
        TargetIncomplete
            Asterisk takes none, and why.
        """
        async with self._writing:  # two calls that begin at once share one section
            if uri not in self._names:
                name = section_name(self._prefix, len(self._names) + 1)
                # Before the request: what goes out may be carried out, whatever comes back.
                self._names[uri] = name
                try:
                    await self._write(WebSocketClientSection(name, uri))
                except TargetIncomplete:
                    del self._names[uri]
                    raise
        return self._names[uri]

    async def check(self) -> None:
        """Write a section that leads nowhere, and remove it again.

        Raises
        ------
        TargetIncomplete
            Asterisk takes none, and why.
        """
        name = section_name(self._prefix, 0)  # those in use count from 1
        try:
            await self._write(WebSocketClientSection(name, _NOWHERE))
        finally:
            await self._client.delete(WEBSOCKET_CLIENT, {"id": name})

    async def _write(self, section: WebSocketClientSection) -> None:
        try:
            await self._client.request("PUT", WEBSOCKET_CLIENT, {"id": section.name}, body=section.body())
        except AriRequestFailed as refused:
            raise TargetIncomplete(refusal_words(refused.status, refused.reason)) from refused

    async def remove(self, note: Callable[[str, str], None]) -> None:
        """Remove all of them; one that stays is noted."""
        for uri, name in list(self._names.items()):
            try:
                await self._client.delete(WEBSOCKET_CLIENT, {"id": name})
                del self._names[uri]
            except SlaError as failure:
                note("clean-up", f"section {name} of websocket_client.conf is left at Asterisk: {failure}")
