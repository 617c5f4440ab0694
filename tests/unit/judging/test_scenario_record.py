from dataclasses import replace

import numpy as np
import pytest

from pytest_ari_sla.judging.judged_load import CapturedCall
from pytest_ari_sla.judging.records import scenario_record as module
from pytest_ari_sla.judging.records.scenario_record import scenario_record
from pytest_ari_sla.judging.thresholds import SourcedThreshold
from pytest_ari_sla.load.results.outcome import CallOutcome, GeneratorHealth, LoadOutcome
from pytest_ari_sla.metrics.catalogue import Catalogue, core_catalogue
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.time_series import TimeSeries
from pytest_ari_sla.reporting.record.record_file import decode_record, encode_record
from pytest_ari_sla.reporting.record.run_record import Scenario
from pytest_ari_sla.sla.threshold import parse
from pytest_ari_sla.sla.verdict import judge
from tests.unit.reporting.factory import make_record

MS = 10**6
S = 10**9


def catalogue() -> Catalogue:
    """Return the core's metrics and some of trackers."""
    metrics = core_catalogue()
    metrics.register(
        [
            Metric("rtt", "distribution", "s", "round trip"),
            Metric("loss.sent", "count", "count", "sent"),
            Metric("loss.lost", "count", "count", "lost"),
            Metric("loss.ratio", "ratio", "ratio", "lost", numerator="loss.lost", denominator="loss.sent"),
            Metric("duplicates", "count", "count", "twice"),
        ],
        "test",
    )
    return metrics


def second(rtt_ms: int, lost: int = 0) -> Snapshot:
    """Return what happened in a second: a hundred packets with one RTT."""
    rtt = Histogram()
    rtt.record(np.full(100, rtt_ms * MS, np.int64))
    return Snapshot({"rtt": rtt, "loss.sent": 100 + lost, "loss.lost": lost, "duplicates": 0})


def measured_load() -> LoadOutcome:
    """Return four seconds with two calls: the RTT is 10 ms, but 50 ms in the third; the second call fails."""
    series = TimeSeries()
    for t, values in enumerate([second(10), second(10), second(50, lost=5), second(10)]):
        series.add(t * S, values)
    series.add(0, Snapshot({"calls.established": 1}))
    series.add(3 * S, Snapshot({"calls.ended": 1}))
    series.mark_stage("hold", 0, 4 * S)
    calls = Snapshot({"calls.requested": 2, "calls.failed": 1, "calls.dropped": 0})
    return LoadOutcome(
        topology="echo",
        codec="PCMU",
        started_ns=1_700_000_000 * S,
        duration_ns=4 * S,
        total=series.total() + calls,
        series=series,
        calls=(
            CallOutcome("r-00001", "ended", 0, 500 * MS, 3_500 * MS, 520 * MS, "", 1, {"rtt.p99": 0.05}),
            CallOutcome("r-00002", "failed", S, None, 2 * S, None, "ARI answered 500", 1, {}, cause="AriRequestFailed"),
        ),
        generators=(
            GeneratorHealth(1, "load-1", Snapshot({"harness.clock_steps": 2}).to_plain(), True, "python", 4 << 20),
        ),
        notes=("reconnected once",),
    )


def built(*expressions: str) -> Scenario:
    """Return the measured load, judged by thresholds."""
    load, metrics = measured_load(), catalogue()
    thresholds = [parse(expression, metrics) for expression in expressions]
    return scenario_record(
        "test_x.py::test_x",
        "Two calls talk.",
        load,
        judge(thresholds, load.total, load.series),
        [SourcedThreshold(threshold, "--sla", ("rtt.max < 90ms (ini)",)) for threshold in thresholds],
        metrics,
        captures={"r-00002": CapturedCall("captures/r-00002.pcapng", "", [], "captures/r-00002.wav")},
    )


def test_the_built_scenario_is_written_and_read_as_it_is() -> None:
    """All of it is plain."""
    scenario = built("rtt.max < 20ms")
    assert decode_record(encode_record(make_record(scenario))).scenarios == [scenario]


def test_metrics_are_grouped_as_the_format_says() -> None:
    """Distributions stand by name, counts and ratios by family, single counts with their unit."""
    metrics = built().metrics
    assert metrics["rtt"]["count"] == 400
    assert metrics["rtt"]["p50"] == pytest.approx(0.01, rel=1e-3)
    assert metrics["rtt"]["max"] == 0.05
    assert metrics["loss"] == {"sent": 405, "lost": 5, "ratio": 5 / 405}
    assert metrics["duplicates"] == {"value": 0, "unit": "count"}


def test_calls_are_counted_from_the_total() -> None:
    """The counts are those that thresholds see."""
    calls = built().calls
    assert (calls.requested, calls.established, calls.failed, calls.success_ratio) == (2, 1, 1, 0.5)


def test_a_threshold_carries_its_outcome_and_where_it_came_from() -> None:
    """The report can tell what broke, since when, and who asked for it."""
    (threshold,) = built("rtt.max < 20ms").thresholds
    assert (threshold.metric, threshold.stat, threshold.op, threshold.limit) == ("rtt", "max", "<", 0.02)
    assert (threshold.verdict, threshold.value, threshold.source) == ("fail", 0.05, "--sla")
    assert threshold.overrides == ["rtt.max < 90ms (ini)"]
    assert threshold.broken_since_s == 2.0


def test_the_series_holds_what_is_drawn_and_what_is_judged() -> None:
    """Percentiles of distributions, the stat of each threshold, counts, ratios and calls in progress."""
    series = built("rtt.max < 20ms").time_series
    assert series["t"] == [0, 1, 2, 3]
    assert series["rtt.max"] == [0.01, 0.01, 0.05, 0.01]
    assert series["loss.ratio"] == [0, 0, 5 / 105, 0]
    assert series["calls.active"] == [1, 1, 1, 0]
    assert {"rtt.p50", "rtt.p99"} <= series.keys()
    assert "duplicates" not in series, "what never happened is not worth a chart"


def test_histograms_can_be_read_back_in_the_metrics_unit() -> None:
    """A later run is compared with these."""
    histogram = built().histograms["rtt"]
    assert Histogram.decode(histogram.hdr).percentile(50) * histogram.step == pytest.approx(0.01, rel=1e-3)


def test_blocks_are_bounded_and_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a load is, its blocks stay few."""
    monkeypatch.setattr(module, "_BLOCKS", 3)
    blocks = built().blocks
    assert blocks is not None
    assert blocks.block_s == 2
    assert [Histogram.decode(text).count for text in blocks.histograms["rtt"]] == [200, 200]


def test_too_many_calls_leave_those_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interesting ones stay; the CSV file has all."""
    monkeypatch.setattr(module, "_TABLE_CALLS", 1)
    assert [row.id for row in built().call_table] == ["r-00002"]


def test_calls_keep_their_times_in_seconds() -> None:
    """Set-up and first packet count from the call's own start."""
    first, second_call = built().call_table
    assert (first.setup_s, first.first_packet_s, first.ended_s) == (0.5, 0.52, 3.5)
    assert (second_call.outcome, second_call.setup_s, second_call.reason) == ("failed", None, "ARI answered 500")


def test_the_record_says_who_is_to_blame_for_each_bad_call() -> None:
    """One by one, and in groups."""
    scenario = built()
    assert [call.blame for call in scenario.call_table] == ["", "refused by ARI (at fault: Asterisk's control plane)"]
    (group,) = scenario.blame
    assert (group.side, group.why, group.calls) == ("Asterisk's control plane", "refused by ARI", 1)


def test_the_failed_call_is_the_worst_and_points_to_its_packets() -> None:
    """What could not be established comes before what was slow."""
    (worst,) = built().worst_calls
    assert worst.id == "r-00002"
    assert worst.why == "It was not established: ARI answered 500 (at fault: Asterisk's control plane)."
    assert (worst.capture, worst.audio) == ("captures/r-00002.pcapng", "captures/r-00002.wav")


def test_the_generators_oddities_become_remarks() -> None:
    """A slow backend and a stepped clock are said."""
    (shard,) = built().harness
    assert shard.scheduler == "SCHED_FIFO"
    assert [remark.split()[0] for remark in shard.remarks] == ["packets", "the"]


def test_the_generators_own_health_is_in_no_block() -> None:
    """No later run is compared by it, and it would be much of a long run's report."""
    late = Histogram()
    late.record_one(1000)
    load, metrics = measured_load(), catalogue()
    load.series.add(0, Snapshot({"harness.pacing_error": late}))
    load = replace(load, total=load.total + Snapshot({"harness.pacing_error": late}))
    scenario = scenario_record("t", "", load, judge([], load.total, load.series), [], metrics)
    assert scenario.blocks is not None
    assert "rtt" in scenario.blocks.histograms
    assert "harness.pacing_error" in scenario.histograms
    assert "harness.pacing_error" not in scenario.blocks.histograms


def test_the_memory_of_a_generator_is_in_the_report() -> None:
    """Its least and its most: whoever soaks for hours sees whether it was flat."""
    memory = Histogram()
    for megabytes in (80, 81, 80):
        memory.record_one(megabytes * 1_000_000)
    health = GeneratorHealth(1, "load-1", Snapshot({"harness.memory": memory}).to_plain(), False, "mmsg", 4 << 20)
    load, metrics = replace(measured_load(), generators=(health,)), catalogue()
    (shard,) = scenario_record("t", "", load, judge([], load.total, load.series), [], metrics).harness
    assert (shard.memory_min_bytes, shard.memory_max_bytes) == (80_000_000, 81_000_000)
    assert built().harness[0].memory_max_bytes is None


def test_what_a_generator_took_from_its_targets_cores_is_in_the_report() -> None:
    """Beside what all others took; nothing where the target is elsewhere."""
    ours, others = Histogram(), Histogram()
    ours.record_one(8200)
    others.record_one(1500)
    values = Snapshot({"harness.host_ours": ours, "harness.host_others": others}).to_plain()
    load, metrics = (
        replace(measured_load(), generators=(GeneratorHealth(1, "h", values, False, "mmsg", 1),)),
        catalogue(),
    )
    (shard,) = scenario_record("t", "", load, judge([], load.total, load.series), [], metrics).harness
    assert (shard.host_ours_ratio, shard.host_others_ratio) == (0.82, 0.15)
    assert built().harness[0].host_ours_ratio is None


def test_a_load_without_any_interval_has_no_blocks() -> None:
    """Nothing ran: nothing to compare."""
    load, metrics = measured_load(), catalogue()
    empty = LoadOutcome("echo", "PCMU", 0, 0, Snapshot(), TimeSeries())
    scenario = scenario_record("t", "", empty, judge([], load.total, load.series), [], metrics)
    assert scenario.blocks is None
    assert scenario.calls.success_ratio is None
    assert scenario.time_series == {"t": [], "calls.active": []}
