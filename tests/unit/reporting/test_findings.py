import pytest

from pytest_ari_sla.reporting.findings import broken_since, excess, findings, series_of, when
from pytest_ari_sla.reporting.record.run_record import (
    BlameGroup,
    CallCounts,
    CallRow,
    MetricValues,
    Scenario,
    ShardHealth,
    Stage,
    Threshold,
    WorstCall,
)


def rtt_threshold(**changes: object) -> Threshold:
    """Return a threshold on ``rtt.p99`` that failed."""
    fields: dict[str, object] = {
        "expression": "rtt.p99 < 20ms",
        "value": 0.03,
        "limit": 0.02,
        "verdict": "fail",
        "metric": "rtt",
        "stat": "p99",
        "op": "<",
        "unit": "s",
    }
    return Threshold(**(fields | changes))  # type: ignore[arg-type]


def failing(**changes: object) -> Scenario:
    """Return a failing scenario of four seconds: its RTT breaks the limit in the third."""
    fields: dict[str, object] = {
        "nodeid": "test_x.py::test_x",
        "verdict": "fail",
        "thresholds": [rtt_threshold()],
        "time_series": {"t": [0.0, 1.0, 2.0, 3.0], "rtt.p99": [0.01, None, 0.02, 0.05], "calls.active": [1, 2, 3, 4]},
        "stages": [Stage(name="ramp", from_s=0, to_s=2), Stage(name="hold", from_s=2, to_s=4)],
    }
    return Scenario(**(fields | changes))  # type: ignore[arg-type]


def test_the_first_second_beyond_the_limit_is_found() -> None:
    """A value at the limit breaks ``<``, one below does not; a gap is neither."""
    assert broken_since(failing(), rtt_threshold()) == 2.0
    assert broken_since(failing(), rtt_threshold(op="<=")) == 3.0


def test_the_records_own_moment_comes_first() -> None:
    """The evaluation knows better than the thinned series."""
    assert broken_since(failing(), rtt_threshold(broken_since_s=0.25)) == 0.25


@pytest.mark.parametrize("changes", [{"verdict": "pass"}, {"metric": "mos"}, {"op": "?"}, {"op": ">", "limit": 0.001}])
def test_no_moment_is_made_up(changes: dict[str, object]) -> None:
    """A threshold that held, has no series, or never broke within it, has no moment."""
    assert broken_since(failing(), rtt_threshold(**changes)) is None


def test_a_ratio_has_its_series_under_its_own_name() -> None:
    """Counts and ratios have no stat."""
    scenario = failing(time_series={"t": [0.0], "loss.ratio": [0.5]})
    assert series_of(scenario, rtt_threshold(metric="loss.ratio", stat="")) == ("loss.ratio", [0.5])


def test_the_excess_is_relative_to_the_limit() -> None:
    """Half as much again is +50 %; nothing is said relative to zero or of what held."""
    assert excess(rtt_threshold()) == pytest.approx(0.5)
    assert excess(rtt_threshold(op=">=", limit=0.04)) == pytest.approx(-0.25)
    assert excess(rtt_threshold(limit=0)) is None
    assert excess(rtt_threshold(value=None)) is None
    assert excess(rtt_threshold(verdict="pass")) is None


def test_a_moment_names_stage_and_calls() -> None:
    """The reader learns what was going on."""
    assert when(failing(), 2.5) == "2.5 s in stage hold with 3 calls up"
    assert when(failing(stages=[], time_series={"t": []}), 2.5) == "2.5 s"


def test_a_passing_scenario_needs_no_advice() -> None:
    """Where all is well, nothing is pointed at."""
    assert findings(failing(verdict="pass")) == []


def test_a_broken_limit_is_told_with_amount_and_moment() -> None:
    """What broke, by how much, since when."""
    assert findings(failing()) == ["rtt.p99 < 20ms was missed by 50 %, first at 2 s in stage hold with 3 calls up."]


def test_a_broken_limit_of_one_side_only_names_that_side() -> None:
    """What ARI takes is Asterisk's control plane's; a round trip may be anybody's."""
    (line,) = findings(failing(thresholds=[rtt_threshold(metric="ari.request", expression="ari.request.p99 < 20ms")]))
    assert line.startswith("ari.request.p99 < 20ms was missed by 50 %")
    assert line.endswith(" (at fault: Asterisk's control plane).")


def test_bad_calls_come_first_with_who_is_to_blame() -> None:
    """In one sentence."""
    blame = [BlameGroup(side="Asterisk", why="hung up by Asterisk", calls=2)]
    (line, *_) = findings(failing(blame=blame, calls=CallCounts(requested=4)))
    assert line == "2 of 4 calls are bad: 2 hung up by Asterisk (at fault: Asterisk)."


def test_a_limit_that_was_missed_many_times_over_is_told_as_such() -> None:
    """A thousand percent says less than ten times."""
    (line,) = findings(failing(thresholds=[rtt_threshold(value=0.4, limit=0.02, broken_since_s=1.0)]))
    assert line == "rtt.p99 < 20ms was missed: it was 20 times the limit, first at 1 s in stage ramp with 2 calls up."


def test_a_late_answer_without_loss_points_to_an_overloaded_asterisk() -> None:
    """Overload shows as delay long before it shows as loss."""

    def says_so(lost: int, rtt_s: float) -> bool:
        metrics: dict[str, MetricValues] = {"loss": {"lost": lost}, "rtt": {"p99": rtt_s}}
        return any("No packet was lost" in line for line in findings(failing(metrics=metrics)))

    assert says_so(0, 0.03)
    assert not says_so(1, 0.03)
    assert not says_so(0, 0.002), "a limit below what a healthy Asterisk needs says nothing about its load"


def test_a_slow_relay_and_slow_requests_are_told_apart() -> None:
    """The part of the way that took the time is named."""
    slow_relay = findings(failing(metrics={"rtt": {"p99": 0.03}, "relay_rtt": {"p99": 0.025}}))
    assert any("25 ms at p99: most of the delay is in the service" in line for line in slow_relay)
    slow_requests = findings(failing(metrics={"rtt": {"p99": 0.03}, "ari.request": {"p99": 0.4}}))
    assert any("ARI requests were slow as well (400 ms" in line for line in slow_requests)


def test_the_generators_own_faults_come_first() -> None:
    """Nothing else can be believed before they are known."""
    shard = ShardHealth(shard=2, receive_drops=1_234, remarks=["the clock was set back"])
    lines = findings(failing(harness=[shard], calls=CallCounts(not_started=3)))
    assert lines[0].startswith("This generator (shard 2) dropped 1,234 packets itself")
    assert lines[1] == "Shard 2: the clock was set back"
    assert lines[2].startswith("3 calls were never started")


def test_buffers_that_others_have_filled_are_not_the_generators_fault() -> None:
    """Their senders are named; fewer calls would not help, neither against the drops nor against lateness."""
    shard = ShardHealth(
        shard=2,
        receive_drops=1_234,
        foreign_packets=20_000,
        foreign_senders=["10.0.0.9:4000 (20,000)"],
        pacing_p99_s=0.0066,
    )
    lines = findings(failing(verdict="inconclusive", harness=[shard], thresholds=[]))
    assert lines == [
        "Packets that no call expects filled the receive buffers of shard 2: 20,000 were read, 1,234 dropped, the "
        "calls' own among them. They came from 10.0.0.9:4000 (20,000): stop what sends them, or take other ports "
        "(--ari-rtp-ports)."
    ]


def test_a_few_foreign_packets_do_not_fill_buffers() -> None:
    """Late packets of calls that are over come to every load."""
    shard = ShardHealth(shard=2, receive_drops=1_234, foreign_packets=5)
    assert findings(failing(harness=[shard]))[0].startswith("This generator (shard 2) dropped 1,234 packets itself")


def test_an_inconclusive_run_names_the_shard_that_was_latest() -> None:
    """The reader learns what to change on the own side."""
    shards = [
        ShardHealth(shard=1, pacing_p99_s=0.001),
        ShardHealth(shard=2, pacing_p99_s=0.0066, cpu_ratio=0.93, scheduler="SCHED_OTHER"),
    ]
    lines = findings(failing(verdict="inconclusive", harness=shards, thresholds=[]))
    assert lines == [
        "This generator (shard 2) sent packets 6.6 ms late at p99, using 93 % of a core (SCHED_OTHER): give it a core "
        "of its own, or use fewer calls per worker."
    ]


def test_a_run_with_too_few_samples_is_not_said_to_be_late() -> None:
    """Inconclusive for another reason: a generator that was punctual needs no core of its own."""
    shard = ShardHealth(shard=1, pacing_p99_s=0.0002, cpu_ratio=0.18)
    assert findings(failing(verdict="inconclusive", harness=[shard], thresholds=[])) == []


def test_failed_calls_are_grouped_by_reason() -> None:
    """A thousand equal failures are one line."""
    rows = [CallRow(id=f"c{n}", outcome="failed", started_s=0, reason="answered 500") for n in range(1_000)]
    rows.append(CallRow(id="d", outcome="dropped", started_s=0, reason="timed out"))
    lines = findings(failing(call_table=rows, thresholds=[]))
    assert lines == ["1,000 calls failed: answered 500", "1 call ended too early: timed out"]


def test_the_worst_call_and_what_was_left_behind_are_named() -> None:
    """The way to the packets is written out."""
    worst = WorstCall(id="r-00007", why="its RTT reached 1 s.", capture="captures/r-00007.pcapng")
    lines = findings(failing(worst_calls=[worst], thresholds=[], calls=CallCounts(leaked=2)))
    assert lines == [
        "Worst call (r-00007): its RTT reached 1 s; its packets: captures/r-00007.pcapng.",
        "2 calls were left behind on the target.",
    ]


def test_calls_that_ended_alike_are_one_finding_whatever_their_ids() -> None:
    """Each reason holds a channel's id, which begins with the call's; what they share is when and why they ended."""
    rows = [
        CallRow(
            id=f"sla-1.c{n:07d}.",
            outcome="dropped",
            started_s=n / 10,
            ended_s=n / 10 + 2.01,
            reason=f"channel sla-1.c{n:07d}.c{n + 1:07d}. was hung up by Asterisk: cause 16 Normal Clearing",
        )
        for n in range(20)
    ]
    lines = findings(failing(call_table=rows, thresholds=[]))
    assert lines[0] == (
        "20 calls ended too early, 2.0 s after their start: its channel was hung up by Asterisk: "
        "cause 16 Normal Clearing"
    )


def test_what_blame_has_told_is_not_told_again() -> None:
    """All calls that an Asterisk took with it share its end as their reason."""
    end = "the private Asterisk (process 7) was ended by signal 9 (SIGKILL)"
    rows = [CallRow(id=f"c{n}", outcome="dropped", started_s=0.0, ended_s=2.0, reason=end) for n in range(3)]
    blame = [BlameGroup(side="Asterisk", why=f"lost to Asterisk's end at 2.0 s ({end})", calls=3)]
    lines = findings(failing(call_table=rows, blame=blame, thresholds=[]))
    assert sum(end in line for line in lines) == 1


def test_time_stamps_of_a_wrong_clock_are_named() -> None:
    """Jitter that is reckoned by them is no jitter of the network."""
    metrics: dict[str, MetricValues] = {
        "timestamp": {"wrong_clock": 3, "jumps": 0},
        "timestamp.speed": {"count": 5, "min": 1.0, "max": 2.0, "unit": "ratio"},
    }
    (text,) = (hint for hint in findings(failing(metrics=metrics)) if "RTP clock" in hint)
    assert text.startswith("3 legs received time stamps that run at 2 times the codec's RTP clock: the jitter of these")
    right: dict[str, MetricValues] = {"timestamp": {"wrong_clock": 0, "jumps": 0}}
    assert not [hint for hint in findings(failing(metrics=right)) if "RTP clock" in hint]
