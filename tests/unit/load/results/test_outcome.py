from __future__ import annotations

import execnet
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.load.results.outcome import CallOutcome, GeneratorHealth, LoadOutcome, TimelineEvent
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.time_series import TimeSeries

S = 1_000_000_000
RELATIVE_ERROR = 0.001
"""Three significant digits: what the histogram states."""

delays_ns = st.integers(0, 10**9)


def outcome_of(values: list[tuple[int, int]], shard: int = 1) -> LoadOutcome:
    """Return the outcome of a shard that measured these delays, each at a second of the load."""
    series = TimeSeries()
    series.mark_stage("hold", 0, 10 * S)
    total = Snapshot()
    for second, delay_ns in values:
        histogram = Histogram()
        histogram.record_one(delay_ns)
        recent = Snapshot({"rtt": histogram, "loss.received": 1})
        series.add(second * S, recent)
        total += recent
    call = CallOutcome(
        f"c{shard}", "ended", shard, 2, 3, 4, "", shard, {"rtt.p99": 0.1}, [TimelineEvent(1, "ari", "x")]
    )
    health = GeneratorHealth(shard, "host", {"version": 1, "values": {}}, True, "mmsg", 1 << 22)
    return LoadOutcome("echo", "PCMU", 1000 + shard, 5 * S, total, series, (call,), (health,), ("a note",))


@given(
    st.lists(st.tuples(st.integers(0, 9), delays_ns), min_size=1, max_size=60),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
    st.sampled_from([50, 90, 99, 99.9, 100]),
)
def test_merged_percentiles_are_those_of_all_samples_together(
    samples: list[tuple[int, int]], shards: int, random: object, percent: float
) -> None:
    """However the samples are spread over shards, within the histogram's stated error of the exact value."""
    choose = random.randrange  # type: ignore[attr-defined]
    parts: list[list[tuple[int, int]]] = [[] for _ in range(shards)]
    for sample in samples:
        parts[choose(shards)].append(sample)
    merged = LoadOutcome.merged([outcome_of(part, shard) for shard, part in enumerate(parts, 1)])
    exact = np.percentile([delay for _, delay in samples], percent, method="inverted_cdf")
    measured = merged.total.histogram("rtt").percentile(percent)
    assert measured == pytest.approx(exact, rel=RELATIVE_ERROR, abs=1)
    assert merged.total == outcome_of(samples).total
    assert merged.series == outcome_of(samples).series


@given(st.lists(st.tuples(st.integers(0, 9), delays_ns), max_size=10), st.integers(1, 4))
def test_an_outcome_survives_the_way_to_another_process(samples: list[tuple[int, int]], shards: int) -> None:
    """As plain built-ins that execnet takes; nothing is lost, nothing becomes something else."""
    outcome = outcome_of(samples, shards)
    plain = execnet.loads(execnet.dumps(outcome.to_plain()))
    again = LoadOutcome.from_plain(plain)
    assert again == outcome


def test_merging_keeps_calls_in_order_of_time_and_generators_apart() -> None:
    """Notes that all shards make are said once; times are those of the whole."""
    merged = LoadOutcome.merged([outcome_of([], 2), outcome_of([], 1)])
    assert [call.id for call in merged.calls] == ["c1", "c2"]
    assert [health.shard for health in merged.generators] == [2, 1]
    assert merged.notes == ("a note",)
    assert merged.started_ns == 1001
    assert merged.series.stages[0].name == "hold"


def test_merging_one_changes_nothing() -> None:
    """A fleet of one."""
    outcome = outcome_of([(1, 5), (2, 7)])
    assert LoadOutcome.merged([outcome]) == outcome
