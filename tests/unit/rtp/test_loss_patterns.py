from __future__ import annotations

from collections import Counter
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.rtp.loss_patterns import LossPatterns, LossSpread

# RFC 3611's own example and one more, 10 ms a packet: 0 is lost, X is discarded.
SHORT_CALL = "111011100011X"
RFC_CALL = "11110111111111111111111X111X1011110111111111111111111X1111111111"


def spread_of(marks: str, gmin: int = 16, split_at: int = 0) -> LossSpread:
    """Return how the losses of one leg are spread, taken in one update or in two."""
    positions = np.array([position for position, mark in enumerate(marks) if mark in "0X"], np.int64)
    legs = np.zeros(len(positions), np.int32)
    patterns = LossPatterns(1, gmin)
    first = patterns.update(legs[:split_at], positions[:split_at])
    second = patterns.update(legs[split_at:], positions[split_at:])
    joined = [np.concatenate([getattr(first, f.name), getattr(second, f.name)]) for f in fields(LossSpread)]
    return LossSpread(*joined)


def bursts_by_definition(marks: str, gmin: int) -> Counter[str]:
    """Return RFC 3611's bursts: split the losses wherever gmin packets in a row were received, keep two and more."""
    clusters: list[list[int]] = []
    for position in (position for position, mark in enumerate(marks) if mark in "0X"):
        if clusters and position - clusters[-1][-1] - 1 < gmin:
            clusters[-1].append(position)
        else:
            clusters.append([position])
    bursts = [cluster for cluster in clusters if len(cluster) > 1]
    return Counter(
        bursts=len(bursts),
        lost=sum(len(cluster) for cluster in bursts),
        packets=sum(cluster[-1] - cluster[0] + 1 for cluster in bursts),
    )


def bursts_found(spread: LossSpread) -> Counter[str]:
    """Return the same from what was found."""
    return Counter(
        bursts=int(spread.opens_burst.sum()), lost=int(spread.burst_lost.sum()), packets=int(spread.burst_packets.sum())
    )


def test_the_example_of_rfc_3611() -> None:
    """One burst of 12 packets (120 ms) with 4 losses: density 85/256; the gaps hold 2 of 52: 9/256."""
    burst = bursts_found(spread_of(RFC_CALL))
    assert burst == {"bursts": 1, "lost": 4, "packets": 12}
    assert 256 * burst["lost"] // burst["packets"] == 85
    losses = sum(mark in "0X" for mark in RFC_CALL)
    assert 256 * (losses - burst["lost"]) // (len(RFC_CALL) - burst["packets"]) == 9


def test_a_short_call_with_a_small_gmin() -> None:
    """With Gmin 2, three losses in a row are a burst of 30 ms and density 1; single losses belong to the gaps."""
    burst = bursts_found(spread_of(SHORT_CALL, gmin=2))
    assert burst == {"bursts": 1, "lost": 3, "packets": 3}
    assert 256 * (5 - burst["lost"]) // (len(SHORT_CALL) - burst["packets"]) == 51


@pytest.mark.parametrize(
    ("marks", "bursts"),
    [("0" + "1" * 15 + "0", 1), ("0" + "1" * 16 + "0", 0), ("0", 0), ("00", 1), ("1111", 0)],
)
def test_gmin_received_packets_separate_two_losses(marks: str, bursts: int) -> None:
    """Fifteen received packets between two losses are within a burst; sixteen are a gap."""
    assert bursts_found(spread_of(marks))["bursts"] == bursts


def test_the_example_of_rfc_3357() -> None:
    """Distances 0, 2, 1, 4, 6 in periods 1, 2, 2, 3, 4; two of five losses are noticeable at distance 2."""
    spread = spread_of("1101001110111110")
    assert spread.distance.tolist() == [0, 2, 1, 4, 6]
    assert np.cumsum(spread.opens_period).tolist() == [1, 2, 2, 3, 4]
    assert int(((spread.distance > 0) & (spread.distance <= 2)).sum()) == 2


@given(st.text("0X1111", max_size=120), st.integers(1, 6), st.integers(0, 120))
def test_any_pattern_in_any_split_is_as_defined(marks: str, gmin: int, split_at: int) -> None:
    """Bursts, their losses and their length come out as by the definition, taken at once or in two parts."""
    spread = spread_of(marks, gmin, split_at)
    assert bursts_found(spread) == bursts_by_definition(marks, gmin)


@given(st.lists(st.text("01", max_size=40), min_size=2, max_size=4))
def test_legs_do_not_disturb_each_other(calls: list[str]) -> None:
    """Several legs in one update give what each gives alone."""
    losses = [(leg, at) for leg, marks in enumerate(calls) for at, mark in enumerate(marks) if mark == "0"]
    legs = np.array([leg for leg, _ in losses], np.int32)
    together = LossPatterns(len(calls)).update(legs, np.array([at for _, at in losses], np.int64))
    alone = [spread_of(marks) for marks in calls]
    for name in (f.name for f in fields(LossSpread)):
        expected = np.concatenate([getattr(spread, name) for spread in alone])
        assert getattr(together, name).tolist() == expected.tolist(), name


def test_a_released_leg_begins_again() -> None:
    """The first loss of a later call has no distance to the last one of an earlier call."""
    patterns = LossPatterns(1)
    leg, first, second = np.zeros(1, np.int32), np.array([3]), np.array([4])
    patterns.update(leg, first)
    patterns.reset(leg)
    spread = patterns.update(leg, second)
    assert (spread.distance.tolist(), spread.opens_burst.tolist()) == ([0], [False])
