"""A pair of sockets of the relay: one towards Asterisk, one towards the echo server, shared by up to 128 calls."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.peers.reflector import TurnaroundMeter
from pytest_ari_sla.peers.relay.relay_calls import EchoStamps, RelayCalls
from pytest_ari_sla.rtp.header import header_view
from pytest_ari_sla.udp.datagrams import host_number, open_udp_socket, receive_drops

if TYPE_CHECKING:
    import socket

    from numpy.typing import NDArray

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.metrics.histogram import Histogram
    from pytest_ari_sla.peers.ready_loop import ReadyLoop
    from pytest_ari_sla.peers.reflector import Departures, PacketMover
    from pytest_ari_sla.udp.port_leases import PortLease

__all__ = ["RELAY_METRICS", "RelayFigures", "RelayGroup"]


def _count(name: str, description: str) -> Metric:
    return Metric(name, "count", "count", description)


RELAY_METRICS = (
    Metric(
        "relay_rtt",
        "distribution",
        "s",
        "From the relay to the echo server and back, each packet",
        error_bound="50 us too short, or as long as one send of the relay took (harness.relay_turnaround) too long",
        oracle="a capture of the same load, tests/oracles/test_media.py",
        prominent=True,
        places=("console", "summary", "tile", "timeline", "percentiles"),
        rank=50,
        title="Round-trip time of the relay's leg",
        label="Relay's leg",
    ),
    _count("relay.received", "RTP packets that the relay received from Asterisk"),
    _count("relay.forwarded", "Packets that it sent on to the echo server"),
    _count("relay.echoed", "Packets that came back from the echo server, duplicates and late ones included"),
    _count("relay.returned", "Packets that it sent back to Asterisk"),
    _count("relay.lost", "Packets that the echo server did not return within 3 s, or before their call was released"),
    _count("relay.duplicates", "Packets that the echo server returned once more"),
    _count("relay.late", "Packets that the echo server returned after they had been counted as lost"),
    _count("relay.strays", "Packets from Asterisk of calls that had been released"),
    _count("relay.foreign", "Packets from addresses, or with an SSRC, that are no call's; dropped"),
    _count("relay.invalid", "Datagrams that were no RTP packets; dropped"),
    _count("relay.refused", "Packets that the relay's kernel refused to send"),
    _count("relay.receive_drops", "Packets that were dropped in the relay's own receive buffers"),
    Metric("harness.relay_stall", "distribution", "s", "How long the relay stood still, where it did for 250 ms"),
    Metric(
        "harness.relay_turnaround",
        "distribution",
        "s",
        "Time that the relay held a packet, either way, from the kernel's time of arrival until after the send",
    ),
)
"""What the relay measures on its own leg."""


class RelayFigures:
    """The figures of all calls of one control connection.

    Attributes
    ----------
    counts
        By metric name.
    rtt, turnaround
        Times in ns.
    """

    def __init__(self) -> None:
        self.counts = dict.fromkeys((metric.name for metric in RELAY_METRICS if metric.kind == "count"), 0)
        self.rtt = TurnaroundMeter()
        self.turnaround = TurnaroundMeter()

    def note_sent(self, name: str, departures: Departures, arrival_ns: NDArray[np.int64]) -> None:
        """Count packets that were sent under ``name``, or refused, and how long they were held."""
        is_sent = departures.is_sent
        sent = int(np.count_nonzero(is_sent))
        self.counts[name] += sent
        self.counts["relay.refused"] += len(is_sent) - sent
        self.turnaround.record((departures.ended_ns - arrival_ns)[is_sent])

    def snapshot(self, receive_drops: int, stalls: Histogram) -> Snapshot:
        """Return all of them; the sockets' drop counters and the loop's stalls are asked for elsewhere."""
        return Snapshot(
            {
                **self.counts,
                "relay.receive_drops": receive_drops,
                "relay_rtt": self.rtt.histogram(),
                "harness.relay_stall": stalls,
                "harness.relay_turnaround": self.turnaround.histogram(),
            }
        )


class RelayGroup:
    """Relays the calls that share a pair of sockets.

    Parameters
    ----------
    loop
        Where the sockets are watched.
    lease
        The socket towards Asterisk.
    echo
        The echo server's address.
    mover
        Moves packets; shared by all groups of a process, since only one of them works at a time.
    figures
        Where to count.
    """

    def __init__(
        self, loop: ReadyLoop, lease: PortLease, echo: Address, mover: PacketMover, figures: RelayFigures
    ) -> None:
        self._loop = loop
        self._lease = lease
        # Routing chooses our address: the echo server may be behind any interface.
        self._echo_side = open_udp_socket(("0.0.0.0", 0))
        self._echo_host, self._echo_port = host_number(echo[0]), echo[1]
        self._mover = mover
        self._address = mover.memory.address
        self._headers = header_view(mover.memory.data)
        self._figures = figures
        self._stamps = EchoStamps()
        self.calls = RelayCalls()
        loop.watch(self._asterisk_side, self._drain_asterisk_side)
        loop.watch(self._echo_side, self._drain_echo_side)

    @property
    def port(self) -> int:
        """Where Asterisk shall send."""
        return self._lease.port

    @property
    def _asterisk_side(self) -> socket.socket:
        return self._lease.rtp_socket

    def reserve(self, call: str) -> bool:
        """Give a place to a call; return False when there is none."""
        return self.calls.reserve(call, time.monotonic_ns(), random.getrandbits(32))

    def release(self, call: str) -> None:
        """End a call; what the echo server has not returned by now is lost."""
        slot = self.calls.release(call, time.monotonic_ns())
        self._figures.counts["relay.lost"] += self._stamps.clear(slot)

    def expire(self) -> None:
        """Count packets as lost that left for the echo server too long ago."""
        self._figures.counts["relay.lost"] += self._stamps.expire(self._mover.clock.now_ns())

    def receive_drops(self) -> int:
        """Return how many packets found a full receive buffer."""
        return receive_drops(self._asterisk_side) + receive_drops(self._echo_side)

    def close(self) -> None:
        """Close the sockets."""
        for udp in (self._asterisk_side, self._echo_side):
            # Before they are closed: a closed socket has no number any more to be taken off by.
            self._loop.forget(udp)
        self._lease.release()
        self._echo_side.close()

    def _drain_asterisk_side(self) -> None:
        for rows, invalid in self._mover.batches(self._asterisk_side):
            self._figures.counts["relay.invalid"] += invalid
            self._pass_to_echo(rows)

    def _drain_echo_side(self) -> None:
        for rows, invalid in self._mover.batches(self._echo_side):
            self._figures.counts["relay.invalid"] += invalid
            self._pass_to_asterisk(rows)

    def _pass_to_echo(self, rows: NDArray[np.intp]) -> None:
        counts = self._figures.counts
        address = self._address[rows]
        rows, slots = self._own(rows, self.calls.slots_by_address(address["host"], address["port"]))
        is_live = self.calls.is_live[slots]
        rows, slots = rows[is_live], slots[is_live]
        counts["relay.received"] += len(rows)
        counts["relay.strays"] += len(is_live) - len(rows)
        if not len(rows):
            return
        # In place: the rows are ours until the next batch is received.
        self._headers["ssrc"][rows] = self.calls.ssrc[slots]
        self._address["host"][rows] = self._echo_host
        self._address["port"][rows] = self._echo_port
        departures = self._mover.send(self._echo_side, rows)
        self._figures.note_sent("relay.forwarded", departures, self._mover.arrival_ns(rows))
        is_sent = departures.is_sent
        sequence = self._headers["sequence"][rows[is_sent]].astype(np.uint16)
        counts["relay.lost"] += self._stamps.note_sent(slots[is_sent], sequence, departures.began_ns[is_sent])

    def _pass_to_asterisk(self, rows: NDArray[np.intp]) -> None:
        counts = self._figures.counts
        address = self._address[rows]
        is_echo = (address["host"] == self._echo_host) & (address["port"] == self._echo_port)
        by_ssrc = self.calls.slots_by_ssrc(self._headers["ssrc"][rows].astype(np.uint32))
        rows, slots = self._own(rows, np.where(is_echo, by_ssrc, -1))
        counts["relay.echoed"] += len(rows)
        arrival_ns = self._mover.arrival_ns(rows)
        # Before those of ended calls are sorted out: they count as late.
        matches = self._stamps.match(slots, self._headers["sequence"][rows].astype(np.uint16), arrival_ns)
        self._figures.rtt.record(matches.rtt_ns)
        counts["relay.duplicates"] += matches.duplicates
        counts["relay.late"] += matches.late
        is_live = self.calls.is_live[slots]
        rows, slots = rows[is_live], slots[is_live]
        self._address["host"][rows] = self.calls.host[slots]
        self._address["port"][rows] = self.calls.port[slots]
        departures = self._mover.send(self._asterisk_side, rows)
        self._figures.note_sent("relay.returned", departures, arrival_ns[is_live])

    def _own(self, rows: NDArray[np.intp], slots: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows of known calls with their slots; count the others as foreign."""
        is_known = slots >= 0
        # The usual case costs no copy.
        if is_known.all():
            return rows, slots
        self._figures.counts["relay.foreign"] += len(rows) - int(np.count_nonzero(is_known))
        return rows[is_known], slots[is_known]
