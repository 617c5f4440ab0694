"""Who may use ARI: HTTP Basic and api_key, in requests and for the event WebSocket."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import aiohttp
import pytest

if TYPE_CHECKING:
    from tests.contract.raw_ari import RawAri

_WRONG = "Basic " + base64.b64encode(b"nobody:nothing").decode()


@pytest.mark.parametrize("path", ["/asterisk/ping", "/channels", "/nosuch", "/api-docs/resources.json"])
@pytest.mark.parametrize("authorization", [None, _WRONG, "Bearer x", "nonsense"])
async def test_without_credentials_nothing_is_answered(raw_ari: RawAri, path: str, authorization: str | None) -> None:
    """A request without good credentials answers 401, whatever it asks for, and says what would be wanted."""
    headers = {"Authorization": authorization} if authorization else {}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(raw_ari.base + path) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == 'Basic realm="Asterisk REST Interface"'
        assert await response.json() == {"message": "Authentication required"}


async def test_api_key_is_as_good_as_basic(raw_ari: RawAri) -> None:
    """Parameter api_key=user:password is accepted, a wrong or malformed one is not."""
    endpoint = raw_ari.endpoint
    keys = {f"{endpoint.user}:{endpoint.password}": 200, f"{endpoint.user}:wrong": 401, "malformed": 401}
    async with aiohttp.ClientSession() as session:
        for key, status in keys.items():
            async with session.get(raw_ari.base + "/asterisk/ping", params={"api_key": key}) as response:
                assert response.status == status


async def test_an_api_key_counts_only_where_the_header_says_nothing(raw_ari: RawAri) -> None:
    """Credentials in the header are judged whatever the parameter says; a header that holds none leaves it to that."""
    good = f"{raw_ari.endpoint.user}:{raw_ari.endpoint.password}"
    asked = [
        (_WRONG, good, 401),
        (raw_ari.endpoint.authorization, "nobody:nothing", 200),
        ("Bearer x", good, 200),
    ]
    async with aiohttp.ClientSession() as session:
        for header, key, status in asked:
            url, headers = raw_ari.base + "/asterisk/ping", {"Authorization": header}
            async with session.get(url, headers=headers, params={"api_key": key}) as response:
                assert response.status == status, (header, key)


async def test_the_event_socket_takes_an_api_key(raw_ari: RawAri) -> None:
    """The event WebSocket opens with an api_key and no header."""
    endpoint = raw_ari.endpoint
    parameters = {"app": "keyed", "api_key": f"{endpoint.user}:{endpoint.password}"}
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(raw_ari.base + "/events", params=parameters):
            await raw_ari.until(lambda: raw_ari.has_applications(["keyed"]))


@pytest.mark.parametrize("query", ["?app=x", "?app=x&api_key=nobody:nothing"])
async def test_the_event_socket_refuses_strangers(raw_ari: RawAri, query: str) -> None:
    """The handshake of the event WebSocket answers 401 without good credentials."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(raw_ari.base + "/events" + query)
    assert refused.value.status == 401
