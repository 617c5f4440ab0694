"""The event WebSocket, read by a process and a thread of its own, so that events are read as they come.

The process (:mod:`.pump`) reads the connection and tells when bytes came. The thread runs aiohttp on an event loop into
whose connections that process can be put; whatever loop a test uses, and for however long it blocks it, pings are
answered, and Asterisk does not cut us off (``websocket_write_timeout``, 100 ms).
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import aiohttp

from pytest_ari_sla.ari_client.event_stream import pump
from pytest_ari_sla.ari_client.event_stream.pump import HEADER, ask_for_stamps

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Coroutine, Mapping
    from concurrent.futures import Future

    from typing_extensions import Buffer

__all__ = ["Arrival", "EventSocket", "EventThread"]

T = TypeVar("T")

_CLOSE_S = 0.5
"""How long Asterisk may take to answer the close of a WebSocket."""

_END_S = 0.5
"""How long the process may take to end, before it is killed."""


@dataclass(frozen=True)
class Arrival:
    """A message of the WebSocket.

    Attributes
    ----------
    data
        Its bytes; nobody has checked that they are UTF-8.
    received_ns
        When its last byte arrived, on the monotonic clock.
    lag_ns
        How long after that it was read: of messages that were read at once, the first came up to so much earlier.
    """

    data: bytes
    received_ns: int
    lag_ns: int


class PumpedSocket(socket.socket):
    """A socket for asyncio: what it receives comes through a process that reads as fast as bytes come.

    Each call receives what was read at once, so that its times are those of the last message in it.

    Parameters
    ----------
    connection
        The TCP connection; closed with this.
    realtime
        Whether the process may run under SCHED_FIFO.

    Attributes
    ----------
    received_ns, lag_ns
        When the bytes that were received last had arrived, and how much later they were read.
    """

    def __init__(self, connection: socket.socket, *, realtime: bool) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        super().__init__(ours.family, ours.type, ours.proto, ours.detach())
        self.setblocking(False)  # asyncio takes no other
        ask_for_stamps(connection)
        self._connection = connection
        self._head = bytearray()
        self._left = 0
        self.received_ns = self.lag_ns = 0
        inherited = (connection.fileno(), theirs.fileno())
        # -I: no file of the folder that tests run in takes a library's place. -S: it needs nothing that is installed.
        command = [sys.executable, "-I", "-S", pump.__file__, *map(str, inherited)]
        with theirs:
            try:
                self._pump = subprocess.Popen([*command, "realtime" if realtime else "normal"], pass_fds=inherited)
            except BaseException:
                super().close()  # nobody else has it yet
                raise

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Receive what was read at once, or as much of it as there is room for."""
        data = super().recv(min(size, self._left)) if self._is_more() else b""
        self._left -= len(data)
        return data

    def recv_into(self, buffer: Buffer, size: int = 0, flags: int = 0) -> int:
        """Receive what was read at once, or as much of it as there is room for."""
        count = super().recv_into(memoryview(buffer)[: self._left]) if self._is_more() else 0
        self._left -= count
        return count

    def _is_more(self) -> bool:
        """Read what precedes the bytes, if they are not under way; return whether there are any."""
        if self._left:
            return True
        while (missing := HEADER.size - len(self._head)) and (read := super().recv(missing)):
            self._head += read
        if missing:
            return False
        self._left, self.received_ns, self.lag_ns = HEADER.unpack(self._head)
        self._head.clear()
        return self._left > 0

    def send(self, data: Buffer, flags: int = 0, /) -> int:
        """Send."""
        return self._connection.send(data, flags)

    def sendmsg(self, *arguments: Any) -> int:
        """Send; asyncio uses this from Python 3.12 on."""
        return self._connection.sendmsg(*arguments)

    def close(self) -> None:
        """Close both, and wait for the process, which ends at once, or by force where somebody has stopped it."""
        super().close()
        self._connection.close()
        try:
            self._pump.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._pump.kill()
            self._pump.wait()


# asyncio's own loop: uvloop moves bytes past Python's sockets.
class _PumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose connections are read by a process."""

    def __init__(self, *, realtime: bool) -> None:
        super().__init__()
        self._realtime = realtime
        self.pumped: PumpedSocket | None = None

    async def create_connection(self, protocol_factory: Any, *arguments: Any, **options: Any) -> Any:
        """Put the process into a connection that aiohttp has opened."""
        connection: socket.socket = options["sock"]
        try:
            options["sock"] = self.pumped = PumpedSocket(connection, realtime=self._realtime)
        except BaseException:
            connection.close()
            raise
        return await super().create_connection(protocol_factory, *arguments, **options)


class EventThread:
    """The thread; it runs from :meth:`start` to :meth:`stop`. All other methods belong to one other event loop.

    Parameters
    ----------
    tls
        How certificates are checked.
    headers
        Sent with each request for a WebSocket.
    realtime
        Whether events may be read under SCHED_FIFO.
    """

    def __init__(self, tls: ssl.SSLContext | bool, headers: Mapping[str, str], *, realtime: bool) -> None:
        self._tls = tls
        self._headers = headers
        self._loop = _PumpingLoop(realtime=realtime)
        self._thread = threading.Thread(target=self._loop.run_forever, name="ARI events", daemon=True)
        self._http: aiohttp.ClientSession | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def stop(self) -> None:
        """Close everything and end the thread."""
        try:
            if self._http is not None:
                await self.run(self._http.close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Have something done by the thread; return what it returns."""
        return await asyncio.wrap_future(self.begin(work))

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Let the thread begin something."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def connect(self, url: str, params: Mapping[str, str], heartbeat_s: float, timeout_s: float) -> EventSocket:
        """Open a WebSocket, and begin to read it.

        Raises
        ------
        aiohttp.ClientError, TimeoutError
            It cannot be opened.
        """
        return EventSocket(self, *await self.run(self._connect(url, params, heartbeat_s, timeout_s)))

    async def _connect(
        self, url: str, params: Mapping[str, str], heartbeat_s: float, timeout_s: float
    ) -> tuple[aiohttp.ClientWebSocketResponse[Literal[False]], PumpedSocket]:
        if self._http is None:
            # A session of its own: a WebSocket takes a connection slot for as long as it lives.
            connector = aiohttp.TCPConnector(ssl=self._tls)
            self._http = aiohttp.ClientSession(
                connector=connector, headers=self._headers, cookie_jar=aiohttp.DummyCookieJar()
            )
        async with asyncio.timeout(timeout_s):
            # An event that is not UTF-8 is one bad event, not the end of the stream.
            opened = await self._http.ws_connect(
                url,
                params=params,
                heartbeat=heartbeat_s,
                decode_text=False,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
            )
        assert self._loop.pumped is not None
        return opened, self._loop.pumped


class EventSocket:
    """A WebSocket that the thread reads; iterate over it for its messages, until it closes.

    Parameters
    ----------
    thread
        Whose it is.
    opened, pumped
        The WebSocket, and its connection.
    """

    def __init__(
        self, thread: EventThread, opened: aiohttp.ClientWebSocketResponse[Literal[False]], pumped: PumpedSocket
    ) -> None:
        self._thread = thread
        self._opened = opened
        self._pumped = pumped
        self._loop = asyncio.get_running_loop()
        self._arrived: deque[Arrival | None] = deque()
        self._something = asyncio.Event()
        self._reading = thread.begin(self._read())

    @property
    def close_code(self) -> int | None:
        """Why it closed."""
        return self._opened.close_code

    def exception(self) -> BaseException | None:
        """Return what broke it, if anything did."""
        return self._opened.exception()

    async def __aiter__(self) -> AsyncIterator[Arrival]:
        while True:
            self._something.clear()
            while self._arrived:
                arrival = self._arrived.popleft()
                if arrival is None:
                    return
                yield arrival
            await self._something.wait()

    async def close(self) -> None:
        """Close it."""
        await self._thread.run(self._opened.close())
        await asyncio.wrap_future(self._reading)

    async def _read(self) -> None:
        try:
            async for message in self._opened:
                if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                    return
                # The loop wakes us before it reads the connection again, so the times are this message's.
                self._hand_over(Arrival(message.data, self._pumped.received_ns, self._pumped.lag_ns))
        finally:
            self._hand_over(None)

    def _hand_over(self, arrival: Arrival | None) -> None:
        self._arrived.append(arrival)
        self._loop.call_soon_threadsafe(self._something.set)
