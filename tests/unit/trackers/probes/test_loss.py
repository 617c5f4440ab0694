from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.trackers.probes.loss import LossTracker
from tests.unit.batches import MILLISECOND, Packet, batch_of, batch_sizes, split
from tests.unit.rtp.test_loss_patterns import bursts_by_definition
from tests.unit.trackers.loads import LOSS_LIMIT_NS, FixedLog, Load, context_of, echo, intended_ns, loads

if TYPE_CHECKING:
    from numpy.typing import NDArray


def by_definition(load: Load) -> Counter[str]:
    """Count by definition: look every probe up among all packets that came."""
    counts: Counter[str] = Counter()
    for leg, source in enumerate(load.heard_leg):
        if source < 0:
            continue
        marks = ""
        for probe in range(load.log.packets[source]):
            copies = [p for p in load.packets if (p.leg, p.source_leg, p.probe) == (leg, source, probe)]
            in_time = [p for p in copies if p.arrival_ns - p.intended_ns < LOSS_LIMIT_NS]
            counts["duplicates"] += max(len(in_time) - 1, 0)
            if (source, probe) not in load.log.unsent:
                marks += "1" if in_time else "0"
        bursts = bursts_by_definition(marks, 16)
        counts["loss.sent"] += len(marks)
        counts["loss.lost"] += marks.count("0")
        counts["loss.bursts"] += bursts["bursts"]
        counts["loss.burst_lost"] += bursts["lost"]
        counts["loss.burst_packets"] += bursts["packets"]
        counts["loss.periods"] += len([run for run in marks.split("1") if run])
        counts["misrouted"] += sum(p.leg == leg and p.source_leg not in (source, -1) for p in load.packets)
    return +counts


def counted(load: Load, sizes: list[int], *, advance: bool = True) -> Counter[str]:
    """Return what the tracker counts."""
    tracker = LossTracker()
    load.run(tracker, sizes, advance=advance)
    return +Counter({name: value for name, value in tracker.snapshot().items() if isinstance(value, int)})


@given(loads(), batch_sizes())
def test_probes_in_any_batches_are_counted_as_by_definition(load: Load, sizes: list[int]) -> None:
    """Unsent, lost, late, doubled and stray probes, in echo and pair: every count is what looking each up gives."""
    load.packets = [packet for packet in load.packets if load.heard_leg[packet.leg] >= 0]
    if -1 in load.heard_leg:
        load.log.packets[2] = 0
    found = counted(load, sizes)
    expected = by_definition(load)
    expected["loss.received"] = expected["loss.sent"] - expected["loss.lost"]
    del found["loss.noticeable"]
    assert found == +expected


@given(loads(), batch_sizes())
def test_batches_of_any_split_count_like_single_packets(load: Load, sizes: list[int]) -> None:
    """Also on legs without probes."""
    assert counted(load, sizes) == counted(load, [1])


def echoes(*probes: int) -> Load:
    """Return a load of one leg to which, of probes 0 to 30, these came back at once."""
    return Load(FixedLog([30]), [0], [echo(probe) for probe in probes])


def test_what_we_did_not_send_is_not_lost() -> None:
    """Packets that a stall of our own swallowed are neither sent nor lost, and do not split a burst."""
    load = echoes(*range(10), *range(20, 30))
    load.log.unsent = {(0, probe) for probe in range(11, 19)}
    counts = counted(load, [100])
    assert (counts["loss.sent"], counts["loss.lost"], counts["loss.bursts"]) == (22, 2, 1)
    assert (counts["loss.burst_packets"], counts["loss.periods"]) == (2, 1)


def test_a_probe_is_lost_only_after_the_limit() -> None:
    """One nanosecond before its limit it may still come; from then on it is lost."""
    tracker = LossTracker()
    tracker.begin(context_of(FixedLog([1]), [0]))
    tracker.advance(intended_ns(0) + LOSS_LIMIT_NS - 1)
    assert tracker.snapshot()["loss.sent"] == 0
    tracker.advance(intended_ns(0) + LOSS_LIMIT_NS)
    assert (tracker.snapshot()["loss.sent"], tracker.snapshot()["loss.lost"]) == (1, 1)


@pytest.mark.parametrize(("delay_ms", "lost"), [(99.999, 29), (100.0, 30)])
def test_a_probe_that_is_back_too_late_is_lost(delay_ms: float, lost: int) -> None:
    """A probe that takes as long as the limit has missed it."""
    load = Load(FixedLog([30]), [0], [echo(5, delay_ms)])
    assert counted(load, [1])["loss.lost"] == lost


def test_of_a_probe_whose_times_are_forgotten_nothing_is_known() -> None:
    """The send log keeps a window only: of what is read later than that, nobody knows whether it came in time."""
    load = Load(FixedLog([1]), [0], [echo(0)._replace(sent_ns=0, intended_ns=0)])
    assert counted(load, [1]) == {"loss.unknown": 1}


def test_where_nobody_tells_that_all_has_been_read_nothing_is_lost() -> None:
    """What is missing may still lie unread: it is unknown. What is back is received, also beyond the window."""
    load = Load(FixedLog([200]), [0], [echo(probe) for probe in range(200) if probe % 10])
    assert counted(load, [3], advance=False) == {"loss.sent": 180, "loss.received": 180, "loss.unknown": 20}
    assert counted(load, [3])["loss.lost"] == 20


def test_a_probe_that_was_never_due_is_no_probe_of_ours() -> None:
    """A damaged number far ahead is counted as astray, and harms nothing else."""
    load = Load(FixedLog([5]), [0], [*(echo(probe) for probe in range(5)), echo(4, 2.0)._replace(probe=4_000_000)])
    assert counted(load, [10]) == {"loss.sent": 5, "loss.received": 5, "misrouted": 1}


def test_release_settles_a_leg_and_makes_room_for_the_next_call() -> None:
    """What is missing is lost; the next call's probe 0 is a new one; other legs go on."""
    tracker = LossTracker()
    log = FixedLog([3, 3])
    tracker.begin(context_of(log, [0, 1]))
    tracker.observe(batch_of([echo(0), echo(1), echo(0, leg=1), echo(1, leg=1), echo(2, leg=1)]))
    tracker.advance(intended_ns(2) + LOSS_LIMIT_NS)
    tracker.release(np.array([0], np.int32))
    assert (tracker.snapshot()["loss.sent"], tracker.snapshot()["loss.lost"]) == (6, 1)
    assert np.isnan(tracker.per_leg()["loss.ratio"][0])
    tracker.observe(batch_of([echo(0), echo(1), echo(2)]))
    tracker.release(np.array([0, 1], np.int32))
    assert (tracker.snapshot()["loss.sent"], tracker.snapshot()["loss.lost"]) == (9, 1)
    assert tracker.snapshot()["duplicates"] == 0


def test_losses_of_two_calls_are_no_burst() -> None:
    """The last packet of one call and the first of the next on the same leg have nothing to do with each other."""
    tracker = LossTracker()
    tracker.begin(context_of(FixedLog([3]), [0]))
    for returned in ((0, 1), (1, 2)):
        tracker.observe(batch_of([echo(probe) for probe in returned]))
        tracker.advance(intended_ns(2) + LOSS_LIMIT_NS)
        tracker.release(np.zeros(1, np.int32))
    counts = tracker.snapshot()
    assert (counts["loss.lost"], counts["loss.periods"], counts["loss.bursts"]) == (2, 2, 0)


def test_values_of_single_legs() -> None:
    """Each leg's own packets and losses, in the metrics' units."""
    load = Load(FixedLog([4, 0, 8]), [0, 1, 2], [echo(0), echo(1), *(echo(probe, leg=2) for probe in range(8))])
    tracker = LossTracker()
    load.run(tracker, [100], release=False)
    values = {name: column.tolist() for name, column in tracker.per_leg().items()}
    assert values["loss.sent"] == pytest.approx([4, np.nan, 8], nan_ok=True)
    assert values["loss.lost"] == pytest.approx([2, np.nan, 0], nan_ok=True)
    assert values["loss.ratio"] == pytest.approx([0.5, np.nan, 0], nan_ok=True)


class TestLegsWithoutProbes:
    """Audio that Asterisk mixes or transcodes is judged by its sequence numbers."""

    @staticmethod
    def mixed(*sequence: int, sent: int = 30) -> Load:
        """Return a load of one leg that hears a mix with these sequence numbers."""
        packets = [Packet(sequence=number, arrival_ns=intended_ns(turn)) for turn, number in enumerate(sequence)]
        return Load(FixedLog([sent]), [-1], packets)

    def test_missing_numbers_are_lost(self) -> None:
        """Two of thirty missing, across the wrap-around."""
        numbers = [number % 65536 for number in range(65520, 65550) if number not in (65535, 65540)]
        counts = counted(self.mixed(*numbers), [7])
        assert counts == {"loss.sent": 30, "loss.received": 28, "loss.lost": 2}

    def test_late_and_doubled_numbers_are_not_lost(self) -> None:
        """A number that turns up late is received; a second copy is a duplicate, and no packet more."""
        counts = counted(self.mixed(1, 2, 4, 3, 3, 5, sent=6), [2])
        assert counts == {"loss.sent": 5, "loss.received": 5, "duplicates": 1}

    def test_a_leg_that_hears_nothing_at_all_loses_what_it_sends(self) -> None:
        """Less what may still be answered within the loss limit."""
        in_flight = LOSS_LIMIT_NS // (20 * MILLISECOND)
        assert counted(self.mixed(), [1]) == {"loss.sent": 30 - in_flight, "loss.lost": 30 - in_flight}

    def test_an_application_that_is_silent_for_a_while_has_lost_nothing(self) -> None:
        """It greets, sends nothing until it answers, and nothing after that; a number that is missing is lost."""
        log = FixedLog([300])
        tracker = LossTracker()
        tracker.begin(replace(context_of(log, [-1]), audio_legs=np.array([[-1]], np.int32)))
        turns = [*range(50), *range(200, 230), *range(231, 250)]
        packets = [Packet(sequence=turn - 150 * (turn >= 200), arrival_ns=intended_ns(turn)) for turn in turns]
        for batch in split(packets, [7]):
            tracker.observe(batch)
            tracker.advance(int(batch.arrival_ns[-1]))
        tracker.advance(intended_ns(300))
        tracker.release(np.zeros(1, np.int32))
        assert {name: tracker.snapshot()[name] for name in ("loss.received", "loss.lost")} == {
            "loss.received": 99,
            "loss.lost": 1,
        }

    def test_a_leg_of_a_late_call_has_lost_nothing_before_its_first_packet(self) -> None:
        """It says the same as the legs that were there long before it: its audio began with theirs."""

        class LateLog(FixedLog):
            def audio_start_ns(self) -> NDArray[np.int64]:
                return super().audio_start_ns() - 100 * LOSS_LIMIT_NS

        packets = [Packet(sequence=turn, arrival_ns=intended_ns(turn)) for turn in range(30)]
        load = Load(LateLog([30]), [-1], packets)
        assert counted(load, [7]) == {"loss.sent": 30, "loss.received": 30}

    def test_what_we_did_not_send_is_not_expected(self) -> None:
        """A leg that sent nothing has lost nothing."""
        load = self.mixed()
        load.log.unsent = {(0, probe) for probe in range(30)}
        assert counted(load, [1]) == {}

    def test_probes_heard_by_chance_change_nothing(self) -> None:
        """Where no probe is expected, one that is heard is a packet like others."""
        load = Load(FixedLog([2, 0]), [-1, 1], [echo(0), echo(1)])
        assert counted(load, [1]) == {"loss.sent": 2, "loss.received": 2}

    @pytest.mark.parametrize("size", [1, 3, 1000])
    @pytest.mark.parametrize(("first", "ssrc"), [(500, 2), (10_500, 2), (500, 1), (1000, 1)])
    def test_what_a_silence_has_cost_stays_lost(self, size: int, first: int, ssrc: int) -> None:
        """Ten seconds without a packet, whatever source and numbers go on afterwards: no count ever falls."""
        heard = [*range(500), *range(1000, 1500)]
        packets = [
            Packet(
                sequence=turn if turn < 500 else turn - 1000 + first,
                ssrc=1 if turn < 500 else ssrc,
                arrival_ns=intended_ns(turn),
            )
            for turn in heard
        ]
        tracker, log = LossTracker(), FixedLog([0])
        tracker.begin(context_of(log, [-1]))
        lost = []
        for second in range(1, 31):
            log.packets = [50 * second]
            arrived = [packet for packet in packets if 50 * (second - 1) <= turn_of(packet) < 50 * second]
            for batch in split(arrived, [size]):
                tracker.observe(batch)
            tracker.advance(intended_ns(50 * second))
            lost.append(lost_so_far(tracker))
        tracker.release(np.zeros(1, np.int32))
        snapshot = tracker.snapshot()
        in_flight = LOSS_LIMIT_NS // (20 * MILLISECOND)
        assert lost == sorted(lost)
        assert lost[9] == 0
        assert 500 - 2 * in_flight <= lost[19] <= 500
        assert (snapshot["loss.received"], snapshot["loss.lost"]) == (1000, 500)

    def test_a_number_is_lost_when_it_can_no_longer_come_in_time(self) -> None:
        """Late packets take nothing back: they were not lost yet."""
        tracker = LossTracker()
        tracker.begin(context_of(FixedLog([10]), [-1]))
        lost = []
        for turn, number in enumerate((0, 2, 1, 3, 5, 6, 7, 8, 9, 10, 11)):
            tracker.observe(batch_of([Packet(sequence=number, arrival_ns=intended_ns(turn))]))
            tracker.advance(intended_ns(turn + 1))
            lost.append(lost_so_far(tracker))
        assert lost == [0] * 9 + [1] * 2

    @given(st.integers(1, 20))
    def test_a_release_keeps_the_counts(self, received: int) -> None:
        """What a leg received and lost stays when the leg is forgotten."""
        tracker = LossTracker()
        load = self.mixed(*range(0, 2 * received, 2), sent=2 * received)
        load.run(tracker, [5], release=False)
        before = tracker.snapshot()
        assert tracker.per_leg()["loss.lost"].tolist() == [before["loss.lost"]]
        tracker.release(load.legs)
        assert tracker.snapshot() == before
        assert np.isnan(tracker.per_leg()["loss.lost"]).all()


def lost_so_far(tracker: LossTracker) -> int:
    """Return how many packets a tracker calls lost now."""
    lost = tracker.snapshot()["loss.lost"]
    assert isinstance(lost, int)
    return lost


def turn_of(packet: Packet) -> int:
    """Return in which packet time a packet has arrived."""
    return (packet.arrival_ns - intended_ns(0)) // (20 * MILLISECOND)


class Drops:
    """Our own receive buffers."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> int:
        """Tell how many packets they had no room for."""
        return self.count


def test_what_our_own_buffers_dropped_is_no_loss() -> None:
    """As many of the missing packets as were dropped here came back; sent ones are received, dropped or lost."""
    tracker, drops = LossTracker(), Drops()
    tracker.begin(context_of(FixedLog([20]), [0], receive_drops=drops))
    tracker.observe(batch_of([echo(probe) for probe in range(13)]))
    drops.count = 5
    tracker.advance(intended_ns(20) + LOSS_LIMIT_NS)
    snapshot = tracker.snapshot()
    names = ("loss.sent", "loss.received", "loss.dropped_here", "loss.lost")
    assert [snapshot[name] for name in names] == [20, 13, 5, 2]


def test_more_drops_than_missing_packets_explain_no_more_than_are_missing() -> None:
    """Strangers' packets and copies find the buffer full as well."""
    tracker, drops = LossTracker(), Drops()
    drops.count = 50
    tracker.begin(context_of(FixedLog([10]), [0], receive_drops=drops))
    tracker.observe(batch_of([echo(probe) for probe in range(7)]))
    tracker.advance(intended_ns(10) + LOSS_LIMIT_NS)
    tracker.release(np.array([0], np.int32))
    snapshot = tracker.snapshot()
    assert (snapshot["loss.dropped_here"], snapshot["loss.lost"]) == (3, 0)


def test_a_loss_that_was_told_is_not_taken_back_by_later_drops() -> None:
    """Counts never fall: what a drop explains is missing no earlier than the drop."""
    tracker, drops = LossTracker(), Drops()
    tracker.begin(context_of(FixedLog([10]), [0], receive_drops=drops))
    tracker.advance(intended_ns(4) + LOSS_LIMIT_NS)
    assert tracker.snapshot()["loss.lost"] == 5
    drops.count = 100
    tracker.advance(intended_ns(9) + LOSS_LIMIT_NS)
    snapshot = tracker.snapshot()
    assert (snapshot["loss.dropped_here"], snapshot["loss.lost"]) == (5, 5)


def test_drops_explain_gaps_in_what_legs_without_probes_hear() -> None:
    """A mix that arrives with gaps while our buffer overflows was not lost on its way."""
    tracker, drops = LossTracker(), Drops()
    tracker.begin(context_of(FixedLog([10]), [-1], receive_drops=drops))
    tracker.observe(batch_of([Packet(sequence=number) for number in (0, 1, 2, 6, 7)]))
    drops.count = 3
    tracker.advance(intended_ns(10))
    tracker.advance(intended_ns(10) + LOSS_LIMIT_NS)
    snapshot = tracker.snapshot()
    assert (snapshot["loss.dropped_here"], snapshot["loss.lost"], snapshot["loss.received"]) == (3, 0, 5)


class Life:
    """A load on which nothing came back after probe 9, and until when its call is known to have lived."""

    def __init__(self, heard_leg: int) -> None:
        self.alive_ns = np.full(1, intended_ns(9))
        packets = [echo(probe) if heard_leg == 0 else echo(probe)._replace(source_leg=-1) for probe in range(10)]
        log = FixedLog([10])
        self.tracker = LossTracker()
        self.tracker.begin(replace(context_of(log, [heard_leg], 256), alive_ns=lambda: self.alive_ns))
        for batch in split(packets, [100]):
            self.tracker.observe(batch)
        self.tracker.advance(intended_ns(10))
        log.packets[0] = 100

    def lost(self, now_ns: int) -> int:
        """Return what is lost at a time."""
        self.tracker.advance(now_ns)
        lost = self.tracker.snapshot()["loss.lost"]
        assert isinstance(lost, int)
        return lost


@pytest.mark.parametrize("heard_leg", [0, -1], ids=["probed", "unprobed"])
def test_a_silence_is_a_loss_as_far_as_the_call_is_known_to_have_lived(heard_leg: int) -> None:
    """Also later than the loss limit; each sign of life tells of what was sent before it."""
    life = Life(heard_leg)
    assert life.lost(intended_ns(60)) == 0
    life.alive_ns[:] = intended_ns(30) + 2 * MILLISECOND
    assert life.lost(intended_ns(60)) == 21
    assert life.lost(intended_ns(70)) == 21


def test_of_what_was_sent_after_the_last_sign_of_life_nothing_is_known() -> None:
    """Where the leg ends, and where there is no more room to wait for another sign."""
    life = Life(0)
    assert life.lost(intended_ns(9 + 200)) == 0
    life.tracker.release(np.zeros(1, np.int32))
    counts = life.tracker.snapshot()
    assert (counts["loss.lost"], counts["loss.unknown"], counts["loss.sent"]) == (0, 90, 10)
