"""A capture of the loopback by dumpcap, and what its packets say; nothing of the package is used."""

from __future__ import annotations

import os
import re
import shutil
import signal
import struct
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pytest
from scapy.utils import RawPcapNgReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["TcpSegment", "UdpPacket", "captured", "datagram_of", "packets"]

_ETHERNET = 14
_TCP, _UDP = 6, 17
_QUIET_S = 0.5


class TcpSegment(NamedTuple):
    """A TCP segment that carries data or opens a connection; ``at_ns`` is the kernel's time in ns since the epoch."""

    at_ns: int
    source: int
    target: int
    sequence: int
    is_first: bool
    data: bytes


class UdpPacket(NamedTuple):
    """A datagram; ports tell who sent it, for everything is on the loopback."""

    at_ns: int
    source: int
    target: int
    data: bytes


@contextmanager
def captured(path: Path, ports: str) -> Iterator[None]:
    """Capture what passes the loopback while the block runs.

    Parameters
    ----------
    path
        The file to write.
    ports
        A capture filter.
    """
    if not shutil.which("dumpcap"):
        assert "CI" not in os.environ, "CI has to install tshark"
        pytest.skip("dumpcap, which comes with tshark, is not installed")
    command = ["dumpcap", "-i", "lo", "-f", ports, "-B", "64", "-w", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as dumpcap:
        assert dumpcap.stderr is not None
        said = []
        for line in dumpcap.stderr:
            said.append(line)
            if line.startswith("File:"):
                break
        else:
            pytest.fail(f"dumpcap cannot capture here: {''.join(said)}")
        try:
            yield
        finally:
            _wait_until_written(path)
            dumpcap.send_signal(signal.SIGINT)
            end = dumpcap.stderr.read()
    dropped = re.search(r"received/dropped on interface '[^']*': \d+/(\d+)", end)
    assert dropped, end
    assert dropped[1] == "0", f"the capture is incomplete: {end}"


def _wait_until_written(path: Path) -> None:
    """Wait until nothing more comes: dumpcap leaves behind what it has not read from the kernel when it ends."""
    size = -1
    while size != (size := path.stat().st_size):
        time.sleep(_QUIET_S)


def packets(path: Path) -> tuple[list[TcpSegment], list[UdpPacket]]:
    """Return the segments and datagrams of a capture, in order of time."""
    segments: list[TcpSegment] = []
    datagrams: list[UdpPacket] = []
    with RawPcapNgReader(str(path)) as reader:
        for frame, meta in reader:
            told: Any = meta  # scapy declares it as that of another format
            at_ns = ((told.tshigh << 32) + told.tslow) * 1_000_000_000 // told.tsresol
            if datagram := datagram_of(frame):
                datagrams.append(UdpPacket(at_ns, *datagram))
                continue
            protocol, payload = _ip_payload(frame)
            if protocol == _TCP:
                source, target = struct.unpack_from("!HH", payload)
                data = payload[(payload[12] >> 4) * 4 :]
                is_first = bool(payload[13] & 2)
                if data or is_first:
                    sequence = struct.unpack_from("!I", payload, 4)[0]
                    segments.append(TcpSegment(at_ns, source, target, sequence, is_first, data))
    return segments, datagrams


def datagram_of(frame: bytes) -> tuple[int, int, bytes] | None:
    """Return source port, target port and content of an Ethernet frame with UDP over IPv4; None where it has none."""
    protocol, payload = _ip_payload(frame)
    if protocol != _UDP:
        return None
    source, target = struct.unpack_from("!HH", payload)
    return source, target, payload[8:]


def _ip_payload(frame: bytes) -> tuple[int, bytes]:
    ip = frame[_ETHERNET:]
    if len(ip) < 20 or ip[0] >> 4 != 4:
        return -1, b""
    return ip[9], ip[(ip[0] & 15) * 4 : int.from_bytes(ip[2:4], "big")]


@dataclass
class ByteStream:
    """One direction of a TCP connection: its bytes, and when each of them passed."""

    data: bytearray
    ends: list[tuple[int, int]]
    first: int

    @classmethod
    def empty(cls, first: int) -> Self:
        """Return a stream whose first byte has this sequence number."""
        return cls(bytearray(), [], first)

    def add(self, segment: TcpSegment) -> None:
        """Take the next segment; what is sent again adds nothing."""
        offset = (segment.sequence - self.first) & 0xFFFFFFFF
        known = len(self.data)
        if offset + len(segment.data) <= known or offset > 1 << 31:
            return
        assert offset <= known, "the loopback loses nothing"
        self.data += segment.data[known - offset :]
        self.ends.append((len(self.data), segment.at_ns))

    def passed_ns(self, end: int) -> int:
        """Return when the last byte before this offset passed."""
        return next(at_ns for known, at_ns in self.ends if known >= end)
