"""The measuring thread on a memory that the test writes, with a tracker that tells what it was asked."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_ari_sla.media.measuring.measurer import LegReport, Measurer
from pytest_ari_sla.media.measuring.tracker_group import TrackerGroup
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.rtp_media.memory import Gauge
from pytest_ari_sla.rtp_media.ring_reader import RingReader, SourceTable
from pytest_ari_sla.rtp_media.send_log import MediaSendLog
from tests.unit.rtp_media.memories import NONCE, WINDOW, MemoryTransport, Schedule, make_memory
from tests.unit.rtp_media.ring import ASTERISK, OTHER_PORT, RingWriter, probe, rtp
from tests.unit.trackers.loads import FixedLog, context_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_ari_sla.rtp.packet_batch import PacketBatch


CONTEXT = context_of(FixedLog([0] * 6), range(6))


class Recorder:
    """A tracker that notes what it is asked, in order."""

    name = "recorder"
    metrics = (Metric("seen", "count", "count", "Packets"),)

    def __init__(self) -> None:
        self.heard: list[tuple[str, object]] = []
        self.seen = 0

    def __deepcopy__(self, memo: object) -> Recorder:
        """Let the test see what its own tracker heard."""
        return self

    def begin(self, context: object) -> None:
        """Nothing to prepare."""

    def observe(self, batch: PacketBatch) -> None:
        """Note which packets came."""
        self.heard.append(("observe", batch.sequence.tolist()))
        self.seen += len(batch)

    def advance(self, now_ns: int) -> None:
        """Note that time passes."""
        self.heard.append(("advance", None))

    def release(self, legs: NDArray[np.int32]) -> None:
        """Note which legs end."""
        self.heard.append(("release", legs.tolist()))

    def snapshot(self) -> dict[str, int]:
        """Tell how many packets there were."""
        return {"seen": self.seen}

    def per_leg(self) -> dict[str, NDArray[np.float64]]:
        """Tell each leg's number, and nothing of leg 0."""
        self.heard.append(("per_leg", None))
        return {"number": np.array([np.nan, 1, 2, 3, 4, 5])}


class Bench:
    """A measurer, its tracker, and who writes what it reads."""

    def __init__(self) -> None:
        self.memory = make_memory(ring_rows=64)
        self.ring = RingWriter(self.memory)
        self.schedule = Schedule(self.memory)
        self.tracker = Recorder()
        self.sources = SourceTable(sockets=2, legs=self.memory.layout.legs)
        self.log = MediaSendLog(self.memory)
        reader = RingReader(self.memory, self.log, self.sources, NONCE)
        self.trackers = TrackerGroup([self.tracker], {"recorder": "a plug-in"})
        self.trackers.begin(CONTEXT)
        transport = MemoryTransport(self.memory, self.log, reader, receive_drops=6)
        self.measurer = Measurer(transport, self.trackers, self.memory.layout.legs)

    def retire(self, *legs: int) -> list[LegReport]:
        """Retire legs and wait for their reports."""
        told: list[LegReport] = []
        is_told = threading.Event()

        def done(reports: list[LegReport]) -> None:
            told.extend(reports)
            is_told.set()

        self.measurer.retire(legs, done)
        self.ring.drained(self.memory.now_ns())
        assert is_told.wait(5)
        return told


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A bench whose measurer has not been started; leg 1 expects packets from ASTERISK by socket 0."""
    bench = Bench()
    bench.sources.expect(1, 0, ASTERISK)
    yield bench
    bench.memory.close()


def test_everything_that_arrived_is_measured_before_the_end(bench: Bench) -> None:
    """The final numbers hold the last packet, and time was let pass after it."""
    bench.measurer.start()
    bench.ring.write(rtp(7))
    bench.measurer.stop()
    assert bench.tracker.heard == [("observe", [7]), ("advance", None)]
    assert bench.measurer.latest().count("seen") == 1
    assert bench.measurer.error is None


def test_the_tools_own_numbers_are_told(bench: Bench) -> None:
    """Pacing error and unsent packets from the log, strangers from the reader, the rest from the loop's gauges."""
    bench.schedule.start(1)
    bench.schedule.turn(0, late_ns=700)
    bench.schedule.turn(0, unsent=(1,))
    bench.ring.write(rtp(), OTHER_PORT)
    bench.ring.write(b"junk")
    bench.memory.gauges[Gauge.CLOCK_STEPS] = 2
    bench.measurer.start()
    bench.measurer.stop()
    told = bench.measurer.latest()
    assert told.histogram("harness.pacing_error").count == bench.measurer.packets_sent == 1
    assert told.histogram("harness.pacing_error").max == 700
    assert told.count("harness.not_sent") == 1
    assert told.count("harness.foreign_packets") == 1
    assert told.count("harness.malformed_packets") == 1
    assert told.count("harness.clock_steps") == 2
    assert told.count("harness.receive_drops") == 6


def test_the_loops_processor_time_is_a_share_of_whole_seconds(bench: Bench) -> None:
    """What it used since its last word, told right after the end of a second, is no load of several cores."""
    then_ns, second_ns = bench.memory.now_ns(), 1_000_000_000
    bench.measurer._cpu_seen = then_ns, 0
    for at_ns, used_ns in ((second_ns, 300_000_000), (second_ns + 100_000_000, 550_000_000)):
        bench.memory.gauges[Gauge.CPU_NS] = used_ns
        bench.measurer._advance(then_ns + at_ns)
    cpu = bench.measurer.latest().histogram("harness.cpu")
    assert (cpu.count, cpu.max) == (1, 3000)


def test_a_snapshot_does_not_change_any_more(bench: Bench) -> None:
    """Only immutable numbers cross threads; the difference of two is what happened between them."""
    bench.schedule.start(1)
    bench.schedule.turn(0, late_ns=10)
    bench.measurer._advance(bench.memory.now_ns())
    first = bench.measurer.latest()
    bench.schedule.turn(0, late_ns=20)
    bench.measurer._advance(bench.memory.now_ns())
    assert first.histogram("harness.pacing_error").count == 1
    assert (bench.measurer.latest() - first).histogram("harness.pacing_error").count == 1


def test_a_leg_that_ends_is_settled_reported_and_released_in_this_order(bench: Bench) -> None:
    """What has arrived is observed first; per_leg is read when all is decided, and before it is forgotten."""
    bench.schedule.start(1)
    bench.schedule.turns(0, 2)
    bench.ring.write(rtp(payload=probe(1, 0)), arrival_ns=111)
    bench.ring.write(rtp(payload=probe(1, 1)), arrival_ns=222)
    bench.measurer.start()
    (report,) = bench.retire(1)
    bench.measurer.stop()
    assert (report.sent, report.received, report.first_arrival_ns) == (2, 2, 111)
    assert report.values == {"number": 1.0}
    heard = [what for what, _ in bench.tracker.heard]
    assert heard == ["observe", "advance", "per_leg", "release", "advance"]


def test_the_legs_of_a_call_are_ended_together(bench: Bench) -> None:
    """Each hears the other: one decision on both; what is not known of a leg is left out."""
    bench.measurer.start()
    reports = bench.retire(0, 4)
    bench.measurer.stop()
    assert [report.values for report in reports] == [{}, {"number": 4.0}]
    assert [entry for entry in bench.tracker.heard if entry[0] == "release"] == [("release", [0, 4])]


def test_packets_that_come_later_are_not_the_next_calls(bench: Bench) -> None:
    """Whoever is told of the end can take the address away before another packet is read."""
    done = threading.Event()

    def forget(reports: list[LegReport]) -> None:
        bench.sources.forget(0, ASTERISK)
        bench.ring.write(rtp(9))
        done.set()

    bench.measurer.start()
    bench.measurer.retire([1], forget)
    bench.ring.drained(bench.memory.now_ns())
    assert done.wait(5)
    bench.measurer.stop()
    assert bench.measurer.received([1]) == 0
    assert bench.tracker.seen == 0
    assert bench.measurer.latest().count("harness.foreign_packets") == 1


def test_outstanding_are_probes_that_were_sent_and_are_not_back(bench: Bench) -> None:
    """Copies, packets that never left and those of other legs do not count; the window may wrap."""
    bench.schedule.start(1)
    bench.schedule.start(2)
    bench.schedule.turns(0, WINDOW)
    bench.schedule.turn(0, unsent=(1,))
    bench.schedule.turns(0, 2)
    turns = [WINDOW + 2, WINDOW + 2, WINDOW + 2, WINDOW - 1]
    for turn in turns:
        bench.ring.write(rtp(payload=probe(1, turn)))
    bench.measurer.start()
    bench.measurer.stop()
    # Of the window's 8 probes one never left and two are back.
    assert bench.measurer.outstanding(1) == WINDOW - 3
    assert bench.measurer.outstanding(2) == WINDOW
    assert bench.measurer.outstanding(3) == 0


def test_a_tracker_that_fails_is_left_out(bench: Bench) -> None:
    """The rest is measured; whose mistake it was is remarked."""

    def broken(now_ns: int) -> None:
        raise KeyError("gone")

    bench.tracker.advance = broken  # type: ignore[method-assign]
    bench.measurer.start()
    bench.ring.write(rtp(7))
    bench.measurer.stop()
    assert bench.measurer.error is None
    assert bench.measurer.latest().count("harness.trackers_failed") == 1
    assert "seen" not in bench.measurer.latest()
    assert bench.trackers.remarks() == [
        "tracker 'recorder' of a plug-in failed in advance() and was left out: KeyError: 'gone'"
    ]
