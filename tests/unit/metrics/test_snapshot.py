from typing import Any

import execnet
import numpy as np
import pytest
from hypothesis import given

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.metrics.snapshot import Snapshot
from tests.unit.metrics.strategies import histogram_of, snapshots

RTT = Metric("rtt", "distribution", "s", "Round trip")
SENT = Metric("loss.sent", "count", "count", "Packets sent")
RATIO = Metric("loss.ratio", "ratio", "ratio", "Loss", numerator="loss.lost", denominator="loss.sent")


@given(snapshots, snapshots, snapshots)
def test_merging_is_commutative_and_associative(a: Snapshot, b: Snapshot, c: Snapshot) -> None:
    """In which order shards report does not matter."""
    assert a + b == b + a
    assert (a + b) + c == a + (b + c) == Snapshot.sum_of([b, c, a])


@given(snapshots, snapshots)
def test_merging_leaves_its_arguments_alone_and_empty_is_neutral(a: Snapshot, b: Snapshot) -> None:
    """No operation changes what it is given; nothing added is nothing changed."""
    before = Snapshot.from_plain(a.to_plain()), Snapshot.from_plain(b.to_plain())
    _ = a + b
    assert (a, b) == before
    assert a + Snapshot() == Snapshot() + a == a - Snapshot() == a


@given(snapshots, snapshots)
def test_a_difference_added_again_gives_the_later_state(earlier: Snapshot, since: Snapshot) -> None:
    """What happened since, merged with what was before, has all counts of the later state."""
    later = earlier + since
    again = earlier + (later - earlier)
    assert again.keys() == later.keys()
    for name, value in later.items():
        other = again[name]
        if isinstance(value, Histogram) and isinstance(other, Histogram):
            assert (other.count, other.total) == (value.count, value.total)
        else:
            assert other == value


@given(snapshots)
def test_the_plain_form_keeps_everything(snapshot: Snapshot) -> None:
    """Plain built-ins pass through execnet, and give back an equal snapshot."""
    plain: dict[str, Any] = execnet.loads(execnet.dumps(snapshot.to_plain()))
    assert Snapshot.from_plain(plain) == snapshot
    assert Snapshot.from_plain(snapshot.to_compact()) == snapshot


def test_numbers_leave_numpy() -> None:
    """A count that NumPy has made becomes a plain integer."""
    assert type(Snapshot({"loss.sent": int(np.int64(3))})["loss.sent"]) is int
    assert type(Snapshot({"loss.sent": np.int64(3)})["loss.sent"]) is int  # type: ignore[dict-item]


def test_another_version_of_the_plain_form_is_refused() -> None:
    """A form of the future is not guessed at."""
    with pytest.raises(ValueError, match="version None"):
        Snapshot.from_plain({})


def test_a_snapshot_does_not_change_when_its_source_goes_on() -> None:
    """The owner of a histogram goes on recording; the snapshot keeps the state it was made of, and is read-only."""
    histogram = histogram_of([1])
    snapshot = Snapshot({"rtt": histogram})
    histogram.record_one(2)
    assert snapshot.histogram("rtt").count == 1
    with pytest.raises(ValueError, match="copy"):
        snapshot.histogram("rtt").record_one(3)
    with pytest.raises(ValueError, match="copy"):
        (snapshot + snapshot).histogram("rtt").record_one(3)


@pytest.mark.parametrize("operation", ["__add__", "__sub__"])
@pytest.mark.parametrize(("left", "right"), [(1, histogram_of([1])), (histogram_of([1]), 1)])
def test_a_name_cannot_be_a_count_here_and_a_distribution_there(
    operation: str, left: Histogram | int, right: Histogram | int
) -> None:
    """Mixing kinds is an error that names the metric."""
    with pytest.raises(ValueError, match="rtt is a count at one place"):
        getattr(Snapshot({"rtt": left}), operation)(Snapshot({"rtt": right}))


def test_a_name_cannot_vanish() -> None:
    """Cumulative snapshots of one source never lose a name."""
    with pytest.raises(ValueError, match="lacks a, b"):
        _ = Snapshot() - Snapshot({"b": 1, "a": 1})


@pytest.mark.parametrize(
    ("stat", "value"),
    [("count", 4), ("min", 1e-6), ("mean", 2.5e-6), ("max", 4e-6), ("p50", 2e-6), ("p99.9", 4e-6), ("p0", 1e-6)],
)
def test_stats_of_a_distribution_are_in_its_unit(stat: str, value: float) -> None:
    """What was recorded in nanoseconds is given in seconds."""
    snapshot = Snapshot({"rtt": histogram_of([1000, 2000, 3000, 4000])})
    assert snapshot.value(RTT, stat) == value
    assert snapshot.samples(RTT) == 4


def test_a_distribution_has_no_value_of_its_own() -> None:
    """A distribution without a stat is a mistake of the caller."""
    with pytest.raises(ValueError, match="p99"):
        Snapshot().value(RTT)


@pytest.mark.parametrize("snapshot", [Snapshot(), Snapshot({"rtt": Histogram()})])
def test_without_samples_there_is_no_value_but_a_count_of_them(snapshot: Snapshot) -> None:
    """No samples is None, not zero; how many there are is always known."""
    assert snapshot.value(RTT, "p99") is None
    assert snapshot.value(RTT, "mean") is None
    assert snapshot.value(RTT, "count") == 0
    assert snapshot.samples(RTT) == 0


def test_a_count_that_nobody_counted_is_unknown() -> None:
    """Zero counted is a value; not counted is none."""
    assert Snapshot().value(SENT) is None
    assert Snapshot({"loss.sent": 0}).value(SENT) == 0
    assert Snapshot({"loss.sent": 7}).value(SENT) == 7
    assert Snapshot({"loss.sent": 7}).samples(SENT) is None


def test_a_ratio_is_taken_after_merging() -> None:
    """1 of 10 and 5 of 30 are 6 of 40, not the mean of two ratios."""
    merged = Snapshot({"loss.lost": 1, "loss.sent": 10}) + Snapshot({"loss.lost": 5, "loss.sent": 30})
    assert merged.value(RATIO) == 0.15
    assert merged.samples(RATIO) == 40


@pytest.mark.parametrize("values", [{}, {"loss.lost": 0, "loss.sent": 0}, {"loss.sent": 5}, {"loss.lost": 5}])
def test_a_ratio_without_its_parts_is_unknown(values: dict[str, int]) -> None:
    """Nothing of nothing is no ratio, and a missing numerator is not zero."""
    assert Snapshot(values).value(RATIO) is None


def test_a_kind_cannot_be_asked_for_as_another() -> None:
    """Asking for a histogram where a count is, or the other way round, is an error."""
    snapshot = Snapshot({"rtt": histogram_of([1]), "loss.sent": 1})
    with pytest.raises(ValueError, match=r"loss\.sent"):
        snapshot.histogram("loss.sent")
    with pytest.raises(ValueError, match="rtt"):
        snapshot.count("rtt")
    assert snapshot.count("other") == 0


def test_a_part_can_be_taken() -> None:
    """Only the names asked for, as far as they are there."""
    assert dict(Snapshot({"a": 1, "b": 2}).only(["b", "c"])) == {"b": 2}


def test_a_snapshot_is_a_mapping() -> None:
    """It can be walked through, counted and printed."""
    snapshot = Snapshot({"a": 1})
    assert list(snapshot) == ["a"]
    assert len(snapshot) == 1
    assert repr(snapshot) == "Snapshot({'a': 1})"
