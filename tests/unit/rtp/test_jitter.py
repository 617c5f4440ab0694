from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.rtp.jitter import JUMP_NS, JitterEstimator
from tests.unit.batches import MILLISECOND, START_NS, Packet, batch_of, batch_sizes, split, streams


class SlowJitter:
    """A.8 of RFC 3550 for one leg: a loop over packets, in floating point."""

    def __init__(self, clock_rate_hz: int) -> None:
        self.clock_rate_hz = clock_rate_hz
        self.last: Packet | None = None
        self.jitter = math.nan

    def take(self, packet: Packet) -> None:
        """Take in one packet."""
        if packet.payload_type == 101:
            return
        if self.last is None or self.last.ssrc != packet.ssrc:
            self.jitter = math.nan
        else:
            ticks = (packet.timestamp - self.last.timestamp + 2**31) % 2**32 - 2**31
            transit = (packet.arrival_ns - self.last.arrival_ns) * self.clock_rate_hz / 1e9 - ticks
            before = 0.0 if math.isnan(self.jitter) else self.jitter
            if self.has_jumped(packet, ticks, transit):
                transit = 0.0
            self.jitter = before + (abs(transit) - before) / 16
        self.last = packet

    def has_jumped(self, packet: Packet, ticks: int, transit: float) -> bool:
        """Whether neither arrival nor sequence number explains the time stamp."""
        assert self.last is not None
        numbers = (packet.sequence - self.last.sequence + 2**15) % 2**16 - 2**15
        limit = JUMP_NS * self.clock_rate_hz / 1e9
        return abs(transit) > limit and abs(ticks - numbers * self.clock_rate_hz * 0.02) > limit


def stream(arrivals_ms: list[float], *, clock_rate_hz: int = 8000, first_timestamp: int = 0) -> list[Packet]:
    """Return packets of leg 0 sent every 20 ms."""
    ticks = clock_rate_hz // 50
    return [
        Packet(
            sequence=number,
            timestamp=(first_timestamp + number * ticks) % 2**32,
            arrival_ns=START_NS + round(arrival * MILLISECOND),
        )
        for number, arrival in enumerate(arrivals_ms)
    ]


def jitter_after(packets: list[Packet], size: int = 1000, clock_rate_hz: int = 8000) -> float:
    """Return leg 0's jitter in ticks."""
    estimator = JitterEstimator(1, clock_rate_hz)
    for batch in split(packets, [size]):
        estimator.update(batch)
    return float(estimator.jitter_ticks()[0])


@given(streams(legs=3), batch_sizes(), st.sampled_from([8000, 16000, 48000, 90000]))
def test_batches_of_any_split_agree_with_the_loop(packets: list[Packet], sizes: list[int], clock_rate_hz: int) -> None:
    """Wrapped time stamps, reordering, duplicates and new sources give what A.8 gives packet by packet."""
    slow = [SlowJitter(clock_rate_hz) for _ in range(3)]
    for packet in packets:
        slow[packet.leg].take(packet)
    estimator = JitterEstimator(3, clock_rate_hz)
    for batch in split(packets, sizes):
        estimator.update(batch)
    expected = [leg.jitter for leg in slow]
    np.testing.assert_allclose(estimator.jitter_ticks(), expected, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_one_packet_that_is_late(size: int) -> None:
    """Five ms of delay once: 2.5 ticks, more when the next packet closes up, then a slow decline."""
    packets = stream([0, 20, 45, 60, 80])
    courses = [jitter_after(packets[:count], size) for count in range(2, 6)]
    assert courses == pytest.approx([0, 2.5, 4.84375, 4.541015625])


def test_constant_spacing_has_no_jitter() -> None:
    """Packets as regular as they were sent give exactly 0."""
    assert jitter_after(stream([20.0 * number for number in range(100)])) == 0


def test_alternating_delay_tends_to_its_size() -> None:
    """Every other packet 5 ms late: 25.757 ticks after 16 deviations, and 40 ticks (5 ms) in the end."""
    arrivals = [20.0 * number + 5 * (number % 2) for number in range(600)]
    assert jitter_after(stream(arrivals[:17])) == pytest.approx(25.757, abs=5e-4)
    assert jitter_after(stream(arrivals)) == pytest.approx(40)


def test_more_packets_than_the_table_of_weights_holds() -> None:
    """Five thousand packets of one leg in one batch come out as in small batches."""
    arrivals = [20.0 * number + 3 * (number % 3) for number in range(5000)]
    assert jitter_after(stream(arrivals), 5000) == pytest.approx(jitter_after(stream(arrivals), 10), rel=1e-12)


def test_the_wrap_of_the_time_stamp_is_not_jitter() -> None:
    """After 2^32 ticks the stamp starts at 0; the stream does not."""
    arrivals = [20.0 * number for number in range(10)]
    assert jitter_after(stream(arrivals, first_timestamp=2**32 - 500)) == 0


def test_jitter_is_a_time_whatever_the_clock_rate() -> None:
    """The same delays give the same ns for 8 kHz and for Opus' 48 kHz."""
    arrivals = [0, 20, 45, 60, 80]
    for clock_rate_hz in (8000, 48000):
        estimator = JitterEstimator(1, clock_rate_hz)
        estimator.update(batch_of(stream([*map(float, arrivals)], clock_rate_hz=clock_rate_hz)))
        assert estimator.jitter_ns()[0] == pytest.approx(4.541015625 / 8000 * 1e9)


def test_dtmf_digits_are_not_jitter() -> None:
    """All packets of a digit repeat one time stamp: they are left out, and audio goes on after them."""
    packets = stream([20.0 * number for number in range(20)])
    digit = [packet._replace(payload_type=101, timestamp=800) for packet in packets[5:10]]
    assert jitter_after(packets[:5] + digit + packets[10:]) == 0
    estimator = JitterEstimator(1, 8000, excluded_payload_types=())
    estimator.update(batch_of(packets[:5] + digit + packets[10:]))
    assert estimator.jitter_ticks()[0] > 1


def test_a_new_source_starts_without_jitter() -> None:
    """What another SSRC had is forgotten, at the SSRC's first packet already."""
    bumpy = stream([0, 20, 45, 60])
    fresh = [packet._replace(ssrc=2, arrival_ns=packet.arrival_ns + 10**9) for packet in stream([0, 20])]
    assert math.isnan(jitter_after(bumpy + fresh[:1]))
    assert jitter_after(bumpy + fresh) == 0


def test_a_released_leg_knows_nothing() -> None:
    """A later call on the leg starts without the earlier one's jitter; other legs keep theirs."""
    estimator = JitterEstimator(2, 8000)
    bumpy = stream([0, 20, 45, 60])
    estimator.update(batch_of([*bumpy, *(packet._replace(leg=1) for packet in bumpy)]))
    estimator.reset(np.array([0], np.int32))
    assert np.isnan(estimator.jitter_ticks()).tolist() == [True, False]


def test_no_packet_gives_no_jitter() -> None:
    """An empty batch, or one of DTMF only, leaves jitter unknown."""
    estimator = JitterEstimator(1, 8000)
    estimator.update(batch_of([]))
    estimator.update(batch_of([Packet(payload_type=101)]))
    assert np.isnan(estimator.jitter_ticks()).all()


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("jump", [1_000_000, -1_000_000, 2**31, 8000])
def test_a_time_stamp_that_jumps_is_counted_and_no_jitter(jump: int, size: int) -> None:
    """The network has not changed: neither has the jitter."""
    packets = stream([20.0 * number + number % 2 for number in range(100)])
    jumped = [
        packet._replace(timestamp=(packet.timestamp + jump * (number >= 50)) % 2**32)
        for number, packet in enumerate(packets)
    ]
    estimator = JitterEstimator(1, 8000)
    for batch in split(jumped, [size]):
        estimator.update(batch)
    assert estimator.jumps == 1
    assert estimator.jitter_ticks()[0] == pytest.approx(8, abs=0.5)
    assert estimator.clock_speed()[0] == 1


def test_silence_that_is_not_sent_is_no_jump() -> None:
    """With silence suppression the time stamp goes on by the clock, while numbers stand still."""
    packets = stream([20.0 * number for number in range(50)])
    later = [
        packet._replace(timestamp=packet.timestamp + 40_000, arrival_ns=packet.arrival_ns + 5 * 10**9)
        for packet in packets
    ]
    talk = packets + [
        packet._replace(
            sequence=packet.sequence + 50, timestamp=packet.timestamp + 8000, arrival_ns=packet.arrival_ns + 10**9
        )
        for packet in later
    ]
    assert jitter_after(talk) == pytest.approx(0, abs=1e-6)


def test_a_packet_that_was_held_up_is_jitter_and_no_jump() -> None:
    """Two seconds late, then in a burst with what was behind it."""
    packets = stream([20.0 * number if number < 50 else max(20.0 * number, 3000.0) for number in range(200)])
    estimator = JitterEstimator(1, 8000)
    estimator.update(batch_of(packets[:51]))
    assert estimator.jumps == 0
    assert estimator.jitter_ticks()[0] == pytest.approx((3000 - 1000) * 8 / 16)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    ("clock_rate_hz", "sent_with_hz", "speed"),
    [(8000, 16000, 2.0), (16000, 8000, 0.5), (48000, 8000, 1 / 6), (8000, 48000, 6.0), (8000, 8000, 1.0)],
)
def test_time_stamps_of_another_clock_are_known_by_their_speed(
    clock_rate_hz: int, sent_with_hz: int, speed: float, size: int
) -> None:
    """As G.722 that counts its samples, which RFC 3551 (4.5.2) forbids."""
    estimator = JitterEstimator(1, clock_rate_hz)
    for batch in split(stream([20.0 * number for number in range(100)], clock_rate_hz=sent_with_hz), [size]):
        estimator.update(batch)
    assert estimator.clock_speed().tolist() == [pytest.approx(speed)]
    assert estimator.jumps == 0


def test_neither_longer_packets_nor_a_stall_look_like_another_clock() -> None:
    """Packets of 40 ms have twice the ticks of 20 ms; what comes a second late has come at half the speed."""
    longer = [
        packet._replace(timestamp=2 * packet.timestamp) for packet in stream([40.0 * number for number in range(100)])
    ]
    stalled = stream([20.0 * number if number < 50 else 20.0 * number + 1000 for number in range(100)])
    for packets in (longer, stalled):
        estimator = JitterEstimator(1, 8000)
        estimator.update(batch_of(packets))
        assert estimator.clock_speed().tolist() == [1.0]
