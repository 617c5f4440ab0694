"""Requests to ARI: bounded in number, timed, and repeated only where that is safe."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from pytest_ari_sla.ari.lenient import decode_answer
from pytest_ari_sla.ari_client.faults import damaged, error_of_answer, error_of_failure, not_ari, redirected, where
from pytest_ari_sla.ari_client.observer import SilentObserver
from pytest_ari_sla.ari_client.stamps import stamp_exchange, stamped_socket
from pytest_ari_sla.ari_client.tls import tls_context
from pytest_ari_sla.errors import AriRequestFailed, TlsFailed, UsageError
from pytest_ari_sla.settings import TlsTrust

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from types import SimpleNamespace

    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from pytest_ari_sla.ari_client.observer import AriObserver
    from pytest_ari_sla.clock import Clock

__all__ = ["AriClient", "QueryValue"]

T = TypeVar("T")
QueryValue = str | int | float | bool | None

#: Asterisk closes an idle connection after 15 s (session_keep_alive in http.conf). A POST that meets the closing
#: connection fails and must not be repeated, so ours are given up well before.
KEEP_ALIVE_S = 10.0

#: The listen backlog of Asterisk's HTTP server is 10: of more new connections at once some come a second late.
MAX_CONNECTING = 8

#: Pauses before the second and third attempt of a request that may be repeated.
RETRY_PAUSES_S = (0.05, 0.25)


class _Connecting:
    """One request's place in the queue at the door."""

    def __init__(self, door: asyncio.Semaphore) -> None:
        self._door = door
        self._is_inside = False

    async def begin(self) -> None:
        await self._door.acquire()
        self._is_inside = True

    def end(self) -> None:
        """Leave the door; a second call does nothing, since a failed connect ends without aiohttp telling."""
        if self._is_inside:
            self._is_inside = False
            self._door.release()


async def _on_connect_start(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    await context.trace_request_ctx.begin()


async def _on_connect_end(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    context.trace_request_ctx.end()


class AriClient:
    """Requests to one ARI.

    Parameters
    ----------
    endpoint
        Where, and as whom.
    tls
        How its certificate is checked; True: as usual on this machine.
    max_in_flight
        How many requests may be under way at once; others wait for their turn.
    request_timeout_s
        For one attempt, connecting included.
    clock, observer, note
        Who tells the time, who hears of every request, who hears of a repeated one.

    Attributes
    ----------
    uncertain
        How many POST requests ended without an answer: Asterisk may still carry them out, even a minute later.
    """

    def __init__(
        self,
        endpoint: AriEndpoint,
        *,
        tls: ssl.SSLContext | bool,
        max_in_flight: int = 16,  # gives all set-ups that Asterisk 22.10 can do: 2,100/s; 64 only wait longer
        request_timeout_s: float = 10.0,
        clock: Clock = time,
        observer: AriObserver | None = None,
        note: Callable[[str, str], None] = lambda kind, reason: None,
    ) -> None:
        self.endpoint = endpoint
        self.uncertain = 0
        self._tls = tls
        self._max_in_flight = max_in_flight
        self._timeout_s = request_timeout_s
        self._clock = clock
        self._observer = observer or SilentObserver()
        self._note = note
        self._has_answered = False
        self._is_ari = False
        self._slots = asyncio.Semaphore(max_in_flight)
        self._door = asyncio.Semaphore(MAX_CONNECTING)
        self._http: aiohttp.ClientSession | None = None
        self._pending: dict[object, tuple[str, int]] = {}

    def pending(self) -> list[tuple[str, int]]:
        """Return the requests under way: method and path, and how long each has been, in ns."""
        now_ns = self._clock.monotonic_ns()
        return [(request, now_ns - started_ns) for request, started_ns in list(self._pending.values())]

    async def open(self) -> None:
        """Make ready to send; nothing is sent yet."""
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_start.append(_on_connect_start)
        trace.on_connection_create_end.append(_on_connect_end)
        self._http = aiohttp.ClientSession(
            # The semaphore is the limit; a second one in the connector would only hide time spent waiting.
            connector=aiohttp.TCPConnector(
                limit=0, ssl=self._tls, keepalive_timeout=KEEP_ALIVE_S, socket_factory=stamped_socket
            ),
            headers={"Authorization": self.endpoint.authorization},
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[trace],
        )

    async def warm_up(self) -> None:
        """Open as many connections as requests may be in flight, so that no measured request has to connect."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._max_in_flight):
                group.create_task(self.request("GET", "/asterisk/ping"))

    async def close(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def request(
        self,
        method: str,
        route: str,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, QueryValue] | None = None,
        body: Mapping[str, Any] | None = None,
        on_sent: Callable[[int, int], None] | None = None,
    ) -> bytes:
        """Send a request and return the body of its answer.

        A GET or DELETE whose connection breaks is repeated, also in the middle of its answer; a DELETE that then
        answers 404 has been carried out by an earlier attempt. A POST is never repeated: Asterisk may have carried it
        out.

        Parameters
        ----------
        method, route
            ``POST``, ``/channels/{channelId}/answer``.
        path
            What the names in braces stand for.
        query
            Query parameters; those that are None are left out.
        body
            JSON body.
        on_sent
            Is told, when the attempt is over, at what monotonic time the request was sent, and how much later it may
            have been.

        Raises
        ------
        AriRequestFailed, AriAuthenticationFailed, NotAnAsterisk, AnswerDamaged, AriTimeout, AriUnreachable, TlsFailed
            No good answer came.
        """
        # A "/" in an id is no step of the path.
        filled = route.format_map({name: quote(value, safe="") for name, value in (path or {}).items()})
        parameters = {name: _as_text(value) for name, value in (query or {}).items() if value is not None}
        pauses = iter(RETRY_PAUSES_S if method in ("GET", "DELETE") else ())
        repeated = False
        while True:
            try:
                status, answer = await self._attempt(method, route, filled, parameters, body, on_sent)
                break
            except (aiohttp.ClientError, TimeoutError) as failure:
                error = await self._explain(failure, f"{method} {filled}")
                pause_s = next(pauses, None)
                if pause_s is None or not _may_repeat(failure):
                    raise error from failure
            self._note("retried", str(error))
            repeated = True
            await asyncio.sleep(pause_s)
        if status < 300 or (repeated and method == "DELETE" and status == 404):
            return answer
        raise error_of_answer(self.endpoint, method, filled, status, answer, is_ari=self._is_ari)

    async def fetch(self, expected: type[T], method: str, route: str, **parts: Any) -> T:
        """Send a request (see `request`) and return its answer as a record.

        Raises
        ------
        NotAnAsterisk, AnswerDamaged
            The answer is not what ARI answers; what answers there has, or has never, given such an answer before.
        """
        answer = await self.request(method, route, **parts)
        try:
            record = decode_answer(answer, expected)
        except msgspec.DecodeError as problem:
            if self._is_ari:
                raise damaged(self.endpoint, f"{method} {route}", f"cannot be read ({problem})") from problem
            raise not_ari(self.endpoint, f"{method} {route} answered what cannot be read ({problem})") from problem
        self._is_ari = True
        return record

    def hurry(self, request_timeout_s: float) -> None:
        """Wait no longer than this for the answer to any request from now on."""
        self._timeout_s = min(self._timeout_s, request_timeout_s)

    async def delete(self, route: str, path: Mapping[str, str], query: Mapping[str, QueryValue] | None = None) -> bool:
        """Delete something; return False if it was gone already.

        Asterisk 16 answers 409 ("Bridge not in Stasis application") for a bridge that it is just removing.
        """
        try:
            await self.request("DELETE", route, path, query)
        except AriRequestFailed as refused:
            if refused.status in (404, 409):
                return False
            raise
        return True

    async def _attempt(
        self,
        method: str,
        route: str,
        filled: str,
        parameters: dict[str, str],
        body: Mapping[str, Any] | None,
        on_sent: Callable[[int, int], None] | None,
    ) -> tuple[int, bytes]:
        """Send a request once; return status and body."""
        if self._http is None:
            raise UsageError(f"{method} {filled}: the ARI session is not open")
        asked_ns = self._clock.monotonic_ns()
        async with self._slots:
            started_ns = self._clock.monotonic_ns()
            times = stamp_exchange()
            connecting = _Connecting(self._door)
            self._pending[connecting] = (f"{method} {filled}", started_ns)
            status = 0
            try:
                async with self._http.request(
                    method,
                    self.endpoint.base_url + filled,
                    params=parameters,
                    json=body,
                    trace_request_ctx=connecting,
                    timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                    # Following a redirect would send the load, or drop the password, somewhere that nobody named.
                    allow_redirects=False,
                ) as response:
                    answer = await response.read()
                    status = response.status  # after the body: an answer that breaks off leaves a POST uncertain
                    self._has_answered = True
                    if 300 <= status < 400:
                        location = response.headers.get("Location", "")
                        raise redirected(self.endpoint, f"{method} {filled}", status, location)
                    return status, answer
            finally:
                connecting.end()
                del self._pending[connecting]
                if status == 0 and method == "POST":
                    self.uncertain += 1
                if on_sent is not None:  # without an answer as well: Asterisk may have made the channel
                    on_sent(*times.sent(started_ns, self._clock.monotonic_ns()))
                took_ns, uncertainty_ns = times.took_ns(started_ns, self._clock.monotonic_ns())
                queued_ns = started_ns - asked_ns
                self._observer.on_request(
                    method, route, took_ns, status, queued_ns=queued_ns, uncertainty_ns=uncertainty_ns
                )

    async def _explain(self, failure: Exception, request: str) -> Exception:
        """Return our error; an http URL that leads to a TLS port is found out by trying."""
        # A port that has answered in plain HTTP speaks no TLS: what cuts it off later is something else.
        first_and_cut = not self._has_answered and not isinstance(failure, TimeoutError | aiohttp.ClientConnectorError)
        if first_and_cut and not self.endpoint.is_encrypted:
            if await _speaks_tls(self.endpoint):
                return TlsFailed(f"{where(self.endpoint)} speaks TLS; use https:// in the ARI URL")
        return error_of_failure(failure, self.endpoint, request, self._timeout_s)


def _as_text(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)  # ARI takes `true`, not Python's `True`


def _may_repeat(failure: Exception) -> bool:
    """Whether a broken connection, and not a time-out or a wrong answer, ended an attempt."""
    return isinstance(failure, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError) and not isinstance(
        failure, TimeoutError | aiohttp.ClientConnectorError
    )


async def _speaks_tls(endpoint: AriEndpoint) -> bool:
    """Whether a TLS handshake succeeds where plain HTTP got no answer."""
    try:
        async with asyncio.timeout(2.0):
            _, writer = await asyncio.open_connection(
                endpoint.host, endpoint.port, ssl=tls_context(TlsTrust(verify=False))
            )
            writer.close()
    except OSError:  # also TimeoutError and ssl.SSLError
        return False
    return True
