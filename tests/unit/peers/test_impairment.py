from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.peers.echo import impairment as impairments
from pytest_ari_sla.peers.echo.impairment import MOST_LOSS_BURST, Decisions, Impairment

PACKETS = 200_000
MS = 1_000_000
KNOWN_DROPS = [8, 13, 26]

HARSH = Impairment(loss=0.1, loss_burst=3, delay_ns=30 * MS, jitter_ns=5 * MS, duplicate=0.1, reorder=0.15, seed=7)


def decide(impairment: Impairment, count: int = PACKETS, leg: int = 0) -> Decisions:
    """Decide about the first packets of a leg."""
    return impairment.decide(np.full(count, leg), np.arange(count))


def runs_of(mask: np.ndarray) -> np.ndarray:
    """Return the lengths of the runs of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return edges[1::2] - edges[::2]


def test_nothing_asked_for_does_nothing() -> None:
    """Without any share or delay every packet goes straight back."""
    decisions = decide(Impairment(), 1000)
    assert Impairment().is_none
    assert not decisions.dropped.any()
    assert not decisions.duplicated.any()
    assert not decisions.held.any()
    assert not decisions.delay_ns.any()


@given(leg=st.integers(0, 2**31), first=st.integers(0, 2**31), every=st.integers(1, 50), times=st.integers(1, 20))
def test_of_so_many_packets_in_a_row_one_is_lost(leg: int, first: int, every: int, times: int) -> None:
    """Whichever leg, and whenever it began: what a load loses does not depend on how it is shared out."""
    numbers = np.arange(first, first + every * times)
    impairment = Impairment(loss_every=every)
    assert np.count_nonzero(impairment.decide(np.full(len(numbers), leg), numbers).dropped) == times
    assert not impairment.is_none


@pytest.mark.parametrize("loss", [0.001, 0.02, 0.5, 1.0])
def test_loss_is_the_share_asked_for(loss: float) -> None:
    """Independent loss drops the share asked for, within five standard deviations."""
    dropped = decide(Impairment(loss=loss, seed=1)).dropped.mean()
    assert abs(dropped - loss) <= 5 * np.sqrt(loss * (1 - loss) / PACKETS)


@pytest.mark.parametrize(("loss", "burst"), [(0.02, 1.5), (0.02, 5.0), (0.3, 10.0)])
def test_burst_loss_has_the_share_and_the_mean_run_asked_for(loss: float, burst: float) -> None:
    """Gilbert's chain keeps both the share of lost packets and the mean length of their runs."""
    dropped = decide(Impairment(loss=loss, loss_burst=burst, seed=2)).dropped
    assert dropped.mean() == pytest.approx(loss, rel=0.1)
    assert runs_of(dropped).mean() == pytest.approx(burst, rel=0.1)


def test_burst_loss_has_the_transitions_of_gilberts_chain() -> None:
    """Looking back from each packet gives states that follow each other as in the chain walked forwards."""
    impairment = Impairment(loss=0.2, loss_burst=4, seed=5)
    dropped = decide(impairment, 5000).dropped
    after_lost, after_kept = dropped[1:][dropped[:-1]], dropped[1:][~dropped[:-1]]
    assert 1 - after_lost.mean() == pytest.approx(1 / 4, abs=0.05)
    assert after_kept.mean() == pytest.approx(0.2 / 0.8 / 4, abs=0.02)


def test_the_longest_bursts_are_found_in_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 256 streams, some packets are decided on thousands of packets earlier: the server must not stand still."""
    drawn: list[int] = []
    uniform = impairments._Draws.uniform

    def counted(draws: Any, number: np.ndarray, purpose: Any) -> np.ndarray:
        drawn.append(number.size)
        return uniform(draws, number, purpose)

    impairment = Impairment(loss=0.5, loss_burst=MOST_LOSS_BURST, seed=8)
    alone = [bool(decide(impairment, 1, leg).dropped[0]) for leg in range(256)]
    monkeypatch.setattr(impairments._Draws, "uniform", counted)
    decisions = impairment.decide(np.arange(256), np.zeros(256, np.int64))
    assert decisions.dropped.tolist() == alone
    assert 50 < sum(alone) < 206
    assert len(drawn) < 100
    assert sum(drawn) > 4 * 256


def test_duplicates_are_the_share_asked_for_of_what_is_sent() -> None:
    """No dropped packet is duplicated, and of the others the share asked for."""
    decisions = decide(Impairment(loss=0.5, duplicate=0.1, seed=3))
    assert not (decisions.duplicated & decisions.dropped).any()
    assert decisions.duplicated[~decisions.dropped].mean() == pytest.approx(0.1, rel=0.05)


def test_jitter_is_uniform_around_the_delay() -> None:
    """Delays fill the range delay ± jitter evenly."""
    delay_ns = decide(Impairment(delay_ns=30 * MS, jitter_ns=5 * MS, seed=4)).delay_ns
    assert 25 * MS <= delay_ns.min() < 25.01 * MS
    assert 34.99 * MS < delay_ns.max() <= 35 * MS
    assert delay_ns.std() == pytest.approx(10 * MS / np.sqrt(12), rel=0.01)


@pytest.mark.parametrize(
    "impairment",
    [
        Impairment(reorder=0.25),
        Impairment(reorder=0.1, loss=0.3, seed=2),
        Impairment(reorder=0.2, loss=0.1, loss_burst=3, delay_ns=30 * MS, jitter_ns=5 * MS, seed=3),
    ],
)
def test_every_held_packet_and_no_other_is_overtaken(impairment: Impairment) -> None:
    """At a steady packet time exactly the held packets leave after a later one, and they are the share asked for."""
    decisions = decide(impairment)
    kept = np.flatnonzero(~decisions.dropped)
    leaving = kept[np.argsort(kept * impairment.packet_ns + decisions.delay_ns[kept], kind="stable")]
    overtaken = leaving[leaving < np.maximum.accumulate(leaving)]
    assert sorted(overtaken) == np.flatnonzero(decisions.held).tolist()
    assert len(overtaken) / len(kept) == pytest.approx(impairment.reorder, rel=0.03)


@given(st.lists(st.integers(0, 400), max_size=6), st.permutations(range(400)), st.integers(-(2**63), 2**63))
def test_decisions_do_not_depend_on_batches_or_order(cuts: list[int], order: list[int], seed: int) -> None:
    """However packets of several legs are shuffled and cut into batches, each meets the same fate."""
    harsh = Impairment(**{field.name: getattr(HARSH, field.name) for field in fields(HARSH)} | {"seed": seed})
    leg, number = np.arange(400) % 7, np.arange(400) // 7
    whole = harsh.decide(leg, number)
    shuffled = np.array(order)
    parts = [harsh.decide(leg[rows], number[rows]) for rows in np.split(shuffled, sorted(cuts))]
    for field in fields(Decisions):
        joined = np.concatenate([getattr(part, field.name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, field.name)[shuffled])


def test_seeds_and_legs_differ() -> None:
    """Another seed, or another leg, meets other faults: no two are copies, and they share no more than by chance."""
    first = decide(Impairment(loss=0.5, seed=1)).dropped
    for other in (decide(Impairment(loss=0.5, seed=2)).dropped, decide(Impairment(loss=0.5, seed=1), leg=1).dropped):
        assert (first == other).mean() == pytest.approx(0.5, abs=0.01)


def test_faults_of_one_packet_are_independent() -> None:
    """Whether a packet is duplicated says nothing about its delay."""
    decisions = decide(Impairment(delay_ns=10 * MS, jitter_ns=10 * MS, duplicate=0.5, seed=9))
    assert abs(np.corrcoef(decisions.duplicated, decisions.delay_ns)[0, 1]) < 0.01


def test_known_draws_stay_as_they_are() -> None:
    """A seed written down today must give the same faults in later versions."""
    dropped = decide(Impairment(loss=0.05, seed=7), 100).dropped
    assert np.flatnonzero(dropped).tolist() == KNOWN_DROPS


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"loss": 1.5}, "share between 0 and 1"),
        ({"duplicate": -0.1}, "share between 0 and 1"),
        ({"jitter_ns": 5}, "between 0 and the delay"),
        ({"loss": 0.5, "loss_burst": 1.5}, "shorter than chance"),
        ({"loss": 0.02, "loss_burst": 1e6}, r"bursts of 1e\+06 packets are longer than 1000"),
        ({"loss": 0.02, "loss_burst": float("inf")}, "bursts of inf packets are longer"),
        ({"loss": 0.02, "loss_burst": float("nan")}, "bursts of nan packets"),
        ({"loss_every": 0}, "a number from 1 on"),
        ({"loss_every": 10, "loss": 0.1}, "neither loss nor reorder"),
        ({"loss_every": 10, "reorder": 0.1}, "neither loss nor reorder"),
        ({"loss": 1.0, "loss_burst": 5.0}, "shorter than chance"),
        ({"reorder": 0.26}, "at most"),
        ({"reorder": 0.2, "loss": 0.5}, "at most"),
    ],
)
def test_impossible_numbers_are_refused(numbers: dict[str, float], words: str) -> None:
    """Numbers that cannot be had, alone or together, are refused with the reason."""
    with pytest.raises(ValueError, match=words):
        Impairment(**numbers)  # type: ignore[arg-type]  # ints and floats by name


@pytest.mark.parametrize(
    ("impairment", "longest_ns"),
    [(Impairment(delay_ns=30 * MS, jitter_ns=5 * MS), 35 * MS), (Impairment(reorder=0.1), 30 * MS)],
)
def test_no_packet_waits_longer_than_announced(impairment: Impairment, longest_ns: int) -> None:
    """The longest delay is known beforehand: the room for waiting packets is made by it."""
    assert impairment.longest_delay_ns == longest_ns
    assert decide(impairment).delay_ns.max() <= longest_ns
