from __future__ import annotations

import asyncio
import errno
import os
import ssl
from typing import TYPE_CHECKING

import aiohttp
import pytest
import trustme
from aiohttp import web

from pytest_ari_sla.ari.endpoint import AriEndpoint
from pytest_ari_sla.ari.resources import AsteriskPing
from pytest_ari_sla.ari_client import faults
from pytest_ari_sla.ari_client import requests as ari_client
from pytest_ari_sla.ari_client.faults import error_of_answer, error_of_failure
from pytest_ari_sla.ari_client.requests import AriClient
from pytest_ari_sla.ari_client.session import AriSession
from pytest_ari_sla.ari_client.tls import tls_context
from pytest_ari_sla.errors import (
    AriAuthenticationFailed,
    AriRequestFailed,
    AriTimeout,
    AriUnreachable,
    HostLimit,
    NetworkError,
    NotAnAsterisk,
    OpenFilesLimit,
    SlaError,
    TargetError,
    TlsFailed,
    UsageError,
)
from pytest_ari_sla.settings import TlsTrust
from tests.unit.ari_client.ari_server import PASSWORD, USER, FakeAri, cut, hang, html_404, refusal

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def client(fake_ari: FakeAri) -> AsyncIterator[AriClient]:
    """Return a client of a small ARI."""
    client = AriClient(AriEndpoint(fake_ari.url + "/ari", USER, PASSWORD), tls=True, request_timeout_s=5)
    await client.open()
    yield client
    await client.close()


async def opening_fails(url: str, user: str = USER, *, ca_file: str | None = None, timeout_s: float = 5) -> SlaError:
    """Open a session that cannot be opened and return the error."""
    session = AriSession(
        url, user, PASSWORD, app="app", id_prefix="run", trust=TlsTrust(ca_file), request_timeout_s=timeout_s
    )
    with pytest.raises(SlaError) as caught:
        await session.__aenter__()
    assert PASSWORD not in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


# --- errors when opening ----------------------------------------------------------------------------------------


async def test_a_refused_connection_names_the_address_and_what_to_check(unused_tcp_port: int) -> None:
    """Nothing listens there."""
    error = await opening_fails(f"http://127.0.0.1:{unused_tcp_port}")
    assert isinstance(error, AriUnreachable)
    assert f"127.0.0.1:{unused_tcp_port} refused the connection" in str(error)
    assert "http.conf" in str(error)


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.EMFILE, OpenFilesLimit, "ulimit -n"),
        (errno.ENFILE, OpenFilesLimit, "fs.file-max"),
        (errno.ENOBUFS, HostLimit, "no more memory"),
        (errno.EADDRNOTAVAIL, HostLimit, "no local port left for a connection to 127.0.0.1:1 (sysctl"),
        (errno.EPERM, HostLimit, "forbids us to connect to 127.0.0.1:1 (Operation not permitted)"),
        (errno.ENETUNREACH, AriUnreachable, "has no route there"),
        (errno.EHOSTUNREACH, AriUnreachable, "its host up?"),
    ],
)
async def test_what_this_machine_refuses_is_not_blamed_on_asterisk(
    monkeypatch: pytest.MonkeyPatch, number: int, kind: type[SlaError], words: str
) -> None:
    """Nor does the sentence send anybody to http.conf."""

    def refuse(address: object) -> socket.socket:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(ari_client, "stamped_socket", refuse)
    error = await opening_fails("http://127.0.0.1:1")
    assert type(error) is kind
    assert error.culprit == ("the network" if kind is AriUnreachable else "this tool")
    assert words in str(error)
    assert "http.conf" not in str(error)


async def test_without_open_files_a_name_is_not_called_misspelt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver cannot read its own files then, and says that there is no such host."""
    limit = OpenFilesLimit("no more open files")
    monkeypatch.setattr(faults, "lacks_files", lambda: limit)
    assert await opening_fails("http://pbx.invalid:8088") is limit


async def test_a_mock_that_takes_requests_away_is_named_and_not_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that the connection was refused, though none was made."""

    async def refuse(session: aiohttp.ClientSession, *arguments: object, **options: object) -> None:
        raise aiohttp.ClientConnectionError("Connection refused")

    monkeypatch.setattr(aiohttp.ClientSession, "_request", refuse)
    error = await opening_fails("http://127.0.0.1:1")
    assert isinstance(error, UsageError)
    assert "passthrough=['http://127.0.0.1:1']" in str(error)


async def test_a_host_name_that_does_not_exist_is_named() -> None:
    """The top-level domain "invalid" never exists (RFC 6761)."""
    error = await opening_fails("http://pbx.invalid:8088")
    assert isinstance(error, AriUnreachable)
    assert "'pbx.invalid' of the ARI URL cannot be resolved" in str(error)


async def test_a_wrong_password_names_the_user_and_the_options(fake_ari: FakeAri) -> None:
    """And never the password."""
    error = await opening_fails(fake_ari.url, "somebody")
    assert isinstance(error, AriAuthenticationFailed)
    assert "refused GET /asterisk/info for user 'somebody' (401); check --ari-user" in str(error)


async def test_a_wrong_path_is_not_ari(fake_ari: FakeAri) -> None:
    """Asterisk's HTTP server answers a path without ARI by HTML."""
    fake_ari.interfere = html_404
    error = await opening_fails(fake_ari.url)
    assert isinstance(error, NotAnAsterisk)
    assert "not ARI" in str(error)
    assert "ari.conf" in str(error)


async def test_another_service_is_not_ari(fake_ari: FakeAri) -> None:
    """It answers 200, but not what ARI answers."""

    async def greet(_: web.Request) -> web.StreamResponse | None:
        return web.Response(text="It works!")

    fake_ari.interfere = greet
    error = await opening_fails(fake_ari.url)
    assert isinstance(error, NotAnAsterisk)
    assert "cannot be read" in str(error)


async def test_a_server_that_speaks_no_http_is_not_ari() -> None:
    """Such as a SIP or SSH port."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        error = await opening_fails(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert isinstance(error, NotAnAsterisk)
    assert "not valid HTTP" in str(error)


async def test_an_asterisk_that_does_not_answer_is_a_time_out(fake_ari: FakeAri) -> None:
    """The sentence holds the time limit."""
    fake_ari.interfere = hang
    error = await opening_fails(fake_ari.url, timeout_s=0.1)
    assert isinstance(error, AriTimeout)
    assert "GET /asterisk/info got no answer" in str(error)
    assert "within 0.1 s" in str(error)


async def test_a_service_unavailable_keeps_its_status(fake_ari: FakeAri) -> None:
    """503: Asterisk starts, stops or is overloaded."""

    async def unavailable(_: web.Request) -> web.StreamResponse | None:
        return web.Response(status=503)

    fake_ari.interfere = unavailable
    error = await opening_fails(fake_ari.url)
    assert isinstance(error, AriRequestFailed)
    assert error.status == 503
    assert "overloaded" in str(error)


async def test_a_refused_event_stream_is_told_like_a_refused_request(fake_ari: FakeAri) -> None:
    """The WebSocket's handshake error of aiohttp would hold the request's headers, and so the password."""

    async def no_events(request: web.Request) -> web.StreamResponse | None:
        return refusal(403, "Forbidden") if request.path == "/ari/events" else None

    fake_ari.interfere = no_events
    error = await opening_fails(fake_ari.url)
    assert isinstance(error, AriAuthenticationFailed)
    assert error.__cause__ is None


async def test_http_to_a_tls_port_says_https() -> None:
    """Found out by trying a handshake where plain HTTP got no answer."""
    authority = trustme.CA()
    async with FakeAri(server_context(authority)) as server:
        error = await opening_fails(server.url.replace("https", "http"))
    assert isinstance(error, TlsFailed)
    assert "https://" in str(error)


async def test_https_to_a_plain_port_says_http(fake_ari: FakeAri) -> None:
    """The other way round."""
    error = await opening_fails(fake_ari.url.replace("http", "https"))
    assert isinstance(error, TlsFailed)
    assert "does not speak TLS; use http://" in str(error)


def server_context(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    """Return a server's TLS set-up with a certificate for a name."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_a_certificate_of_an_unknown_ca_names_the_option() -> None:
    """As with every self-signed Asterisk."""
    async with FakeAri(server_context(trustme.CA())) as server:
        error = await opening_fails(server.url)
    assert isinstance(error, TlsFailed)
    assert "is not trusted" in str(error)
    assert "--ari-ca-file" in str(error)


async def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    """Also when its CA is trusted."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with FakeAri(server_context(authority, "pbx.example")) as server:
        error = await opening_fails(server.url, ca_file=str(tmp_path / "ca.pem"))
    assert isinstance(error, TlsFailed)
    assert "127.0.0.1" in str(error)


@pytest.mark.parametrize("verify", [True, False])
async def test_requests_and_events_go_through_tls(tmp_path: Path, verify: bool) -> None:
    """With the CA given, or with the check switched off."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    ca_file = str(tmp_path / "ca.pem") if verify else None
    async with (
        FakeAri(server_context(authority)) as server,
        AriSession(server.url, USER, PASSWORD, app="app", id_prefix="run", trust=TlsTrust(ca_file, verify)) as session,
    ):
        watch = session.watch(session.new_id("channel"))
        await session.external_media(watch.channel_id, "127.0.0.1:5000", "ulaw")
        await watch.in_stasis()


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_unusable_ca_file_is_the_users_mistake(tmp_path: Path, content: str | None) -> None:
    """Missing, or without a certificate."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match="--ari-ca-file"):
        tls_context(TlsTrust(str(path)))


def test_a_connect_time_out_is_the_networks_fault() -> None:
    """A firewall that drops packets."""
    error = error_of_failure(aiohttp.ConnectionTimeoutError(), AriEndpoint("http://[::1]:8088/ari"), "GET /x", 5)
    assert isinstance(error, NetworkError)
    assert "[::1]:8088" in str(error)


# --- answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (409, b'{"message": "Channel not in Stasis application"}', "Channel not in Stasis application"),
        (404, b'{"error": "Resource not found"}', "Resource not found"),
        (500, b"", "no reason given"),
        (500, b"<html>\n <b>\xff oops", "<html> <b>\ufffd oops"),
        (400, b"[1]", "[1]"),
    ],
)
def test_a_refusal_keeps_status_and_aris_own_words(status: int, body: bytes, reason: str) -> None:
    """Both are attributes too, for those who must tell refusals apart."""
    error = error_of_answer(AriEndpoint("http://pbx:8088/ari"), "POST", "/channels/x/dial", status, body)
    assert isinstance(error, AriRequestFailed)
    assert isinstance(error, TargetError)
    assert (error.method, error.path, error.status, error.reason) == ("POST", "/channels/x/dial", status, reason)


async def test_a_request_fills_its_route_and_leaves_out_what_is_none(fake_ari: FakeAri, client: AriClient) -> None:
    """Ids are quoted, so that no id can leave its place in the path."""
    fake_ari.channels["a/b?c#d e"] = {"id": "a/b?c#d e"}
    await client.request("GET", "/channels/{channelId}", {"channelId": "a/b?c#d e"})
    await client.request("POST", "/channels/{id}/x", {"id": "a"}, {"n": 1, "none": None, "yes": True, "s": "ü&"})
    assert fake_ari.requests[-1] == ("POST", "/ari/channels/a/x", {"n": "1", "yes": "true", "s": "ü&"})


async def test_an_answer_is_read_as_a_record(client: AriClient) -> None:
    """Typed, so that a misspelt member is found by the type checker."""
    assert await client.fetch(AsteriskPing, "GET", "/asterisk/ping") == AsteriskPing("pong")


# --- repeating --------------------------------------------------------------------------------------------------


def failing_once(fake_ari: FakeAri, *, carried_out: bool = False) -> None:
    """Let the next request lose its connection, before or after it was carried out."""

    async def fail(request: web.Request) -> web.StreamResponse | None:
        fake_ari.interfere = None
        if carried_out:
            fake_ari.channels.pop(request.path.rpartition("/")[2], None)
        return await cut(request)

    fake_ari.interfere = fail


def without_aiohttps_own_retry(client: AriClient) -> None:
    """Let every broken connection reach us: aiohttp repeats a GET or DELETE on a kept-alive connection by itself."""
    assert client._http is not None
    client._http._retry_connection = False


@pytest.mark.parametrize("carried_out", [True, False])
async def test_a_delete_whose_connection_broke_is_repeated(
    fake_ari: FakeAri, client: AriClient, carried_out: bool
) -> None:
    """If the first attempt was carried out the second finds nothing, and that is success."""
    without_aiohttps_own_retry(client)
    fake_ari.channels["x"] = {"id": "x"}
    failing_once(fake_ari, carried_out=carried_out)
    assert await client.delete("/channels/{id}", {"id": "x"})
    assert fake_ari.channels == {}
    assert fake_ari.seen("DELETE", "/ari/channels/x") == 2


async def test_a_get_whose_connection_broke_is_repeated_and_noted(fake_ari: FakeAri) -> None:
    """The note says what happened."""
    notes: list[tuple[str, str]] = []
    client = AriClient(
        AriEndpoint(fake_ari.url + "/ari", USER, PASSWORD), tls=True, note=lambda *note: notes.append(note)
    )
    await client.open()
    without_aiohttps_own_retry(client)
    failing_once(fake_ari)
    await client.request("GET", "/asterisk/ping")
    await client.close()
    ((kind, reason),) = notes
    assert kind == "retried"
    assert "closed the connection without answering GET /asterisk/ping" in reason


async def test_a_post_is_never_repeated(fake_ari: FakeAri, client: AriClient) -> None:
    """It may have been carried out, so it only counts as uncertain."""
    fake_ari.interfere = cut
    with pytest.raises(AriUnreachable, match="sessionlimit"):
        await client.request("POST", "/channels/externalMedia")
    assert fake_ari.seen("POST", "/ari/channels/externalMedia") == 1
    assert client.uncertain == 1


async def test_a_time_out_is_never_repeated(fake_ari: FakeAri) -> None:
    """An overloaded Asterisk is not helped by asking again."""
    client = AriClient(AriEndpoint(fake_ari.url + "/ari", USER, PASSWORD), tls=True, request_timeout_s=0.1)
    await client.open()
    fake_ari.interfere = hang
    with pytest.raises(AriTimeout):
        await client.request("GET", "/asterisk/ping")
    await client.close()
    assert fake_ari.seen("GET", "/ari/asterisk/ping") == 1


async def test_a_connection_that_stays_broken_is_given_up(
    fake_ari: FakeAri, client: AriClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After as many repetitions as there are pauses."""
    monkeypatch.setattr(ari_client, "RETRY_PAUSES_S", (0, 0, 0))
    without_aiohttps_own_retry(client)
    fake_ari.interfere = cut
    with pytest.raises(AriUnreachable):
        await client.request("GET", "/asterisk/ping")
    assert fake_ari.seen("GET", "/ari/asterisk/ping") == 4


@pytest.mark.parametrize("status", [404, 409])
async def test_deleting_what_is_gone_returns_false(fake_ari: FakeAri, client: AriClient, status: int) -> None:
    """Also while Asterisk is just removing it."""

    async def refuse(_: web.Request) -> web.StreamResponse | None:
        return refusal(status, "gone")

    fake_ari.interfere = refuse
    assert not await client.delete("/bridges/{id}", {"id": "x"})


async def test_deleting_what_is_refused_is_an_error(fake_ari: FakeAri, client: AriClient) -> None:
    """An internal error, say."""

    async def refuse(_: web.Request) -> web.StreamResponse | None:
        return refusal(500, "Internal")

    fake_ari.interfere = refuse
    with pytest.raises(AriRequestFailed, match="500: Internal"):
        await client.delete("/channels/{id}", {"id": "x"})


# --- bounds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 3])
async def test_no_more_requests_than_allowed_are_in_flight(fake_ari: FakeAri, limit: int) -> None:
    """The others wait for their turn; all are answered."""
    in_flight, most = 0, 0

    async def count(_: web.Request) -> web.StreamResponse | None:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0.002)
        in_flight -= 1
        return None

    fake_ari.interfere = count
    client = AriClient(AriEndpoint(fake_ari.url + "/ari", USER, PASSWORD), tls=True, max_in_flight=limit)
    await client.open()
    await asyncio.gather(*(client.request("GET", "/asterisk/ping") for _ in range(10)))
    await client.close()
    assert most == limit


async def test_no_more_connections_than_the_backlog_takes_are_opened_at_once(
    fake_ari: FakeAri, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And warming up opens as many as requests may be in flight."""
    connecting, most, opened = 0, 0, 0
    create_connection = aiohttp.TCPConnector._create_connection

    async def counted(self: aiohttp.TCPConnector, *arguments: object) -> object:
        nonlocal connecting, most, opened
        connecting += 1
        most = max(most, connecting)
        try:
            await asyncio.sleep(0.002)
            return await create_connection(self, *arguments)  # type: ignore[arg-type]
        finally:
            connecting -= 1
            opened += 1

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", counted)
    client = AriClient(AriEndpoint(fake_ari.url + "/ari", USER, PASSWORD), tls=True, max_in_flight=20)
    await client.open()
    await client.warm_up()
    await client.close()
    assert (most, opened) == (ari_client.MAX_CONNECTING, 20)


async def test_a_failed_connect_gives_its_place_back(unused_tcp_port: int) -> None:
    """More failures than places would otherwise stop the client for ever."""
    client = AriClient(AriEndpoint(f"http://127.0.0.1:{unused_tcp_port}/ari"), tls=True)
    await client.open()
    for _ in range(ari_client.MAX_CONNECTING + 1):
        with pytest.raises(AriUnreachable):
            await client.request("GET", "/asterisk/ping")
    await client.close()
