import numpy as np
import pytest
from numpy.typing import NDArray

from pytest_ari_sla.sla.bootstrap import block_length, difference, typical


def noise(count: int, correlation: float = 0.0, seed: int = 1) -> NDArray[np.float64]:
    """Return (1, count) values around 100 that hang together as told."""
    randomness = np.random.default_rng(seed)
    values = np.zeros(count)
    for index in range(1, count):
        values[index] = correlation * values[index - 1] + randomness.normal()
    return values[np.newaxis] + 100


def test_the_typical_interval_leaves_out_the_extremes() -> None:
    """Of ten intervals the two lowest and the two highest do not count."""
    assert typical(np.array([[1.0, 1, 10, 20, 30, 40, 50, 60, 999, 9999]])) == 35


def test_a_quotient_is_taken_of_all_intervals() -> None:
    """1 of 10 and 5 of 30 are 6 of 40; nothing of nothing is nothing."""
    assert typical(np.array([[1.0, 5.0], [10.0, 30.0]])) == 0.15
    assert typical(np.array([[0.0, 0.0], [0.0, 0.0]])) == 0.0


def test_blocks_grow_with_correlation_but_leave_four() -> None:
    """Independent intervals stand for themselves; those that hang together are drawn together."""
    alternating = np.array([[1.0, 2.0] * 30])
    assert block_length(alternating) == 1
    assert 1 < block_length(noise(300, 0.6)) < block_length(noise(300, 0.9)) <= 75
    assert block_length(np.arange(12.0)[np.newaxis]) == 3


def test_constant_values_need_no_blocks() -> None:
    """Without any spread there is no correlation to divide by."""
    assert block_length(np.full((1, 20), 5.0)) == 1


def test_quotients_are_told_from_their_parts() -> None:
    """Blocks follow the quotients where each is defined, and the numerators otherwise."""
    load = np.linspace(1, 100, 40)
    constant_share = np.stack([load / 10, load])
    assert block_length(constant_share) < block_length(np.stack([load / 10, np.r_[0.0, load[1:]]]))


def test_equal_seeds_give_equal_intervals() -> None:
    """A comparison can be repeated."""
    first = difference([noise(60)], [noise(60, seed=2)], 0.99, 5)
    assert first == difference([noise(60)], [noise(60, seed=2)], 0.99, 5)
    assert first != difference([noise(60)], [noise(60, seed=2)], 0.99, 6)


def test_the_interval_holds_the_difference() -> None:
    """Ten more in every interval is a difference of about ten, whatever the two lengths."""
    low, high = difference([noise(60)], [noise(80, seed=2) + 10], 0.99, 5).interval
    assert 9 < low < 10 < high < 11


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_the_interval_covers_zero_as_often_as_it_says(correlation: float) -> None:
    """In at least 97 % of 200 pairs of equal runs the 99 % interval holds zero, correlated or not."""
    covered = 0
    for pair in range(200):
        before, after = (noise(60, correlation, seed) for seed in (2 * pair, 2 * pair + 1))
        low, high = difference([before], [after], 0.99, 5).interval
        covered += low <= 0 <= high
    assert covered >= 194
