"""The measuring thread: takes packets out of the ring and gives them to the trackers, many at a time.

Nothing here is urgent. The kernel has stamped the packets, and the ring holds more than a second of them, so this
thread may wait for the interpreter while test code runs.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pytest_ari_sla.media.memory import Gauge
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.leg_courses import LegCourses
from pytest_ari_sla.metrics.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.capture.kept_packets import CapturedPackets, CapturedStream, PacketKeeper
    from pytest_ari_sla.media.memory import MediaMemory
    from pytest_ari_sla.media.report_exchange import ReportExchange
    from pytest_ari_sla.media.ring_reader import RingReader
    from pytest_ari_sla.media.send_log import MediaSendLog
    from pytest_ari_sla.media.tracker_group import TrackerGroup
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["KeptPackets", "LegReport", "Measurer"]

POLL_S = 0.5
"""Time between two looks into the ring: long enough for batches that are worth their overhead."""

ADVANCE_NS = 1_000_000_000


@dataclass(frozen=True)
class LegReport:
    """What is known of one leg when it ends.

    Attributes
    ----------
    first_arrival_ns
        When its first packet came, ns since the Unix epoch; 0 if none did.
    sent, received
        Packets.
    values
        What the trackers say of this leg alone, by metric name; NaN is left out.
    rtt_course
        Its RTT over time: (start and end of a span in ns since the Unix epoch, mean in ns).
    kept
        The last packets that it received, and when it sent its own; None where packets are not kept.
    streams
        The same as streams with addresses, which the caller adds.
    """

    first_arrival_ns: int
    sent: int
    received: int
    values: Mapping[str, float]
    rtt_course: Sequence[tuple[int, int, float]]
    kept: KeptPackets | None = None
    streams: Sequence[CapturedStream] = ()


@dataclass(frozen=True, eq=False)
class KeptPackets:
    """The last packets of a leg.

    Attributes
    ----------
    received
        What came in.
    sent_ns
        (k,) When each of the last k turns' packets was sent, ns since the Unix epoch; 0 for one that was not.
    first_turn
        The first of these turns.
    """

    received: CapturedPackets
    sent_ns: NDArray[np.int64]
    first_turn: int


class _Retirement(NamedTuple):
    """The legs of a call that ends, who hears of it, and whether what they sent last is judged by nobody."""

    legs: Sequence[int]
    done: Callable[[list[LegReport]], None]
    withdraw: bool


class Measurer:
    """Runs the trackers over everything that the media loop receives.

    Parameters
    ----------
    memory, send_log, reader
        Where packets come from, and what is known of those sent.
    trackers
        Begun already; used by this thread alone from :meth:`start` on.
    receive_drops
        Tells how many datagrams have found our receive buffers full.
    keeper
        Keeps packets as evidence; None for none.
    reports
        Exchanges RTCP reports with far ends; None: there are none.

    Attributes
    ----------
    packets_sent
        Packets that left.
    error
        What ended the thread before its time; None while all is well.
    """

    def __init__(
        self,
        memory: MediaMemory,
        send_log: MediaSendLog,
        reader: RingReader,
        trackers: TrackerGroup,
        receive_drops: Callable[[], int],
        keeper: PacketKeeper | None = None,
        reports: ReportExchange | None = None,
    ) -> None:
        self._memory = memory
        self._send_log = send_log
        self._reader = reader
        self._trackers = trackers
        self._receive_drops = receive_drops
        self._keeper = keeper
        self._reports = reports
        self._first_arrival_ns = np.zeros(memory.layout.legs, np.int64)
        self._received = np.zeros(memory.layout.legs, np.int64)
        self._courses = LegCourses(memory.layout.legs)
        self._pacing = Histogram()
        self._cpu = Histogram()
        self._not_sent = 0
        self.packets_sent = 0
        self._cpu_seen = (time.monotonic_ns(), 0)
        # The last probe that came back in each place of the window, by its sender.
        self._back = np.full((memory.layout.legs, memory.layout.probe_window), -1, np.int64)
        self._retirements: deque[_Retirement] = deque()
        self._latest = Snapshot({})
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="ari-sla-measurer", daemon=True)
        self.error: BaseException | None = None

    def start(self) -> None:
        """Begin to measure."""
        self._thread.start()

    def stop(self) -> None:
        """Measure what has arrived by now, and end; the final numbers are in :meth:`latest` then."""
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def latest(self) -> Snapshot:
        """Return the cumulative numbers of the last full second, or the final ones after :meth:`stop`."""
        return self._latest

    def retire(self, legs: Sequence[int], done: Callable[[list[LegReport]], None], *, withdraw: bool = False) -> None:
        """End the legs of a call: settle them, reset their state, and call ``done`` with their reports.

        That call is made by the measuring thread, before it reads another packet. ``withdraw``: what they sent after
        their last packet that came back is judged by nobody.
        """
        self._retirements.append(_Retirement(legs, done, withdraw))
        self._wake.set()

    def received(self, legs: Sequence[int]) -> int:
        """Return how many packets have come for these legs."""
        return int(self._received[legs].sum())

    def outstanding(self, leg: int) -> int:
        """Return how many of a leg's probes were sent and have not come back to anybody; copies do not count."""
        window = self._memory.layout.probe_window
        due = int(self._send_log.due_by([leg])[0])
        probes = np.arange(max(0, due - window), due)
        sent = self._send_log.was_sent(np.full(len(probes), leg, np.int32), probes)
        return int(np.count_nonzero(sent & (self._back[leg, probes % window] != probes)))

    def silent_legs(self, packets: int) -> NDArray[np.intp]:
        """Return the legs whose last so many packets have not come back to anybody."""
        return np.flatnonzero(self._send_log.due() - 1 - self._back.max(axis=1) >= packets)

    def _run(self) -> None:
        try:
            next_advance_ns = time.time_ns() + ADVANCE_NS
            while not self._stopping:
                self._wake.wait(POLL_S)
                self._wake.clear()
                self._read()
                if time.time_ns() >= next_advance_ns:
                    next_advance_ns += ADVANCE_NS
                    self._advance()
            self._read()
            self._advance()
        except BaseException as error:  # handed to the load, which raises it where the test can see it
            self.error = error

    def _read(self) -> None:
        leaving = [self._retirements.popleft() for _ in range(len(self._retirements))]
        for batch in self._reader.batches():
            self._observe(batch)
        if leaving:
            self._retire(leaving)

    def _observe(self, batch: PacketBatch) -> None:
        groups = batch.by_leg
        self._received[groups.legs] += groups.counts
        first_ns = batch.arrival_ns[groups.order[groups.starts]]
        known = self._first_arrival_ns[groups.legs]
        self._first_arrival_ns[groups.legs] = np.where(known == 0, first_ns, known)
        probed = batch.sent_ns > 0
        self._courses.observe(
            batch.leg[probed], batch.arrival_ns[probed], batch.arrival_ns[probed] - batch.sent_ns[probed]
        )
        numbers = batch.probe[probed]
        self._back[batch.source_leg[probed], numbers % self._back.shape[1]] = numbers
        self._trackers.observe(batch)
        if self._keeper is not None:
            self._keeper.observe(batch)

    def _advance(self) -> None:
        now_ns = time.time_ns()
        self._exchange_reports(now_ns)
        self._trackers.advance(now_ns)
        self._read_departures()
        self._read_cpu()
        self._latest = self._snapshot()

    def _exchange_reports(self, now_ns: int) -> None:
        if self._reports is not None:
            self._trackers.observe_reports(self._reports.exchange(now_ns))

    def _retire(self, leaving: list[_Retirement]) -> None:
        self._read_departures()
        legs = np.array([leg for one in leaving for leg in one.legs], np.int32)
        withdrawn = [leg for one in leaving if one.withdraw for leg in one.legs]
        self._send_log.withdraw(withdrawn, self._back[withdrawn].max(axis=1) + 1)
        self._send_log.close(legs)
        reports = self._last_words(legs)
        self._trackers.release(legs)
        self._courses.release(legs)
        self._send_log.hide(legs)
        self._first_arrival_ns[legs] = 0
        self._received[legs] = 0
        self._back[legs] = -1
        for one in leaving:
            one.done([reports[leg] for leg in one.legs])

    def _last_words(self, legs: NDArray[np.int32]) -> dict[int, LegReport]:
        """Let trackers decide on all that is open for these legs, and report on each."""
        now_ns = time.time_ns()
        self._exchange_reports(now_ns)
        self._trackers.advance(now_ns)
        values = self._trackers.per_leg()
        return {leg: self._report(leg, values) for leg in legs.tolist()}

    def _report(self, leg: int, values: Mapping[str, NDArray[np.float64]]) -> LegReport:
        own = {name: float(column[leg]) for name, column in values.items() if not np.isnan(column[leg])}
        return LegReport(
            first_arrival_ns=int(self._first_arrival_ns[leg]),
            sent=int(self._send_log.sent_by([leg])[0]),
            received=int(self._received[leg]),
            values=own,
            rtt_course=self._courses.course(leg),
            kept=self._take_packets(leg),
        )

    def _take_packets(self, leg: int) -> KeptPackets | None:
        if self._keeper is None:
            return None
        received = self._keeper.take(leg)
        self._keeper.reset(leg)
        first_turn, sent_ns = self._send_log.last_sent(leg)
        return KeptPackets(received, sent_ns, first_turn)

    def _snapshot(self) -> Snapshot:
        values: dict[str, Any] = {
            "harness.pacing_error": self._pacing,
            "harness.cpu": self._cpu,
            "harness.not_sent": self._not_sent,
            "harness.receive_drops": self._receive_drops(),
            "harness.clock_steps": int(self._memory.gauges[Gauge.CLOCK_STEPS]),
            "harness.foreign_packets": self._reader.foreign,
            "harness.malformed_packets": self._reader.malformed,
        }
        if self._reports is not None:
            values |= {"harness.reports_sent": self._reports.sent, "harness.reports_ignored": self._reports.ignored}
        return Snapshot(values | self._trackers.snapshot())

    def _read_departures(self) -> None:
        """Take the pacing error of every packet whose turn has come."""
        departures = self._send_log.departures()
        self._pacing.record(departures.late_ns)
        self._not_sent += departures.not_sent
        self.packets_sent += len(departures.late_ns)

    def _read_cpu(self) -> None:
        now_ns, used_ns = time.monotonic_ns(), int(self._memory.gauges[Gauge.CPU_NS])
        then_ns, used_then_ns = self._cpu_seen
        # The loop tells once a second, and once more at its end: over a shorter span that would be too much.
        if used_ns > used_then_ns and now_ns - then_ns >= ADVANCE_NS * 9 // 10:
            self._cpu.record_one(10_000 * (used_ns - used_then_ns) // (now_ns - then_ns))
            self._cpu_seen = (now_ns, used_ns)
