"""A peer for tests of the echo server and the relay: sends RTP with probes, and gathers what comes back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

import numpy as np

from pytest_ari_sla.rtp import probe
from pytest_ari_sla.rtp.header import HEADER_BYTES, PLAIN_FLAGS, header_view
from pytest_ari_sla.udp.batched import DatagramMemory, make_receiver, make_sender, open_udp_socket

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.arguments import Address

PACKET_BYTES = HEADER_BYTES + 160
NONCE = 0x5EED
_ROWS = 256


class RtpPeer:
    """One socket that sends streams of probes, one leg each, and receives.

    Attributes
    ----------
    leg, number, arrival_ns, ssrc
        (n,) int64. Of all packets received, in order of arrival.
    """

    def __init__(self, address: Address = ("127.0.0.1", 0)) -> None:
        self.socket = open_udp_socket(address)
        self.leg = self.number = self.arrival_ns = self.ssrc = np.zeros(0, np.int64)
        self._outgoing = DatagramMemory.allocate(_ROWS, PACKET_BYTES + 1)
        self._incoming = DatagramMemory.allocate(_ROWS, PACKET_BYTES + 1)
        self._sender = make_sender(self._outgoing)
        self._receiver = make_receiver(self._incoming)

    @property
    def address(self) -> Address:
        """Where it receives."""
        host, port = self.socket.getsockname()
        return host, port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, to: Address, legs: NDArray[np.int64], number: int) -> None:
        """Send packet ``number`` of each of these legs."""
        count = len(legs)
        headers = header_view(self._outgoing.data[:count])
        headers["flags"] = PLAIN_FLAGS
        headers["sequence"] = number & 0xFFFF
        headers["ssrc"] = 1000 + legs
        probe.write(self._outgoing.data[:count, HEADER_BYTES:PACKET_BYTES], NONCE, legs, number)
        self._outgoing.length[:count] = PACKET_BYTES
        for row in range(count):
            self._outgoing.set_address(row, to)
        assert self._sender.send_rows(self.socket, np.arange(count)) == count

    def receive(self) -> int:
        """Take in what has come; return how many packets that were."""
        total = 0
        while count := self._receiver.receive(self.socket, 0, _ROWS):
            total += count
            rows = self._incoming.data[:count]
            lengths = np.full(count, PACKET_BYTES - HEADER_BYTES, np.int32)
            leg, number = probe.read(rows[:, HEADER_BYTES:PACKET_BYTES], lengths, NONCE)
            self.leg = np.concatenate([self.leg, leg])
            self.number = np.concatenate([self.number, number])
            self.arrival_ns = np.concatenate([self.arrival_ns, self._incoming.arrival_ns(slice(count))])
            self.ssrc = np.concatenate([self.ssrc, header_view(rows)["ssrc"].astype(np.int64)])
        return total

    def receive_until(self, count: int, timeout_s: float = 3.0) -> None:
        """Take in packets until there are ``count`` in all."""
        deadline = time.monotonic() + timeout_s
        while len(self.leg) < count and time.monotonic() < deadline:
            self.receive()
            time.sleep(0.001)
        assert len(self.leg) == count
