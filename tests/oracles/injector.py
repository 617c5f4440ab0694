"""Sends to legs what Asterisk never would: as if from Asterisk's port, so that a capture sees it like all the rest.

Of ExternalMedia channels no digits come as telephone-events, no RTCP, nothing broken and nothing of somebody else's.
Which packets of a leg are followed by what is fixed; what they come to is left to the capture.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.oracles.rtp_wire import RTP, probe_of
from tests.oracles.wire import datagram_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["STRAY_SSRC", "Injector", "is_bound_below_us"]

POLL_S = 0.05
SO_RCVBUFFORCE, BUFFER_BYTES = 33, 32 << 20
LOCALHOST = socket.inet_aton("127.0.0.1")
EVENT_SSRC, STRAY_SSRC = 0xD1617000, 0x57AA7000
EVENT_TICKS = 160
COMPARED_ONE_IN = 8


@dataclass
class _Leg:
    """What is known of a leg by what passed: its port and Asterisk's, and what it has heard and sent."""

    ours: int
    theirs: int
    number: int
    heard: int = 0
    done: int = 0
    first: bytes = b""
    latest: bytes = b""
    compared: bytes = b""
    own_ssrc: int = 0
    reports: int = 0


@dataclass
class Injector:
    """Runs from when one file is there until another one is.

    Parameters
    ----------
    begun, ended
        Those files.
    their_ports
        Where Asterisk's RTP ports are, from and to.
    stranger_port
        One from which no call expects packets.
    """

    begun: Path
    ended: Path
    their_ports: tuple[int, int]
    stranger_port: int
    legs: dict[tuple[int, int], _Leg] = field(default_factory=dict)
    others: set[tuple[int, int]] = field(default_factory=set)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="injector")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self.begun.exists():
            if self._stop.wait(POLL_S):
                return
        with (
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003)) as wire,
            socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as self._out,
        ):
            # All that passes the loopback comes here, other programs' packets as well.
            wire.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
            wire.bind(("lo", 0))
            wire.settimeout(POLL_S)
            while not (self._stop.is_set() or self.ended.exists()):
                try:
                    frame, (_, _, kind, *_) = wire.recvfrom(4096)
                except TimeoutError:
                    continue
                # The loopback shows each packet twice: on its way out, and in.
                if kind != socket.PACKET_OUTGOING and (datagram := datagram_of(frame)):
                    self._see(*datagram)

    def _see(self, source: int, target: int, data: bytes) -> None:
        if self._is_theirs(target):
            self._see_sent(source, target, data)
        elif (leg := self.legs.get((target, source))) and len(data) >= RTP.size and probe_of(data):
            self._see_heard(leg, data)

    def _is_theirs(self, port: int) -> bool:
        low, high = self.their_ports
        return low <= port <= high

    def _see_sent(self, source: int, target: int, data: bytes) -> None:
        way = source, target
        if probe_of(data) is not None and way not in self.others:
            if way not in self.legs and not is_bound_below_us(source):
                self.others.add(way)
                return
            leg = self.legs.setdefault(way, _Leg(source, target, len(self.legs)))
            leg.own_ssrc = RTP.unpack_from(data)[4]
        elif (source - 1, target - 1) in self.legs and len(data) >= 28 and data[1] == 200:
            self._report(self.legs[source - 1, target - 1], data, time.time_ns())

    def _see_heard(self, leg: _Leg, data: bytes) -> None:
        probe = probe_of(data)
        leg.latest = data
        leg.first = leg.first or data
        first = probe_of(leg.first)
        if probe is not None and first is not None and (probe[2] - first[2]) % COMPARED_ONE_IN == 0:
            leg.compared = data
        action = _ACTIONS.get(leg.heard)
        leg.heard += 1
        if action is not None:
            action(self, leg)
            leg.done += 1

    def not_sent(self) -> list[str]:
        """Say which legs were not sent all of it: a machine that stands still lets packets go by unseen."""
        if not self.legs:
            return ["no leg was seen"]
        return [
            f"leg {leg.number} was sent {leg.done} of {len(_ACTIONS)} and {leg.reports} reports"
            for leg in self.legs.values()
            if leg.done < len(_ACTIONS) or not leg.reports
        ]

    # --- what is sent ---

    def to_leg(self, leg: _Leg, data: bytes, *, source: int | None = None, rtcp: bool = False) -> None:
        """Send a datagram to a leg, as if from where its packets come from, or from another port."""
        self.send(leg.theirs + rtcp if source is None else source, leg.ours + rtcp, data)

    def send(self, source: int, target: int, data: bytes) -> None:
        """Send a datagram from any port to any other."""
        udp = struct.pack("!HHHH", source, target, 8 + len(data), 0) + data
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0, LOCALHOST, LOCALHOST)
        self._out.sendto(ip + udp, ("127.0.0.1", 0))

    def event(self, leg: _Leg, event: int, after_ticks: int, updates: int, ends: int) -> None:
        """Send a telephone-event (RFC 4733): packets that grow, then the last one, repeated."""
        for step in range(1, updates + ends + 1):
            is_end = step > updates
            duration = EVENT_TICKS * min(step, updates + 1)
            second_byte = 101 | 0x80 * (step == 1)
            ssrc = EVENT_SSRC + leg.number
            head = RTP.pack(0x80, second_byte, (after_ticks + step) & 0xFFFF, after_ticks, ssrc)
            self.to_leg(leg, head + struct.pack("!BBH", event, 0x80 * is_end | 10, duration))

    def misroute(self, leg: _Leg) -> None:
        """Send what another leg has heard."""
        others = [other.latest for other in self.legs.values() if other is not leg and other.latest]
        if others:
            self.to_leg(leg, others[0])

    def malform(self, leg: _Leg) -> None:
        """Send what is no RTP: too short, and of another version."""
        self.to_leg(leg, b"\x80\x00\x01")
        self.to_leg(leg, b"\x00" + leg.latest[1:])

    def intrude(self, leg: _Leg) -> None:
        """Send a good packet from where no call's packets come from."""
        self.to_leg(leg, leg.latest, source=self.stranger_port)

    def alter(self, leg: _Leg) -> None:
        """Send a packet once more, with other audio behind its probe."""
        self.to_leg(leg, leg.compared[:-1] + bytes([leg.compared[-1] ^ 0x55]))

    def stray(self, leg: _Leg) -> None:
        """Send a packet of another source, which nothing goes on with."""
        self.to_leg(leg, RTP.pack(0x80, 0, 7_000, 7_000, STRAY_SSRC + leg.number) + b"\xff" * 160)

    def double(self, leg: _Leg) -> None:
        """Send the latest packet twice more."""
        self.to_leg(leg, leg.latest)
        self.to_leg(leg, leg.latest)

    def return_late(self, leg: _Leg) -> None:
        """Send the first packet again, more than 3 s after it was due."""
        self.to_leg(leg, leg.first)

    def garble_report(self, leg: _Leg) -> None:
        """Send what is no RTCP to where RTCP goes."""
        self.to_leg(leg, b"\x80\xc9\xff\xff", rtcp=True)

    def _report(self, leg: _Leg, sender_report: bytes, seen_ns: int) -> None:
        """Answer a sender report by a receiver report, some time later than it came."""
        last_sr = int.from_bytes(sender_report[10:14], "big")
        time.sleep(0.003)
        held = (time.time_ns() - seen_ns) * 65_536 // 1_000_000_000
        leg.reports += 1
        lost, jitter = 10 * (leg.number + leg.reports), 40 * (leg.number + 1)
        block = struct.pack("!IB3sIIII", leg.own_ssrc, lost, b"\0\0\3", 1_000, jitter, last_sr, held)
        self.to_leg(leg, struct.pack("!BBHI", 0x81, 201, 7, EVENT_SSRC) + block, rtcp=True)


def is_bound_below_us(port: int) -> bool:
    """Tell whether a UDP port is that of a process that this one has started: others may load others meanwhile."""
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]" for row in rows if int(row[1].rpartition(":")[2], 16) == port}
    return any(_link(descriptor) in sockets for pid in _tree(os.getpid()) for descriptor in _files(pid))


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                yield from _tree(int(child))


def _files(pid: int) -> list[Path]:
    with suppress(OSError):
        return list(Path(f"/proc/{pid}/fd").iterdir())
    return []


def _link(descriptor: Path) -> str:
    with suppress(OSError):
        return str(descriptor.readlink())
    return ""


_ACTIONS: dict[int, Callable[[Injector, _Leg], None]] = {
    20: lambda injector, leg: injector.event(leg, 5, 1_000, updates=3, ends=3),
    30: lambda injector, leg: injector.event(leg, 11, 3_000, updates=2, ends=3),
    40: lambda injector, leg: injector.event(leg, 16, 5_000, updates=1, ends=3),
    50: lambda injector, leg: injector.event(leg, 7, 9_000, updates=4, ends=0),
    60: Injector.misroute,
    70: Injector.malform,
    80: Injector.intrude,
    90: Injector.alter,
    100: Injector.garble_report,
    110: Injector.stray,
    120: Injector.double,
    165: Injector.return_late,
}
"""What is sent behind which of a leg's packets, from 0; one in 20 ms."""
