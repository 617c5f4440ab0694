"""A phone that takes a call, and tells Asterisk in RTCP what it says it has received."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

from pytest_ari_sla.rtp.rtcp import ReportBlock, SenderReport, build, ntp_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Phone"]

_HOST = "127.0.0.1"
# What a response repeats of its request (RFC 3261, 8.2.6.2; Record-Route: 12.1.1).
_COPIED = ("via", "from", "call-id", "cseq", "record-route")
_SSRC = 0x1234


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, receive: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._receive = receive

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._receive(data, addr)


class Phone:
    """Answers whoever calls it over UDP (RFC 3261); an asynchronous context manager.

    It knows what a call of Asterisk's on loopback needs, and no more: no retransmission, no other codec than PCMU.

    Attributes
    ----------
    received
        RTP packets that came.
    """

    def __init__(self) -> None:
        self.received = 0
        self._stack = AsyncExitStack()
        self._rtcp_address: tuple[str, int] | None = None
        self._heard_ssrc = 0

    async def __aenter__(self) -> Self:
        self._sip = await self._open(self._take_sip)
        self._rtp = await self._open(self._take_rtp)
        self._rtcp = await self._open(lambda data, address: None)
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._stack.aclose()

    async def _open(self, receive: Callable[[bytes, tuple[str, int]], None]) -> asyncio.DatagramTransport:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(receive), local_addr=(_HOST, 0))
        self._stack.callback(transport.close)
        return transport

    @property
    def uri(self) -> str:
        """Where it can be called."""
        return f"sip:phone@{_HOST}:{self._port(self._sip)}"

    def report(self, *, highest: int, lost: int) -> None:
        """Tell Asterisk the highest sequence number that came, and how many packets are missing below it."""
        if self._rtcp_address is None:
            return
        block = ReportBlock(
            ssrc=self._heard_ssrc,
            fraction_lost=0,
            lost=lost,
            extended_highest=highest,
            jitter=0,
            last_sr=0,
            delay_since_last_sr=0,
        )
        report = SenderReport(_SSRC, ntp_timestamp(time.time_ns()), 0, 0, 0, (block,))
        self._rtcp.sendto(build(report, "phone"), self._rtcp_address)

    def _take_rtp(self, data: bytes, address: tuple[str, int]) -> None:
        if len(data) >= 12:
            self.received += 1
            self._heard_ssrc = int.from_bytes(data[8:12], "big")

    def _take_sip(self, data: bytes, address: tuple[str, int]) -> None:
        head, _, body = data.decode(errors="replace").partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        method = first.split(" ")[0]
        if method in ("ACK", "SIP/2.0"):  # neither has a response
            return
        headers = [line for line in lines if line.partition(":")[0].strip().lower() in _COPIED]
        to = next((line for line in lines if line.lower().startswith("to:")), "To: <sip:phone>")
        answer = ["SIP/2.0 200 OK", *headers, to if ";tag=" in to else f"{to};tag=phone", f"Contact: <{self.uri}>"]
        description = self._describe(body) if method == "INVITE" else ""
        if description:
            answer.append("Content-Type: application/sdp")
        answer.append(f"Content-Length: {len(description)}")
        self._sip.sendto("\r\n".join([*answer, "", description]).encode(), address)

    def _describe(self, offer: str) -> str:
        """Take the media that is offered (RFC 3264); return our part of it."""
        port = re.search(r"^m=audio (\d+)", offer, re.MULTILINE)
        if port is not None:
            # RTCP has the port above that of RTP (RFC 3550, 11).
            self._rtcp_address = (_HOST, int(port[1]) + 1)
        rtp, rtcp = self._port(self._rtp), self._port(self._rtcp)
        lines = ["v=0", f"o=- 1 1 IN IP4 {_HOST}", "s=-", f"c=IN IP4 {_HOST}", "t=0 0", f"m=audio {rtp} RTP/AVP 0"]
        return "\r\n".join([*lines, "a=rtpmap:0 PCMU/8000", f"a=rtcp:{rtcp}", "a=sendrecv", ""])

    def _port(self, transport: asyncio.DatagramTransport) -> int:
        return int(transport.get_extra_info("sockname")[1])
