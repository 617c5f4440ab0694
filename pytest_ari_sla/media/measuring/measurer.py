"""The measuring thread: takes packets out of the ring and gives them to the trackers, many at a time.

Nothing here is urgent. The kernel has stamped the packets, and the ring holds more than a second of them, so this
thread may wait for the interpreter while test code runs. What is read late is measured as if it had been read at once.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_ari_sla.capture.kept_packets import KeptPackets
from pytest_ari_sla.media.measuring.signs_of_life import FOR_GOOD_NS, SignsOfLife
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.leg_courses import LegCourses
from pytest_ari_sla.metrics.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.capture.kept_packets import CapturedStream, PacketKeeper
    from pytest_ari_sla.media.frame_listener import FrameListener
    from pytest_ari_sla.media.measuring.tracker_group import TrackerGroup
    from pytest_ari_sla.media.transport import MeasuredTransport
    from pytest_ari_sla.rtp.packet_batch import PacketBatch
    from pytest_ari_sla.rtp.rtcp_record import RtcpRecord

__all__ = ["LegReport", "Measurer"]

POLL_S = 0.5
"""Time between two looks into the ring: long enough for batches that are worth their overhead."""

RETIRE_POLL_S = 0.02
"""The same while a call waits for its end."""

LISTENING_POLL_S = 0.04
"""The same where somebody listens, and is to answer."""

HEARD_AFTER_NS = 60_000_000
"""What arrived so long ago has been taken out of its socket, by a loop that is not late."""

ADVANCE_NS = 1_000_000_000
STALL_NS = 1_000_000_000
"""A look that comes so much later than planned is told as a stall of this process."""

_NEVER_NS = 1 << 62


@dataclass(frozen=True)
class LegReport:
    """What is known of one leg when it ends.

    Attributes
    ----------
    first_arrival_ns
        When its first packet came, ns since the Unix epoch; 0 if none did.
    first_due_ns
        When the first one that it sent was due.
    sent, received
        Packets.
    values
        What the trackers say of this leg alone, by metric name; NaN is left out.
    delay_course
        The delay of what it hears over time (a round trip where that is itself): (start and end of a span in ns since
        the Unix epoch, mean in ns).
    kept
        The last packets that it received, and when it sent its own; None where packets are not kept.
    streams
        The same as streams with addresses, which the caller adds.
    due
        Packets that its schedule called for: of these it has left some out where it could not send.
    rtcp
        What it and its peer told each other, which the caller adds; None where that is nothing.
    """

    first_arrival_ns: int
    first_due_ns: int
    sent: int
    received: int
    values: Mapping[str, float]
    delay_course: Sequence[tuple[int, int, float]]
    kept: KeptPackets | None = None
    streams: Sequence[CapturedStream] = ()
    due: int = 0
    rtcp: RtcpRecord | None = None


@dataclass(frozen=True)
class _Retirement:
    """Legs that shall end, who is told of it, when that was asked for, and what is known of the end of their call."""

    legs: Sequence[int]
    done: Callable[[list[LegReport]], None]
    asked_ns: int
    withdraw: bool
    lived: bool


class Measurer:
    """Runs the trackers over everything that the media loop receives.

    Trackers live in the time of the packets, not in that of this thread: a second is over for them when all that
    arrived in it has been read, however late. So no result depends on when packets are read.

    Parameters
    ----------
    transport
        Where packets come from, and what is known of those sent.
    trackers
        Begun already; used by this thread alone from :meth:`start` on.
    legs
        Number of legs.
    keeper
        Keeps packets as evidence; None for none.
    listener
        Hears packets as they come; None for none.
    legs_of_call
        How many legs, one after the other, are a call.

    Attributes
    ----------
    life
        Until when calls were alive.
    packets_sent
        Packets that left.
    begin_ns
        From when on seconds are counted.
    error
        What ended the thread before its time; None while all is well.
    """

    def __init__(
        self,
        transport: MeasuredTransport,
        trackers: TrackerGroup,
        legs: int,
        keeper: PacketKeeper | None = None,
        listener: FrameListener | None = None,
        legs_of_call: int = 1,
    ) -> None:
        self.life = SignsOfLife(legs, legs_of_call)
        self._sent_after_end = 0
        self._transport = transport
        self._send_log = transport.send_log
        self._reader = transport.reader
        self._trackers = trackers
        self._keeper = keeper
        self._listener = listener
        self._first_arrival_ns = np.zeros(legs, np.int64)
        self._received = np.zeros(legs, np.int64)
        self._courses = LegCourses(legs)
        self._pacing = Histogram()
        self._cpu = Histogram()
        self._not_sent = 0
        self.packets_sent = 0
        self._cpu_seen = (transport.now_ns(), 0)
        # The last probe that came back in each place of the window, by its sender.
        self._back = np.full((legs, transport.probe_window), -1, np.int64)
        self._retirements: deque[_Retirement] = deque()
        self._latest = Snapshot({})
        self._dated_names: set[str] = set()
        self._dated: deque[tuple[int, Snapshot]] = deque()
        self._second_end_ns = transport.now_ns() + ADVANCE_NS
        self.begin_ns = self._second_end_ns
        self._stalls, self._loop_stalls = Histogram(), Histogram()
        self._loop_stalls_seen = (0, 0)
        self._wake = threading.Event()
        self._stopping = False
        # A daemon: an interpreter that exits in mid-load must not wait for it.
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

    def begin_at(self, moment_ns: int) -> None:
        """Count seconds from a load's beginning on (ns since the Unix epoch, by the transport's clock)."""
        self.begin_ns = moment_ns

    def take_dated(self) -> list[tuple[int, Snapshot]]:
        """Return what has been measured since the last time, by the time that it belongs to.

        Times are ns since the Unix epoch. All that was ever returned adds up to :meth:`latest`, as it was then.
        """
        # as many as there are now: the thread goes on adding
        return [self._dated.popleft() for _ in range(len(self._dated))]

    def retire(
        self,
        legs: Sequence[int],
        done: Callable[[list[LegReport]], None],
        *,
        withdraw: bool = False,
        lived: bool = True,
    ) -> None:
        """End the legs of a call: settle them, reset their state, and call ``done`` with their reports.

        That call is made by the measuring thread, when all has been read that arrived before now, and before it reads
        what arrives later. ``withdraw``: what they sent after their last packet that came back is judged by nobody.
        ``lived``: the call is known to have been there to its end; else nothing is known of what was sent since its
        last sign of life.
        """
        self._retirements.append(_Retirement(legs, done, self._transport.now_ns(), withdraw, lived))
        self._wake.set()

    def received(self, legs: Sequence[int]) -> int:
        """Return how many packets have come for these legs."""
        return int(self._received[legs].sum())

    def outstanding(self, leg: int) -> int:
        """Return how many of a leg's probes were sent and have not come back to anybody; copies do not count."""
        window = self._transport.probe_window
        due = int(self._send_log.due_by([leg])[0])
        probes = np.arange(max(0, due - window), due)
        sent = self._send_log.was_sent(np.full(len(probes), leg, np.int32), probes)
        return int(np.count_nonzero(sent & (self._back[leg, probes % window] != probes)))

    def silent_legs(self, packets: int) -> NDArray[np.intp]:
        """Return the legs whose last so many packets have not come back to anybody."""
        return np.flatnonzero(self._send_log.due() - 1 - self._back.max(axis=1) >= packets)

    def deaf_legs(self, silence_ns: int) -> NDArray[np.intp]:
        """Return the legs that have sent for so long, or longer, and heard nothing since."""
        until_ns = self._transport.now_ns() - silence_ns
        sent = self._send_log.settled(until_ns, 0)
        return np.flatnonzero((sent > 0) & (self.life.heard_ns() <= until_ns))

    def _run(self) -> None:
        try:
            while not self._stopping:
                usual_s = POLL_S if self._listener is None else LISTENING_POLL_S
                wait_s = RETIRE_POLL_S if self._retirements else usual_s
                began_ns = self._transport.now_ns()
                self._wake.wait(wait_s)
                self._wake.clear()  # before reading, so that what is asked for meanwhile wakes us again
                self._note_stall(self._transport.now_ns() - began_ns - int(wait_s * 1e9))
                self._read()
                self._listen()
            self._finish()
        except BaseException as error:  # handed to the load, which raises it where the test can see it
            self.error = error

    def _listen(self) -> None:
        """Tell whoever listens how far all has been heard: also silence is something that one hears."""
        heard_ns = self._transport.now_ns() - HEARD_AFTER_NS
        if self._listener is not None and self._reader.knows(heard_ns):
            self._listener.advance(heard_ns)

    def _note_stall(self, late_ns: int) -> None:
        if late_ns >= STALL_NS:
            self._stalls.record_one(late_ns)

    def _read(self, *, to_the_end: bool = False) -> None:
        """Read what has arrived, second by second; end the calls whose packets have all been read."""
        self._reader.look(to_the_end=to_the_end)
        while True:
            leaving = self._leaving()
            stop_ns = min(leaving[-1].asked_ns if leaving else _NEVER_NS, self._second_end_ns)
            if to_the_end and stop_ns > self._transport.now_ns():
                stop_ns = _NEVER_NS
            for batch in self._reader.batches(stop_ns):
                self._observe(batch)
            if stop_ns == _NEVER_NS or not self._reader.knows(stop_ns):
                return
            read_ns = self._reader.read_until(stop_ns)
            if stop_ns == self._second_end_ns:
                self._end_second(read_ns)
            else:
                self._retire(leaving, read_ns)

    def _leaving(self) -> list[_Retirement]:
        """Return the next calls that end: all of which is known what came for them."""
        # By place: iterating would fail where another thread appends meanwhile.
        waiting = [self._retirements[place] for place in range(len(self._retirements))]
        return [one for one in waiting if self._reader.knows(one.asked_ns) and one.asked_ns < self._second_end_ns]

    def _end_second(self, read_ns: int) -> None:
        self._advance(read_ns)
        # After begin_at() one second is shorter, so that the others begin with the load.
        step_ns = (self._second_end_ns - self.begin_ns) % ADVANCE_NS
        self._second_end_ns += ADVANCE_NS - step_ns

    def _observe(self, batch: PacketBatch) -> None:
        groups = batch.by_leg
        self._received[groups.legs] += groups.counts
        first_ns = batch.arrival_ns[groups.order[groups.starts]]
        known = self._first_arrival_ns[groups.legs]
        self._first_arrival_ns[groups.legs] = np.where(known == 0, first_ns, known)
        probed = batch.sent_ns > 0
        self.life.hear(batch)
        arrival_ns = batch.arrival_ns[probed]
        self._courses.observe(
            batch.leg[probed], arrival_ns, arrival_ns - batch.sent_ns[probed], self._transport.now_ns()
        )
        numbers = batch.probe[probed]
        self._back[batch.source_leg[probed], numbers % self._back.shape[1]] = numbers
        self._trackers.observe(batch)
        if self._keeper is not None:
            self._keeper.observe(batch)
        if self._listener is not None:
            self._listener.observe(batch)

    def _finish(self) -> None:
        """Read all that is left, and settle it; what has not come by now, never will."""
        self._read(to_the_end=True)
        self._advance(self._transport.now_ns())

    def _advance(self, read_ns: int) -> None:
        """Let a second end; all that arrived before ``read_ns`` has been read."""
        self._exchange_reports()
        self._trackers.advance(read_ns)
        self._read_departures(self._second_end_ns)
        self._read_cpu(read_ns)
        self._read_loop_stalls()
        before, self._latest = self._latest, self._snapshot()
        self._date(self._second_end_ns - ADVANCE_NS // 2, before)

    def _date(self, middle_ns: int, before: Snapshot) -> None:
        """Note what has come to :meth:`latest` as this second's, apart from what trackers date otherwise themselves."""
        dated = self._trackers.take_dated()
        self._dated_names |= {name for _, values in dated for name in values}
        # What a tracker measured is gone when the tracker has failed.
        grown = self._latest - before.only(self._latest)
        here = {name: 0 if name in self._dated_names else value for name, value in grown.items()}
        self._dated.append((middle_ns, Snapshot(here)))
        self._dated.extend((at_ns, Snapshot(values)) for at_ns, values in dated)

    def _exchange_reports(self) -> None:
        self._trackers.observe_reports(self._transport.exchange_reports())

    def _retire(self, leaving: list[_Retirement], read_ns: int) -> None:
        legs = np.array([leg for call in leaving for leg in call.legs], np.int32)
        withdrawn = [leg for call in leaving if call.withdraw for leg in call.legs]
        self._withdraw(withdrawn)
        self.life.vouch([leg for call in leaving if call.lived for leg in call.legs], FOR_GOOD_NS)
        # Before the trackers' last words: what ended legs have sent is settled at once, whatever its age.
        self._send_log.close(legs)
        reports = self._last_words(legs, read_ns)
        self._trackers.release(legs)
        self._courses.release(legs)
        if self._listener is not None:
            self._listener.release(legs)
        # Until the loop has forgotten them, its memory still counts for the call that is over.
        self._send_log.hide(legs)
        self._first_arrival_ns[legs] = 0
        self._received[legs] = 0
        self._back[legs] = -1
        self.life.forget(legs)
        for call in leaving:
            self._retirements.remove(call)
            # Last: from here on the legs may be another call's.
            call.done([reports[leg] for leg in call.legs])

    def _withdraw(self, legs: list[int]) -> None:
        """Let what legs sent after their last packet that came back be nobody's."""
        judged = self._back[legs].max(axis=1) + 1  # 0 where none came back
        sent = self._send_log.sent_by(legs)
        self._send_log.withdraw(legs, judged)
        self._sent_after_end += int((sent - self._send_log.sent_by(legs)).sum())

    def _last_words(self, legs: NDArray[np.int32], read_ns: int) -> dict[int, LegReport]:
        """Let trackers decide on all that is open for these legs, and report on each."""
        self._exchange_reports()
        self._trackers.advance(read_ns)
        values = self._trackers.per_leg()
        return {leg: self._report(leg, values) for leg in legs.tolist()}

    def _report(self, leg: int, values: Mapping[str, NDArray[np.float64]]) -> LegReport:
        own = {name: float(column[leg]) for name, column in values.items() if not np.isnan(column[leg])}
        return LegReport(
            first_arrival_ns=int(self._first_arrival_ns[leg]),
            first_due_ns=int(self._send_log.due_ns(np.array([leg], np.int32), np.zeros(1, np.int64))[0]),
            sent=int(self._send_log.sent_by([leg])[0]),
            received=int(self._received[leg]),
            values=own,
            delay_course=self._courses.course(leg),
            kept=self._take_packets(leg),
            due=int(self._send_log.due_by([leg])[0]),
        )

    def _take_packets(self, leg: int) -> KeptPackets | None:
        if self._keeper is None:
            return None
        received = self._keeper.take(leg)
        self._keeper.reset(leg)
        sent = self._send_log.last_sent(leg, self._keeper.depth)
        return KeptPackets(received, sent.sent_ns, sent.due_ns, sent.first_turn)

    def _snapshot(self) -> Snapshot:
        health = self._transport.health()
        values: dict[str, Any] = {
            "harness.pacing_error": self._pacing,
            "harness.cpu": self._cpu,
            "harness.not_sent": self._not_sent,
            "harness.sent_after_end": self._sent_after_end,
            "harness.receive_drops": health.receive_drops,
            "harness.measuring_stall": self._stalls,
            "harness.media_stall": self._loop_stalls,
            "harness.clock_steps": health.clock_steps,
            "harness.foreign_packets": health.foreign,
            "harness.malformed_packets": health.malformed,
        }
        return Snapshot({**values, **health.more, **self._trackers.snapshot()})

    def _read_departures(self, until_ns: int) -> None:
        """Take the pacing error of every packet that was due before then."""
        departures = self._send_log.departures(until_ns)
        self._pacing.record(departures.late_ns)
        self._not_sent += departures.not_sent
        self.packets_sent += len(departures.late_ns)

    def _read_loop_stalls(self) -> None:
        health = self._transport.health()
        count, stalled_ns = health.stalls, health.stalled_ns
        seen, seen_ns = self._loop_stalls_seen
        for _ in range(count - seen):
            # their mean: the loop tells sums alone
            self._loop_stalls.record_one((stalled_ns - seen_ns) // (count - seen))
        self._loop_stalls_seen = (count, stalled_ns)

    def _read_cpu(self, now_ns: int) -> None:
        used_ns = self._transport.health().cpu_ns
        then_ns, used_then_ns = self._cpu_seen
        # The loop tells once a second, and once more at its end: over a shorter span that would be too much.
        if used_ns > used_then_ns and now_ns - then_ns >= ADVANCE_NS * 9 // 10:
            # in 1/10,000 of a core: histograms hold whole numbers
            self._cpu.record_one(10_000 * (used_ns - used_then_ns) // (now_ns - then_ns))
            self._cpu_seen = (now_ns, used_ns)
