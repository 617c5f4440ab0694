"""A peer that speaks RTCP: takes RTP without a word, and answers sender reports as a device would."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Self

from pytest_ari_sla.rtp.rtcp import ReceiverReport, ReportBlock, SenderReport, build, middle_32_bits, parse

if TYPE_CHECKING:
    from pytest_ari_sla.arguments import Address

HERE = "127.0.0.1"


def bind_pair() -> tuple[socket.socket, socket.socket]:
    """Return sockets on an even port and on the one above it."""
    while True:
        rtp, rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        rtp.bind((HERE, 0))
        port = rtp.getsockname()[1]
        try:
            if port % 2 == 0:
                rtcp.bind((HERE, port + 1))
                return rtp, rtcp
        except OSError:  # somebody else has it
            pass
        rtp.close()
        rtcp.close()


class RtcpPeer:
    """Two sockets.

    Attributes
    ----------
    reported_from
        Where the latest sender report came from.
    """

    def __init__(self) -> None:
        self._rtp, self._rtcp = bind_pair()
        self._rtcp.setblocking(False)
        self.reported_from: Address = (HERE, 0)

    @property
    def address(self) -> Address:
        """Where it takes RTP."""
        host, port = self._rtp.getsockname()
        return host, port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rtp.close()
        self._rtcp.close()

    def sender_reports(self) -> list[SenderReport]:
        """Return the sender reports that have come since the last time."""
        found: list[SenderReport] = []
        while True:
            try:
                datagram, self.reported_from = self._rtcp.recvfrom(2048)
            except BlockingIOError:
                return found
            found += [report for report in parse(datagram) if isinstance(report, SenderReport)]

    def answer(self, report: SenderReport, *, held_s: float = 0.0, fraction_lost: int = 0, jitter: int = 0) -> None:
        """Tell the sender of a report how its stream arrives, ``held_s`` after the report came."""
        delay = round(held_s * 65536)
        last = middle_32_bits(report.ntp)
        block = ReportBlock(report.ssrc, fraction_lost, 0, report.packets, jitter, last, delay)
        self.send(build(ReceiverReport(0xFA4, (block,)), "peer@example.com"), self.reported_from)

    def send(self, datagram: bytes, to: Address) -> None:
        """Send anything from its RTCP port."""
        self._rtcp.sendto(datagram, to)
