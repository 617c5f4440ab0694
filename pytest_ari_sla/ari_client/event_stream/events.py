"""The event WebSocket: opened before anything is created, read without pause, restored when it breaks."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Protocol

import aiohttp

from pytest_ari_sla.ari.leftovers import presence_of
from pytest_ari_sla.ari.messages import ApplicationReplaced, Event, decode_event
from pytest_ari_sla.ari_client.event_stream.event_thread import EventThread
from pytest_ari_sla.ari_client.faults import error_of_answer, error_of_failure, redirected, where
from pytest_ari_sla.errors import (
    ApplicationTaken,
    AriUnreachable,
    AsteriskCrashed,
    EventStreamLost,
    HostLimit,
    SlaError,
)
from pytest_ari_sla.metrics.units import counted
from pytest_ari_sla.udp.host_limits import host_limit

if TYPE_CHECKING:
    import ssl

    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from pytest_ari_sla.ari_client.event_stream.event_thread import EventSocket
    from pytest_ari_sla.clock import Clock

__all__ = ["EventStream", "StreamOwner", "back_off_s", "words_for_close"]

#: A host that refuses connections for so long runs no Asterisk any more; one that restarts has lost all calls as well.
REFUSED_S = 2.0

#: The longest pause between attempts while the host refuses connections.
REFUSED_PAUSE_S = 0.5

#: A ping goes out this often; half of it later without an answer the connection counts as dead.
HEARTBEAT_S = 20.0


def back_off_s(attempt: int, *, first_s: float = 0.1, cap_s: float = 5.0) -> float:
    """Return the pause before the attempt of this number (from 0) to reconnect: doubled each time, up to a cap."""
    return min(cap_s, first_s * 2.0 ** min(attempt, 30))  # 2.0**1024 is an OverflowError


class StreamOwner(Protocol):
    """Who an event stream works for."""

    def on_event(self, event: Event, received_ns: int, uncertainty_ns: int) -> None:
        """Take an event, in order of arrival; it arrived at ``received_ns`` (monotonic), or a little before."""

    def on_note(self, kind: str, reason: str) -> None:
        """Take note of a disconnect or reconnect."""

    async def on_restored(self) -> None:
        """Find out what was missed; events flow in again while this runs."""

    def on_lost(self, error: SlaError) -> None:
        """Give up: no event will come any more."""


class EventStream:
    """One application's event WebSocket.

    Parameters
    ----------
    endpoint, tls
        Where, and how its certificate is checked.
    application
        The Stasis application; Asterisk registers it when the WebSocket opens.
    owner
        Who takes the events.
    clock
        Who tells when they arrived.
    connect_timeout_s
        For one attempt to open it.
    restore_timeout_s
        How long a broken stream may stay broken.
    realtime
        Whether events may be read under SCHED_FIFO.
    """

    def __init__(
        self,
        endpoint: AriEndpoint,
        application: str,
        owner: StreamOwner,
        *,
        tls: ssl.SSLContext | bool,
        clock: Clock,
        connect_timeout_s: float = 10.0,
        restore_timeout_s: float = 30.0,
        realtime: bool = True,
    ) -> None:
        self._realtime = realtime
        self._endpoint = endpoint
        self._application = application
        self._owner = owner
        self._tls = tls
        self._clock = clock
        self._connect_timeout_s = connect_timeout_s
        self._restore_timeout_s = restore_timeout_s
        self._thread: EventThread | None = None
        self._socket: EventSocket | None = None
        self._reader: asyncio.Task[None] | None = None
        self._restoring: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()  # open, or lost for good
        self._lost: SlaError | None = None
        self._refused_only = True

    async def open(self) -> None:
        """Open the stream; the application is registered when this returns.

        Raises
        ------
        SlaError
            It cannot be opened; see `error_of_failure` and `error_of_answer`.
        """
        headers = {"Authorization": self._endpoint.authorization}
        try:
            self._thread = EventThread(self._tls, headers, realtime=self._realtime)
        except OSError as error:  # its loop has files of its own
            raise host_limit(error) or error from error
        self._thread.start()
        self._socket = await self._connect()
        self._settled.set()
        self._reader = asyncio.create_task(self._run(self._socket), name="ARI event stream")

    @property
    def is_open(self) -> bool:
        """Whether events can come."""
        return self._settled.is_set() and self._lost is None

    async def wait_open(self) -> None:
        """Return as soon as the stream is open: what is created while it is not would start unseen.

        Raises
        ------
        SlaError
            It is lost for good: EventStreamLost, AsteriskCrashed or ApplicationTaken.
        """
        await self._settled.wait()
        if self._lost is not None:
            raise copy.copy(self._lost)

    async def close(self) -> None:
        """Close the stream; no event is delivered any more."""
        for task in (self._reader, self._restoring):
            if task is not None:
                task.cancel()
        await asyncio.gather(*filter(None, (self._reader, self._restoring)), return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()
        if self._thread is not None:
            await self._thread.stop()

    async def _connect(self) -> EventSocket:
        """Open one WebSocket."""
        assert self._thread is not None
        try:
            return await self._thread.connect(
                self._endpoint.base_url + "/events",
                {"app": f"{self._application},{presence_of(self._application)}", "subscribeAll": "false"},
                HEARTBEAT_S,
                self._connect_timeout_s,
            )
        except aiohttp.WSServerHandshakeError as refused:
            # Its text holds URL and headers of the request, so it is not chained: the header has the password.
            sent_on = refused.history[0] if refused.history else None
            if sent_on is not None or 300 <= refused.status < 400:
                status = refused.status if sent_on is None else sent_on.status
                location = "" if sent_on is None else sent_on.headers.get("Location", "")
                raise redirected(self._endpoint, "GET /events", status, location) from None
            is_ari = self._reader is not None  # it was open once
            raise error_of_answer(self._endpoint, "GET", "/events", refused.status, b"", is_ari=is_ari) from None
        except (aiohttp.ClientError, TimeoutError) as failure:
            raise error_of_failure(failure, self._endpoint, "GET /events", self._connect_timeout_s) from failure

    async def _run(self, socket: EventSocket) -> None:
        """Read, and restore what breaks, until closed or lost."""
        try:
            while True:
                await self._read(socket)
                self._settled.clear()
                self._owner.on_note("disconnected", words_for_close(socket))
                socket = self._socket = await self._restore(words_for_close(socket))
                self._settled.set()
                # Beside the reading: Asterisk cuts a slow reader off after 100 ms.
                self._restoring = asyncio.create_task(self._owner.on_restored(), name="ARI reconciliation")
        except SlaError as lost:
            self._lost = lost
            self._settled.set()
            self._owner.on_lost(lost)

    async def _read(self, socket: EventSocket) -> None:
        """Deliver events until the WebSocket closes."""
        async for arrival in socket:
            event = decode_event(arrival.data)
            if isinstance(event, ApplicationReplaced):
                raise ApplicationTaken(
                    f"another program registered the Stasis application {self._application!r} at "
                    f"{where(self._endpoint)} and gets its events now; give every program an application of its own"
                )
            self._owner.on_event(event, arrival.received_ns, arrival.lag_ns)

    async def _restore(self, broken_by: str) -> EventSocket:
        """Open the WebSocket again, with growing pauses.

        Raises
        ------
        AsteriskCrashed
            Its host refuses connections.
        EventStreamLost, HostLimit
            It did not work in time.
        """
        since_ns = self._clock.monotonic_ns()
        self._refused_only = True
        attempt = 0
        reason, refused, last = "", False, None
        try:
            async with asyncio.timeout(self._restore_timeout_s):
                while True:
                    await asyncio.sleep(back_off_s(attempt, cap_s=REFUSED_PAUSE_S if refused else 5.0))
                    attempt += 1
                    try:
                        socket = await self._connect()
                        break
                    except SlaError as problem:
                        reason, last = str(problem), problem
                        refused = isinstance(problem, AriUnreachable) and problem.refused
                        self._give_up_if_dead(refused, since_ns)
        except TimeoutError:
            if isinstance(last, HostLimit):
                raise last from None
            raise EventStreamLost(
                f"the event WebSocket broke ({broken_by}) and could not be restored within "
                f"{self._restore_timeout_s:g} s; the last of {counted(attempt, 'attempt')}: {reason or 'still waiting'}"
            ) from None
        gap_s = (self._clock.monotonic_ns() - since_ns) / 1e9
        self._owner.on_note(
            "reconnected", f"after {gap_s:.2f} s and {counted(attempt, 'attempt')}; events of that time are lost"
        )
        return socket

    def _give_up_if_dead(self, refused: bool, since_ns: int) -> None:
        """Raise where the stream broke, and its host has refused connections since.

        A moment in which another answer came (a proxy's 502, a time-out) is not this: then there is still hope.
        """
        down_s = (self._clock.monotonic_ns() - since_ns) / 1e9
        self._refused_only &= refused
        if self._refused_only and down_s >= REFUSED_S:
            raise AsteriskCrashed(
                f"ARI refuses connections since {down_s:.0f} s, and the event WebSocket is cut: Asterisk at "
                f"{where(self._endpoint)} has stopped or crashed"
            )


def words_for_close(socket: EventSocket) -> str:
    """Return why a WebSocket closed."""
    code = socket.close_code
    failure = socket.exception()
    if isinstance(failure, aiohttp.ServerTimeoutError | TimeoutError):
        return f"no answer to a ping within {HEARTBEAT_S / 2:g} s"
    if code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE or code is None:
        return (
            "close code 1006: cut off without a closing handshake; Asterisk does that to a client that reads too "
            "slowly (websocket_write_timeout in ari.conf, default 100 ms), or it crashed"
        )
    return f"closed by Asterisk with code {code}"
