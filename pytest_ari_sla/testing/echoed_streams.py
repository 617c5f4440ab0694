"""Streams of several legs, echoed by a bad network: what a tracker sees during a load, without one.

Made whole and at once: an impairment decides about every packet, the survivors are sorted by arrival, and
:meth:`EchoedStreams.replay` hands them to a tracker as the measurer of a real load would.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.codecs.g711 import pcmu
from pytest_ari_sla.codecs.speech import frames
from pytest_ari_sla.hookspecs.codec import Voice
from pytest_ari_sla.hookspecs.tracker import TrackerContext
from pytest_ari_sla.peers.echo.impairment import Impairment
from pytest_ari_sla.rtp import probe
from pytest_ari_sla.rtp.packet_batch import PacketBatch
from pytest_ari_sla.testing.manual_clock import START_NS, ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.codec import Codec
    from pytest_ari_sla.hookspecs.tracker import Tracker
    from pytest_ari_sla.peers.echo.impairment import Decisions

__all__ = ["EchoedStreams", "ScheduledSendLog"]

ADVANCE_NS = 1_000_000_000
LOSS_LIMIT_NS = 2_000_000_000
PROBE_WINDOW = 256
NONCE = 0xC0FFEE
LATENESS_NS = 40_000  # how late the sender is: intended and real send times differ, as they do in life


@dataclass
class ScheduledSendLog:
    """A :class:`~pytest_ari_sla.hookspecs.tracker.SendLog` of legs that sent every packet of their schedule.

    Attributes
    ----------
    clock
        The present: packets after it are not sent yet.
    first_ns
        (legs,) int64. When each leg's first packet was due.
    packets
        (legs,) int64. How many packets each leg sends in all; 0 once the leg was released.
    packet_time_ns
        Time between two of them.
    """

    clock: ManualClock
    first_ns: NDArray[np.int64]
    packets: NDArray[np.int64]
    packet_time_ns: int

    def sent(self) -> NDArray[np.int64]:
        """(legs,) Packets that each leg has sent by now."""
        return self.settled(self.clock.now_ns, 0)

    def due(self) -> NDArray[np.int64]:
        """(legs,) Packets that were due by now: all of them were sent."""
        return self.sent()

    def settled(self, now_ns: int | NDArray[np.int64], age_ns: int) -> NDArray[np.int64]:
        """(legs,) Number of probes of each leg that were due at least ``age_ns`` before ``now_ns``."""
        moment_ns = np.minimum(now_ns - age_ns, self.clock.now_ns)
        return np.clip((moment_ns - self.first_ns) // self.packet_time_ns + 1, 0, self.packets)

    def closed(self) -> NDArray[np.bool_]:
        """(legs,) No leg ends before all is settled."""
        return np.zeros(len(self.packets), np.bool_)

    def due_ns(self, legs: NDArray[np.int32], probes: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) When these probes were due."""
        due_ns: NDArray[np.int64] = self.first_ns[legs] + probes * self.packet_time_ns
        return due_ns

    def was_sent(self, legs: NDArray[np.int32], probes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether these probes have been sent."""
        was_sent: NDArray[np.bool_] = (probes >= 0) & (probes < self.sent()[legs])
        return was_sent

    def audio_start_ns(self) -> NDArray[np.int64]:
        """(legs,) When each leg's first packet was due, which carries the first frame; 0 for legs not begun."""
        return np.where(self.sent() > 0, self.first_ns, 0)


class EchoedStreams:
    """All packets that come back to a number of legs, and the context of a tracker that watches them.

    Parameters
    ----------
    legs
        How many legs send and hear their own echo.
    packets
        How many packets each sends.
    impairment
        What happens to them on the way, beside a round trip of 1 ms.
    codec, packet_time_ms
        What they carry: speech, with the probe at its start.
    first_sequence, first_timestamp
        Of every stream that comes back; the defaults wrap around after a few packets.
    first_leg
        Number of the first leg among all legs of a larger load: streams depend on it, not on how legs are shared out.
    start_ns
        When the legs begin, each one millisecond after the one before.

    Attributes
    ----------
    frames
        (frames, bytes) uint8. The speech that each leg sends in turn.
    clock
        The present of the replay.
    received
        All packets, in order of arrival.
    end_ns
        When the last probe is settled: after this nothing is open.
    """

    def __init__(
        self,
        legs: int = 4,
        packets: int = 150,
        impairment: Impairment | None = None,
        *,
        codec: Codec | None = None,
        packet_time_ms: int = 20,
        first_sequence: int = 65_500,
        first_timestamp: int = 2**32 - 4000,
        first_leg: int = 0,
        start_ns: int = START_NS,
    ) -> None:
        self.codec = codec or pcmu()
        self.packet_time_ms = packet_time_ms
        self.frames = frames(self.codec, packet_time_ms, seconds=3.0)
        self.clock = ManualClock(start_ns)
        self._start_ns, self._packets_per_leg = start_ns, packets
        leg, number = (grid.reshape(-1) for grid in np.meshgrid(np.arange(legs), np.arange(packets), indexing="ij"))
        first_ns = start_ns + (first_leg + np.arange(legs)) * 1_000_000
        self.send_log = ScheduledSendLog(
            self.clock, first_ns, np.full(legs, packets, np.int64), packet_time_ms * 1_000_000
        )
        decisions = (impairment or Impairment()).decide(leg + first_leg, number)
        self.received = self._echo(leg, number, decisions, (first_sequence, first_timestamp))
        last_due_ns = start_ns + packets * packet_time_ms * 1_000_000 + (first_leg + legs) * 1_000_000
        self.end_ns = last_due_ns + LOSS_LIMIT_NS + ADVANCE_NS

    @property
    def context(self) -> TrackerContext:
        """What a tracker's ``begin`` is given."""
        legs = len(self.send_log.packets)
        return TrackerContext(
            legs=legs,
            heard_leg=np.arange(legs, dtype=np.int32),
            voices=(Voice(self.codec, self.frames),),
            voice_of_leg=np.zeros(legs, np.int32),
            packet_time_ns=self.packet_time_ms * 1_000_000,
            send_log=self.send_log,
            probe_window=PROBE_WINDOW,
            loss_limit_ns=LOSS_LIMIT_NS,
        )

    def replay(self, tracker: Tracker, rows: int = 1000, times_told: int = 1) -> None:
        """Let a tracker that has begun live through all of it, in batches of at most ``rows`` packets.

        Time passes as in a load: ``advance`` once a second (or so many times with the same time, as where calls end),
        and until the last probe is settled. The arrays of a batch are read-only, and are overwritten once the tracker
        has returned, as the ring's memory is.
        """
        while self.clock.now_ns < self.end_ns:
            until_ns = min(self.clock.now_ns + ADVANCE_NS, self.end_ns)
            for batch in self._batches(self.clock.now_ns, until_ns, rows):
                self.clock.advance_to(int(batch.arrival_ns[-1]))
                tracker.observe(_read_only(batch))
                _overwrite(batch)
            self.clock.advance_to(until_ns)
            for _ in range(times_told):
                tracker.advance(until_ns)

    def release(self, tracker: Tracker) -> None:
        """End all legs."""
        legs = np.arange(len(self.send_log.packets), dtype=np.int32)
        tracker.release(legs)
        self.send_log.packets[:] = 0

    def play_again(self) -> None:
        """Let the same streams come once more, as a later call on the same legs, beginning now."""
        later_ns = self.clock.now_ns - self._start_ns
        self._start_ns += later_ns
        self.end_ns += later_ns
        self.send_log.first_ns += later_ns
        self.send_log.packets[:] = self._packets_per_leg
        for moments_ns in (self.received.arrival_ns, self.received.sent_ns, self.received.intended_ns):
            moments_ns += later_ns

    def _batches(self, from_ns: int, until_ns: int, rows: int) -> Iterator[PacketBatch]:
        """Cut what arrives in a span of time into batches whose memory is their own."""
        first, end = np.searchsorted(self.received.arrival_ns, (from_ns, until_ns))
        for start in range(first, end, rows):
            yield self.received.select(np.arange(start, min(start + rows, end)))

    def _echo(
        self,
        leg: NDArray[np.intp],
        number: NDArray[np.intp],
        decisions: Decisions,
        stream_start: tuple[int, int],
    ) -> PacketBatch:
        """Make the packets of these legs and numbers that come back, sorted by arrival."""
        copies = np.repeat(np.arange(len(leg)), (~decisions.dropped).astype(np.intp) + decisions.duplicated)
        intended_ns = self.send_log.first_ns[leg] + number * self.send_log.packet_time_ns
        arrival_ns = (intended_ns + LATENESS_NS + 1_000_000 + decisions.delay_ns)[copies]
        copies = copies[np.argsort(arrival_ns, kind="stable")]  # duplicates arrive together, in their order
        return self._packets(leg[copies], number[copies], intended_ns[copies], np.sort(arrival_ns), stream_start)

    def _packets(
        self,
        leg: NDArray[np.intp],
        number: NDArray[np.intp],
        intended_ns: NDArray[np.int64],
        arrival_ns: NDArray[np.int64],
        stream_start: tuple[int, int],
    ) -> PacketBatch:
        """Fill in a batch; all arguments are (n,)."""
        first_sequence, first_timestamp = stream_start
        ticks = self.codec.clock_rate_hz * self.packet_time_ms // 1000
        payload = self.frames[number % len(self.frames)]
        probe.write(payload, NONCE, leg, number)
        return PacketBatch(
            leg=leg.astype(np.int32),
            sequence=(first_sequence + number).astype(np.uint16),
            timestamp=(first_timestamp + number * ticks).astype(np.uint32),
            ssrc=(0xA5000000 + leg).astype(np.uint32),
            payload_type=np.full(len(leg), self.codec.payload_type, np.uint8),
            marker=number == 0,
            arrival_ns=arrival_ns,
            source_leg=leg.astype(np.int32),
            probe=number.astype(np.int64),
            sent_ns=intended_ns + LATENESS_NS,
            intended_ns=intended_ns,
            payload=payload,
            payload_length=np.full(len(leg), payload.shape[1], np.int32),
        )


def _read_only(batch: PacketBatch) -> PacketBatch:
    """Return views of the arrays of a batch that refuse to be written to."""
    views = [getattr(batch, field.name).view() for field in fields(batch)]
    for view in views:
        view.flags.writeable = False
    return PacketBatch(*views)


def _overwrite(batch: PacketBatch) -> None:
    """Fill the memory of a batch with what no packet holds."""
    for field in fields(batch):
        getattr(batch, field.name).fill(1)
