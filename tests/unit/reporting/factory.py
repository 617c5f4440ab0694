"""Seeded records that look like those of real runs: what the reports are tried on.

A run is drawn call by call and second by second, so that tables, series and histograms tell one story.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from pytest_ari_sla.judging.records.scenario_record import shown_metrics
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.reporting.record.run_record import (
    BaselineComparison,
    BlockHistograms,
    CallCounts,
    CallEvent,
    CallGrid,
    CallRow,
    Comparison,
    Confidence,
    EncodedHistogram,
    Environment,
    Run,
    RunRecord,
    Scenario,
    ShardHealth,
    ShownMetric,
    Stage,
    Target,
    Threshold,
    WorstCall,
)
from pytest_ari_sla.session.plugins.registry import builtin_registry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from pytest_ari_sla.reporting.record.run_record import MetricValues, Verdict

CATALOGUE = builtin_registry().catalogue
Kind = Literal["pass", "fail", "inconclusive"]
RUN_ID = "9f3a1c"
NS = 1e-9
RAMP_S = 10
PACKETS_PER_S = 50
GRID_COLUMNS = 120


class Story:
    """The raw figures of one load: everything else is computed from them.

    Attributes
    ----------
    started_s, setup_s
        (calls,) When each call was asked for, and how long its set-up took.
    rtt_s
        (seconds, calls) Typical RTT of each call in each second; NaN while it is not up.
    """

    def __init__(self, kind: Kind, calls: int, seconds: int, seed: int) -> None:
        self.kind, self.calls, self.seconds = kind, calls, seconds
        self.random = np.random.default_rng(seed)
        self.started_s = np.linspace(0, RAMP_S, calls, endpoint=False)
        self.setup_s = self.random.gamma(6, 0.004, calls) + 0.01
        t = np.arange(seconds)[:, None]
        up = (t >= np.ceil(self.started_s)) & (t < seconds - 1)
        busy = up.sum(axis=1, keepdims=True) / calls
        surge = 12 * np.clip((t - 22) / 8, 0, 1) * (t < seconds * 0.8) if kind == "fail" else 0.0
        level = 0.0008 * (1 + 2 * busy + surge) * self.random.gamma(20, 0.05, (1, calls))
        self.rtt_s: NDArray[np.float64] = np.where(up, level * self.random.gamma(12, 1 / 12, (seconds, calls)), np.nan)
        if kind == "fail":
            self.rtt_s[24:30, calls // 2] *= 18

    def second(self, second: int) -> NDArray[np.float64]:
        """Return the RTT of every packet of one second."""
        typical = self.rtt_s[second][~np.isnan(self.rtt_s[second])]
        spread = self.random.gamma(4, 0.25, (min(PACKETS_PER_S, 40), len(typical)))
        return np.asarray((typical * spread).ravel())


def histogram_of(seconds: NDArray[np.float64]) -> Histogram:
    """Return the histogram of times given in seconds."""
    histogram = Histogram()
    histogram.record((seconds / NS).astype(np.int64))
    return histogram


def distribution(histogram: Histogram, step: float = NS, unit: str = "s") -> MetricValues:
    """Return a distribution as a record holds it."""
    if not histogram.count:
        return {"count": 0, "unit": unit}
    percentiles = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p999": 99.9}
    return {
        "count": histogram.count,
        "min": histogram.min * step,
        "mean": histogram.mean * step,
        **{name: histogram.percentile(percent) * step for name, percent in percentiles.items()},
        "max": histogram.max * step,
        "unit": unit,
    }


def make_scenario(kind: Kind = "pass", *, calls: int = 50, seconds: int = 60, seed: int = 1) -> Scenario:
    """Return one scenario whose verdict is ``kind``."""
    story = Story(kind, calls, seconds, seed)
    per_second = [histogram_of(story.second(second)) for second in range(seconds)]
    rtt = Histogram.sum_of(per_second)
    setup = histogram_of(story.setup_s)
    failed = max(1, calls // 100) if kind == "fail" else 0
    lost = 37 if kind == "fail" else 0
    sent = rtt.count + lost
    metrics: dict[str, MetricValues] = {
        "setup": distribution(setup),
        "first_packet": distribution(histogram_of(story.setup_s * 1.2 + 0.01)),
        "rtt": distribution(rtt),
        "jitter": distribution(histogram_of(np.abs(story.random.normal(0, 0.0004, 5000)))),
        "ari.request": distribution(histogram_of(story.setup_s * 0.4)),
        "mos": distribution(mos_histogram(story), 0.001, "mos"),
        "loss": {"sent": sent, "received": rtt.count, "lost": lost, "ratio": lost / sent, "bursts": lost // 6},
        "duplicates": {"value": 0, "unit": "count"},
        "reordered": {"value": 4 if kind == "fail" else 0, "unit": "count"},
        "harness.pacing_error": distribution(histogram_of(story.random.gamma(2, pacing_scale(kind), 5000))),
        "harness": {"receive_drops": 0, "cpu": 0.93 if kind == "inconclusive" else 0.41},
    }
    return Scenario(
        nodeid="scenarios/test_echo.py::test_echo_calls",
        doc=f"{calls} callers talk to Echo() for {seconds} seconds.",
        topology="echo",
        codec="PCMU",
        verdict=kind,
        reason=REASONS[kind],
        started="2026-11-22T14:03:11Z",
        duration_s=float(seconds),
        calls=CallCounts(
            requested=calls,
            established=calls - failed,
            failed=failed,
            success_ratio=(calls - failed) / calls,
        ),
        metrics=metrics,
        shown=shown_of(metrics),
        thresholds=make_thresholds(kind, metrics),
        time_series=make_series(story, per_second),
        stages=[
            Stage(name="ramp", from_s=0, to_s=RAMP_S, calls=calls),
            Stage(name="hold", from_s=RAMP_S, to_s=seconds - 2, calls=calls),
            Stage(name="end", from_s=seconds - 2, to_s=seconds, calls=0),
        ],
        histograms={
            "rtt": EncodedHistogram(hdr=rtt.encode(), step=NS, unit="s"),
            "setup": EncodedHistogram(hdr=setup.encode(), step=NS, unit="s"),
        },
        blocks=BlockHistograms(block_s=10, histograms={"rtt": make_blocks(per_second)}),
        worst_calls=make_worst_calls(kind, story),
        call_table=make_call_table(story, failed),
        call_grid=make_grid(story),
        harness=[
            ShardHealth(
                shard=1,
                host="load-1",
                pacing_p99_s=metrics["harness.pacing_error"]["p99"],  # type: ignore[arg-type]
                pacing_max_s=metrics["harness.pacing_error"]["max"],  # type: ignore[arg-type]
                cpu_ratio=0.93 if kind == "inconclusive" else 0.41,
                clock_floor_s=3.1e-8,
                scheduler="SCHED_FIFO 10" if kind != "inconclusive" else "SCHED_OTHER",
                receive_buffer_bytes=8 << 20,
                remarks=["the media process used 93 % of a core: packets left late"] if kind == "inconclusive" else [],
            )
        ],
        baseline=make_baseline(kind, metrics),
        notes=["mos is the E-model's R (G.107, delay term after Cole and Rosenbluth), codec table of G.113."],
    )


def shown_of(metrics: Iterable[str]) -> list[ShownMetric]:
    """Return how reports show built-in metrics, of which ``metrics`` names the families that were measured."""
    families = set(metrics)
    return shown_metrics(
        metric for metric in CATALOGUE if metric.name in families or metric.name.partition(".")[0] in families
    )


REASONS = {
    "pass": "All 4 thresholds hold.",
    "fail": "rtt.p99 was beyond its limit of 20 ms from second 25 on; 3 more thresholds hold.",
    "inconclusive": "This generator was late: harness.pacing_error.p99 was 6.6 ms, so nothing is said of Asterisk.",
}


def pacing_scale(kind: Kind) -> float:
    """Return how late packets leave, typically."""
    return 0.001 if kind == "inconclusive" else 0.00003


def mos_histogram(story: Story) -> Histogram:
    """Return one MOS a call, in steps of 0.001."""
    typical = np.nanmax(story.rtt_s, axis=0)
    histogram = Histogram()
    histogram.record(((4.41 - typical * 4) * 1000).clip(1000, 4500).astype(np.int64))
    return histogram


def make_thresholds(kind: Kind, metrics: dict[str, MetricValues]) -> list[Threshold]:
    """Return a usual set of thresholds; the figures are those of ``metrics``."""
    wanted = [
        ("setup.p99 < 500ms", "setup", "p99", "<", 0.5, "s"),
        ("rtt.p99 < 20ms", "rtt", "p99", "<", 0.02, "s"),
        ("loss.ratio < 0.1%", "loss.ratio", "", "<", 0.001, "ratio"),
        ("mos.p1 >= 4.0", "mos", "min", ">=", 4.0, "mos"),
    ]
    thresholds = []
    for expression, metric, stat, op, limit, unit in wanted:
        values = metrics[metric.removesuffix(".ratio")]
        value = float(values[stat or "ratio"] or 0)
        holds = value < limit if op == "<" else value >= limit
        verdict: Verdict = kind if kind == "inconclusive" else "pass" if holds else "fail"
        thresholds.append(
            Threshold(
                expression=expression,
                value=value,
                limit=limit,
                verdict=verdict,
                sentence=f"{metric} {'holds' if holds else 'breaks'} its limit",
                metric=metric,
                stat=stat,
                op=op,
                unit=unit,
                confidence=Confidence(low=value * 0.96, high=value * 1.05, method="order statistics"),
                marginal=abs(value - limit) < 0.05 * limit,
                samples=int(values.get("count") or 0),
                source="--sla" if metric == "loss.ratio" else "marker",
                overrides=["loss.ratio < 1% (sla.toml)"] if metric == "loss.ratio" else [],
            )
        )
    return thresholds


def make_series(story: Story, per_second: list[Histogram]) -> dict[str, list[float | None]]:
    """Return one value a second of everything that the report draws."""

    def percentiles(percent: float) -> list[float | None]:
        return [histogram.percentile(percent) * NS if histogram.count else None for histogram in per_second]

    started = [float(((story.started_s >= t) & (story.started_s < t + 1)).sum()) for t in range(story.seconds)]
    setup = [
        float(story.setup_s[(story.started_s >= t) & (story.started_s < t + 1)].max(initial=0)) or None
        for t in range(story.seconds)
    ]
    bad = story.kind == "fail"
    return {
        "t": [float(t) for t in range(story.seconds)],
        "calls.active": [float((~np.isnan(row)).sum()) for row in story.rtt_s],
        "calls.started": list(started),
        "calls.failed": [1.0 if bad and t == 7 else 0.0 for t in range(story.seconds)],
        "setup.p99": setup,
        "rtt.p50": percentiles(50),
        "rtt.p99": percentiles(99),
        "loss.ratio": [0.002 if bad and 24 <= t < 30 else 0.0 for t in range(story.seconds)],
        "harness.pacing_error.p99": story.random.gamma(4, pacing_scale(story.kind), story.seconds).tolist(),
    }


def make_blocks(per_second: list[Histogram]) -> list[str]:
    """Return the histograms of blocks of ten seconds."""
    return [Histogram.sum_of(per_second[start : start + 10]).encode() for start in range(0, len(per_second), 10)]


def call_id(number: int) -> str:
    """Return a call's id."""
    return f"{RUN_ID}-{number:05}"


def make_call_table(story: Story, failed: int) -> list[CallRow]:
    """Return one row a call; the last ``failed`` ones failed."""
    rows = []
    for number in range(story.calls):
        started, setup = float(story.started_s[number]), float(story.setup_s[number])
        if number >= story.calls - failed:
            reason = "Asterisk answered 500 to POST /channels/externalMedia: Allocation failed"
            rows.append(CallRow(id=call_id(number), outcome="failed", started_s=started, reason=reason))
            continue
        rtt = story.rtt_s[:, number]
        rows.append(
            CallRow(
                id=call_id(number),
                outcome="ended",
                started_s=started,
                setup_s=setup,
                first_packet_s=setup * 1.2 + 0.01,
                ended_s=float(story.seconds - 1),
                values={
                    "rtt.p50": float(np.nanmedian(rtt)),
                    "rtt.max": float(np.nanmax(rtt)),
                    "loss.lost": float(story.random.poisson(0.3)) if story.kind == "fail" else 0.0,
                    "mos": float(max(1.0, 4.41 - np.nanmax(rtt) * 4)),
                },
            )
        )
    return rows


def make_grid(story: Story) -> CallGrid:
    """Return the RTT of every call over time."""
    step = max(1, story.seconds // GRID_COLUMNS)
    cells = story.rtt_s[::step].T
    return CallGrid(
        metric="rtt",
        stat="mean",
        unit="s",
        t=[float(t) for t in range(0, story.seconds, step)],
        calls=[call_id(number) for number in range(story.calls)],
        values=[[None if np.isnan(cell) else round(float(cell), 6) for cell in row] for row in cells],
    )


def make_worst_calls(kind: Kind, story: Story) -> list[WorstCall]:
    """Return the worst calls with their stories."""
    if kind == "pass":
        return []
    order = np.argsort(-np.nanmax(story.rtt_s, axis=0))[:5]
    return [make_worst_call(story, int(number)) for number in order]


def make_worst_call(story: Story, number: int) -> WorstCall:
    """Return one call with the events that a real one has."""
    start = float(story.started_s[number])
    worst_at = int(np.nanargmax(story.rtt_s[:, number]))
    worst = float(np.nanmax(story.rtt_s[:, number]))
    steps = [
        (0.0, "request", "POST /channels/externalMedia", f"channelId={call_id(number)}-a, answered 200 after 9.1 ms"),
        (0.007, "ari", "StasisStart", "UnicastRTP/127.0.0.1:20144"),
        (0.012, "request", "POST /channels/{id}/continue", "answered 204 after 2.2 ms"),
        (0.014, "ari", "StasisEnd", ""),
        (0.031, "media", "first packet", "from 127.0.0.1:18230"),
        (worst_at - start, "media", "RTT peak", f"{worst * 1000:.1f} ms"),
        (story.seconds - 1 - start, "request", "DELETE /channels/{id}", "answered 204 after 3.0 ms"),
        (story.seconds - 0.9 - start, "ari", "ChannelDestroyed", "cause 16 (Normal Clearing)"),
    ]
    return WorstCall(
        id=call_id(number),
        why=f"its RTT reached {worst * 1000:.1f} ms, {worst / float(np.nanmedian(story.rtt_s)):.0f} times the median.",
        values={"rtt.max": worst, "rtt.p50": float(np.nanmedian(story.rtt_s[:, number])), "loss.lost": 3.0},
        events=[CallEvent(t_s=start + t, source=source, what=what, detail=detail) for t, source, what, detail in steps],
        capture=f"captures/{call_id(number)}.pcapng",
    )


def make_baseline(kind: Kind, metrics: dict[str, MetricValues]) -> BaselineComparison:
    """Return the comparison with an earlier, quicker run."""
    after = float(metrics["rtt"]["p99"] or 0)
    worse = kind == "fail"
    return BaselineComparison(
        run_id="71be02",
        source="baseline/report.json",
        max_regression=0.1,
        comparisons=[
            Comparison(
                metric="rtt.p99",
                unit="s",
                verdict="worse" if worse else "same",
                before=after / (2.4 if worse else 1.01),
                after=after,
                change=1.4 if worse else 0.01,
                low=1.1 if worse else -0.03,
                high=1.8 if worse else 0.04,
                sentence="rtt.p99 grew by 140 %" if worse else "rtt.p99 did not change",
            )
        ],
    )


def make_record(*scenarios: Scenario, simulated: bool = False) -> RunRecord:
    """Return a run of the given scenarios (a passing one where none is given)."""
    chosen = list(scenarios) or [make_scenario()]
    verdicts = [scenario.verdict for scenario in chosen]
    return RunRecord(
        run=Run(
            id=RUN_ID,
            started="2026-11-22T14:03:10Z",
            duration_s=64.2 * len(chosen),
            target=Target(kind="external", version="22.10.1", url="http://pbx.example:8088/ari"),
            host="load-1",
            shards=1,
            command_line="pytest --ari-url http://pbx.example:8088 scenarios/test_echo.py",
            tool_version="0.1.0",
        ),
        verdict=next((verdict for verdict in ("fail", "inconclusive") if verdict in verdicts), "pass"),
        scenarios=chosen,
        environment=Environment(
            python="3.11.7",
            kernel="Linux 6.18.0",
            cpu="AMD EPYC",
            cores=2,
            memory_bytes=24 << 30,
            packages={"numpy": "2.4.6", "aiohttp": "3.14.5", "pytest": "9.2.0"},
        ),
        simulated=simulated,
    )
