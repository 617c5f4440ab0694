"""The relay as a load sees it: a client of its control connection, and a relay process on this host."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from pytest_ari_sla.children.dead_hosts import notice_dead_host
from pytest_ari_sla.errors import MediaLoopFailed, PortsExhausted
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.peers.control import (
    PROTOCOL,
    Connect,
    Release,
    Reply,
    Reserve,
    TakeSnapshot,
    decode_reply,
    encode,
)
from pytest_ari_sla.peers.media_process import MediaProcess
from pytest_ari_sla.udp.port_leases import DEFAULT_RTP_PORTS

if TYPE_CHECKING:
    import socket

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.peers.control import Request

__all__ = ["RelayProcess", "RelayWorker"]

_MOST_REPLY_BYTES = 16 << 20  # asyncio's own limit of 64 KiB is too short for a snapshot with its histograms
_REPLY_TIMEOUT_S = 5.0


class RelayWorker:
    """Gives orders to a relay; to be used on one event loop.

    Made by :meth:`at` (a relay on another host) or :meth:`RelayProcess.connect` (one of ours). Closing it ends all its
    calls at the relay.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def at(cls, address: Address) -> Self:
        """Connect to a relay that listens at ``address`` (``ari-sla relay --listen``).

        Raises
        ------
        MediaLoopFailed
            When nobody listens there, or not a relay that speaks our language.
        """
        try:
            async with asyncio.timeout(_REPLY_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(*address, limit=_MOST_REPLY_BYTES)
                # A host that loses its power closes nothing: without probes its calls would wait for hours.
                notice_dead_host(writer.get_extra_info("socket"))
                await _hear_greeting(reader, writer)
        except (OSError, ValueError) as error:
            message = f"no relay at {address[0]}:{address[1]}: {str(error) or type(error).__name__}"
            raise MediaLoopFailed(message) from error
        return cls(reader, writer)

    @classmethod
    async def over(cls, control: socket.socket) -> Self:
        """Use a connection that a relay has already greeted on."""
        return cls(*await asyncio.open_connection(sock=control, limit=_MOST_REPLY_BYTES))

    async def reserve(self, call: str) -> Address:
        """Lend a place to a call; return where Asterisk shall send its RTP (``external_host``).

        Raises
        ------
        PortsExhausted
            When the relay has no port left.
        MediaLoopFailed
            When the relay refuses (the call has a place), is gone, or does not answer. So do all other orders.
        """
        host, port = await self._ask(Reserve(number=next(self._numbers), call=call))
        return host, port

    async def connect(self, call: str, asterisk: Address) -> None:
        """Say from which address Asterisk's packets of a call come: its UNICASTRTP_LOCAL_ADDRESS and _PORT."""
        await self._ask(Connect(number=next(self._numbers), call=call, host=asterisk[0], port=asterisk[1]))

    async def release(self, call: str) -> None:
        """End a call; what the echo server has not returned by now is counted as lost."""
        await self._ask(Release(number=next(self._numbers), call=call))

    async def snapshot(self) -> Snapshot:
        """Return the figures of this client's calls so far: see :mod:`~pytest_ari_sla.peers.relay.relay_group`."""
        return Snapshot.from_plain(await self._ask(TakeSnapshot(number=next(self._numbers))))

    async def close(self) -> None:
        """End all calls and the connection; twice does no harm."""
        self._reading.cancel()
        self._writer.close()
        # One that has broken already is closed.
        with suppress(OSError):
            await self._writer.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _ask(self, request: Request) -> Any:
        # Nobody is left who would read the answer.
        if self._reading.done():
            raise MediaLoopFailed(_GONE)
        answered = asyncio.get_running_loop().create_future()
        self._waiting[request.number] = answered
        self._writer.write(encode(request))
        try:
            async with asyncio.timeout(_REPLY_TIMEOUT_S):
                reply = await answered
        except TimeoutError as error:
            message = f"the relay did not answer within {_REPLY_TIMEOUT_S:g} s"
            raise MediaLoopFailed(message) from error
        finally:
            del self._waiting[request.number]
        if reply.leased is not None and reply.resting is not None:
            raise PortsExhausted(reply.error, leased=reply.leased, resting=reply.resting)
        if reply.error:
            raise MediaLoopFailed(reply.error)
        return reply.result

    async def _read(self) -> None:
        """Hand replies over to those who wait, until the connection ends."""
        try:
            while line := await self._reader.readline():
                reply = decode_reply(line)
                answered = self._waiting.get(reply.number)
                # Who asked may have given up meanwhile.
                if answered and not answered.done():
                    answered.set_result(reply)
        except (OSError, ValueError):
            pass  # a broken connection, or no language of ours: told to all who wait, and to all who come
        finally:
            for answered in self._waiting.values():
                if not answered.done():
                    answered.set_exception(MediaLoopFailed(_GONE))


_GONE = "the relay is gone: its control connection has ended"


async def _hear_greeting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read a relay's greeting; close the connection when there is none that we understand."""
    try:
        _check_greeting(decode_reply(await reader.readline()).result)
    # The time limit too, which comes as a cancellation.
    except BaseException:
        writer.close()
        raise


def _check_greeting(greeting: Any) -> None:
    version = greeting.get("protocol") if isinstance(greeting, dict) else None
    if version != PROTOCOL:
        message = f"the relay speaks version {version!r} of the control language, this program {PROTOCOL}"
        raise MediaLoopFailed(message)


class RelayProcess:
    """A relay on this host.

    Parameters
    ----------
    echo
        The echo server's address.
    host
        The address that takes Asterisk's packets.
    rtp_ports
        Range that the ports towards Asterisk are leased from.
    announced
        The address for Asterisk to send to; None: ``host``.
    realtime
        Whether it may run under SCHED_FIFO.
    """

    def __init__(
        self,
        echo: Address,
        host: str = "127.0.0.1",
        rtp_ports: tuple[int, int] = DEFAULT_RTP_PORTS,
        *,
        announced: str | None = None,
        realtime: bool = True,
    ) -> None:
        low, high = rtp_ports
        arguments = ["--echo", f"{echo[0]}:{echo[1]}", "--host", host, "--rtp-ports", f"{low}-{high}"]
        arguments += ["--announce", announced or host]
        arguments += ["--realtime", "auto" if realtime else "off"]
        self._process = MediaProcess("pytest_ari_sla.peers.relay.relay_worker", arguments, "the relay")

    @property
    def pid(self) -> int | None:
        """Process id; None while it does not run."""
        return self._process.pid

    def start(self) -> None:
        """Start it.

        Raises
        ------
        MediaLoopFailed
            When it does not start.
        """
        _check_greeting(self._process.launch())

    async def connect(self) -> RelayWorker:
        """Return its client; there is one.

        Raises
        ------
        MediaLoopFailed
            When it does not run.
        """
        return await RelayWorker.over(self._process.share_control())

    @property
    def stopped_by(self) -> str:
        """Which signal has stopped it, as the end of a sentence; empty: none has."""
        return self._process.stopped_by

    def ensure_alive(self) -> None:
        """Raise MediaLoopFailed if it ended by itself, with the signal or exit code."""
        self._process.ensure_alive()

    def stop(self) -> None:
        """End it and all its calls, within 100 ms."""
        self._process.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
