import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.metrics.histogram import NEVER, Histogram
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.time_series import TimeSeries
from pytest_ari_sla.sla.verdict import Rules, ThresholdOutcome, Verdict, evaluate, judge, worst_of
from tests.unit.sla.shared import MS, SECOND, histogram, per_second, rtts_ms, threshold

LATE = Snapshot({"harness.pacing_error": histogram([12 * MS] * 100)})


def outcome(expression: str, *snapshots: Snapshot, rules: Rules | None = None) -> ThresholdOutcome:
    """Judge one threshold on seconds of measurements."""
    series = per_second(*snapshots)
    return evaluate(threshold(expression), series.total(), series, rules or Rules())


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("rtt.max < 60ms", Verdict.FAIL),
        ("rtt.max <= 60ms", Verdict.PASS),
        ("rtt.max > 60ms", Verdict.FAIL),
        ("rtt.max >= 60ms", Verdict.PASS),
        ("rtt.max == 60ms", Verdict.PASS),
        ("rtt.max < 60.001ms", Verdict.PASS),
        ("rtt.max >= 60.001ms", Verdict.FAIL),
        ("rtt.p99 <= 60ms", Verdict.PASS),
        ("rtt.mean <= 60ms", Verdict.PASS),
        ("rtt.count == 100", Verdict.PASS),
    ],
)
def test_the_value_decides_exactly_at_the_limit(expression: str, verdict: Verdict) -> None:
    """100 round trips of 60 ms, judged at, above and below."""
    assert outcome(expression, rtts_ms(*[60] * 100)).verdict is verdict


def test_an_outcome_holds_the_evidence() -> None:
    """Everything that a report shows of a threshold."""
    result = outcome("rtt.p50 < 60ms", rtts_ms(*[40] * 99), rtts_ms(*[80] * 150))
    assert result.expression == "rtt.p50 < 60ms"
    assert result.verdict is Verdict.FAIL
    assert (result.value, result.limit, result.unit, result.samples) == (0.08, 0.06, "s", 249)
    assert result.margin == pytest.approx(-0.02)
    assert result.confidence_interval == (0.08, 0.08)
    assert result.since_s == 1.0
    assert not result.marginal
    assert result.sentence.startswith("rtt.p50 was 80 ms, limit < 60 ms (20 ms, 33 % over")


@pytest.mark.parametrize("expression", ["rtt.p99 < 60ms", "rtt.p99[2s] < 60ms", "loss.ratio < 1%", "loss.lost < 5"])
def test_nothing_measured_fails(expression: str) -> None:
    """A threshold whose metric has no samples is no pass, and says so; the generator's faults do not soften that."""
    for result in (outcome(expression), outcome(expression, LATE)):
        assert result.verdict is Verdict.FAIL
        assert result.value is None
        assert "not a single sample" in result.sentence


@pytest.mark.parametrize("expression", ["calls.leaked == 0", "rtt.p99 < 60ms", "rtt.p99@hold < 60ms"])
def test_what_a_load_that_was_cut_short_has_not_shown_is_inconclusive(expression: str) -> None:
    """It might have come; what was measured until then can have failed."""
    limit, series = threshold(expression), TimeSeries()
    missing = evaluate(limit, Snapshot(), series, cut_short=True)
    assert missing.verdict is Verdict.INCONCLUSIVE
    assert missing.sentence.endswith("; the load was cut short")
    assert evaluate(limit, Snapshot(), series).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("calls.established >= 100", Verdict.INCONCLUSIVE),
        ("calls.established > 40", Verdict.INCONCLUSIVE),
        ("calls.established == 100", Verdict.INCONCLUSIVE),
        ("calls.established == 39", Verdict.FAIL),
        ("calls.established < 40", Verdict.FAIL),
        ("calls.established >= 40", Verdict.PASS),
        ("calls.established@past >= 100", Verdict.FAIL),
        ("calls.established@now >= 100", Verdict.INCONCLUSIVE),
    ],
)
def test_what_a_load_that_was_cut_short_has_not_reached_is_inconclusive(expression: str, verdict: Verdict) -> None:
    """A count grows: a lower limit might have been reached, an upper one is broken for good. A stage may be over."""
    series = TimeSeries()
    series.mark_stage("past", 0, 10 * SECOND)
    series.mark_stage("now", 10 * SECOND, 99 * SECOND)
    series.add(5 * SECOND, Snapshot({"calls.established": 20}))
    series.add(15 * SECOND, Snapshot({"calls.established": 20}))
    limit = threshold(expression)
    assert evaluate(limit, series.total(), series, cut_short=True).verdict is verdict
    whole = evaluate(limit, series.total(), series).verdict
    assert whole is (Verdict.PASS if verdict is Verdict.PASS else Verdict.FAIL)


def test_a_stage_that_did_not_take_place_fails() -> None:
    """A load that ended before the stage began has shown nothing about it."""
    result = outcome("rtt.p99@hold < 60ms", rtts_ms(1))
    assert result.verdict is Verdict.FAIL
    assert "there was no stage 'hold'" in result.sentence
    assert result.stage == "hold"


def test_a_stage_is_judged_by_itself() -> None:
    """Slow calls while ramping up do not break what is asked of the hold stage."""
    series = per_second(rtts_ms(*[90] * 100), rtts_ms(*[10] * 100))
    series.mark_stage("hold", SECOND, 2 * SECOND)
    result = evaluate(threshold("rtt.p99@hold < 60ms"), series.total(), series)
    assert result.verdict is Verdict.PASS
    assert result.value == 0.01


@pytest.mark.parametrize(
    ("value_ms", "verdict"),
    [
        # All 20 round trips below the limit: the true p99 may still be anything above.
        (10, Verdict.INCONCLUSIVE),
        # All above: the true p99 is above the limit as well.
        (90, Verdict.FAIL),
    ],
)
def test_too_few_samples_prove_a_failure_but_no_pass(value_ms: float, verdict: Verdict) -> None:
    """p99 of 20 samples is the largest of them under another name."""
    result = outcome("rtt.p99 < 60ms", rtts_ms(*[value_ms] * 20))
    assert result.verdict is verdict
    assert "too few for p99, which takes 50" in result.sentence


def test_too_few_samples_with_one_outlier_prove_nothing() -> None:
    """One slow round trip of 20 breaks the limit by value, but not for certain."""
    result = outcome("rtt.p99 < 60ms", rtts_ms(*[10] * 19, 90))
    assert result.value == 0.09
    assert result.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("score", "verdict"), [(4300, Verdict.INCONCLUSIVE), (3000, Verdict.FAIL)])
def test_low_percentiles_are_treated_alike(score: int, verdict: Verdict) -> None:
    """p1 of 20 calls is the worst of them; if all are bad, it fails."""
    assert outcome("mos.p1 >= 4.0", Snapshot({"mos": histogram([score] * 20)})).verdict is verdict


def test_equality_on_few_samples_is_inconclusive() -> None:
    """There is no side of the limit to be on."""
    assert outcome("rtt.p99 == 1ms", rtts_ms(*[9] * 20)).verdict is Verdict.INCONCLUSIVE


def test_the_number_of_samples_that_a_percentile_takes_can_be_set() -> None:
    """Five samples beyond p99 take 500."""
    measured = rtts_ms(*[10] * 499)
    assert outcome("rtt.p99 < 60ms", measured).verdict is Verdict.PASS
    assert outcome("rtt.p99 < 60ms", measured, rules=Rules(tail_samples=5)).verdict is Verdict.INCONCLUSIVE


def test_a_value_whose_interval_holds_the_limit_is_marginal() -> None:
    """The verdict stays; the mark says that noise could turn it."""
    spread = rtts_ms(*range(1, 101))
    assert outcome("rtt.p50 < 52ms", spread).verdict is Verdict.PASS
    assert outcome("rtt.p50 < 52ms", spread).marginal
    assert not outcome("rtt.p50 < 90ms", spread).marginal


def test_the_worst_window_is_named() -> None:
    """No window of 2 s may break the limit; the report says which one did worst, and when it began."""
    seconds = [rtts_ms(*[value] * 100) for value in (10, 10, 70, 90, 10)]
    result = outcome("rtt.p99[2s] < 60ms", *seconds)
    assert result.verdict is Verdict.FAIL
    assert (result.value, result.window_s, result.since_s) == (0.09, (2.0, 4.0), 1.0)
    assert " from 2 s to 4 s" in result.sentence


def test_windows_with_too_few_samples_have_no_say_beside_others() -> None:
    """While the load ramps up, a window may hold a handful of packets."""
    result = outcome("rtt.p99[1s] < 60ms", rtts_ms(90), rtts_ms(*[10] * 100))
    assert result.verdict is Verdict.PASS
    assert result.window_s == (1.0, 2.0)


def test_only_windows_with_too_few_samples_are_inconclusive() -> None:
    """Where no window can carry the percentile, none can pass."""
    assert outcome("rtt.p99[1s] < 60ms", rtts_ms(1), rtts_ms(2)).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("expression", "value", "verdict"),
    [
        ("rtt.max < 60ms", rtts_ms(10), Verdict.INCONCLUSIVE),
        ("rtt.max < 60ms", rtts_ms(90), Verdict.INCONCLUSIVE),
        ("calls.failed < 1", Snapshot({"calls.failed": 0}), Verdict.INCONCLUSIVE),
        ("calls.failed < 1", Snapshot({"calls.failed": 1}), Verdict.FAIL),
        ("harness.pacing_error.max < 1s", Snapshot(), Verdict.PASS),
        ("harness.pacing_error.max < 1ms", Snapshot(), Verdict.FAIL),
    ],
)
def test_a_late_generator_is_never_blamed_on_asterisk(expression: str, value: Snapshot, verdict: Verdict) -> None:
    """Nothing passes, and what the generator may have caused does not fail; its own metrics are judged as they are."""
    assert outcome(expression, value + LATE).verdict is verdict


def test_the_reason_of_inconclusiveness_is_in_the_sentence() -> None:
    """The reader learns what was measured, and why it does not count."""
    result = outcome("rtt.max < 60ms", rtts_ms(90) + LATE + Snapshot({"harness.clock_steps": 2}))
    assert result.sentence.endswith(
        "; inconclusive, since the load generator sent late: pacing error p99 12 ms, limit 5 ms and the system clock "
        "jumped 2 times during the load"
    )
    assert len(result.guards) == 2


@pytest.mark.parametrize(
    ("lost", "fault", "verdict"),
    [
        (0, {}, Verdict.PASS),
        (9, {}, Verdict.FAIL),
        (0, {"harness.receive_drops": 1}, Verdict.INCONCLUSIVE),
        (9, {"harness.receive_drops": 1}, Verdict.INCONCLUSIVE),
        (9, {"harness.not_sent": 1}, Verdict.INCONCLUSIVE),
    ],
)
def test_our_own_drops_make_loss_inconclusive(lost: int, fault: dict[str, int], verdict: Verdict) -> None:
    """Loss is not judged where packets were lost at this end."""
    measured = Snapshot({"loss.lost": lost, "loss.sent": 100, **fault})
    assert outcome("loss.ratio < 1%", measured).verdict is verdict


def test_a_stage_is_not_spoiled_by_what_happened_outside_of_it() -> None:
    """A late second before the stage does not touch it."""
    series = per_second(rtts_ms(1) + LATE, rtts_ms(*[10] * 100))
    series.mark_stage("hold", SECOND, 2 * SECOND)
    assert evaluate(threshold("rtt.p99@hold < 60ms"), series.total(), series).verdict is Verdict.PASS
    assert evaluate(threshold("rtt.p99 < 60ms"), series.total(), series).verdict is Verdict.INCONCLUSIVE


verdicts = st.lists(st.sampled_from(Verdict))


@given(verdicts, verdicts)
def test_the_worst_verdict_counts(first: list[Verdict], second: list[Verdict]) -> None:
    """Fail before inconclusive before pass, in whatever order and grouping they come."""
    together = worst_of(first + second)
    assert together is worst_of(second + first) is worst_of([worst_of(first), worst_of(second)])
    assert (Verdict.FAIL in first + second) == (together is Verdict.FAIL)
    assert (together is Verdict.PASS) == ({*first, *second} <= {Verdict.PASS})


def judged(measured: Snapshot, *expressions: str) -> tuple[Verdict, str]:
    """Judge a scenario of one second."""
    series = per_second(measured)
    judgement = judge([threshold(expression) for expression in expressions], series.total(), series)
    assert len(judgement.outcomes) == len(expressions)
    return judgement.verdict, judgement.reason


@pytest.mark.parametrize(
    ("measured", "expressions", "verdict", "reason"),
    [
        (rtts_ms(10), (), Verdict.PASS, "No thresholds were set"),
        (rtts_ms(10), ("rtt.max < 60ms",), Verdict.PASS, "1 threshold held"),
        (rtts_ms(10), ("rtt.max < 60ms", "rtt.min < 60ms"), Verdict.PASS, "2 thresholds held"),
        (
            rtts_ms(10),
            ("rtt.max < 60ms", "rtt.max < 5ms", "rtt.min < 5ms"),
            Verdict.FAIL,
            "rtt.max was 10 ms, limit < 5 ms (5 ms, 100 % over; 1 sample) (and 1 more)",
        ),
        (
            rtts_ms(10),
            ("rtt.max < 60ms", "rtt.p99 < 60ms"),
            Verdict.INCONCLUSIVE,
            "rtt.p99 was 10 ms, limit < 60 ms (50 ms, 83 % to spare; 95 % interval from 10 ms, open above; 1 sample; "
            "too few for p99, which takes 50)",
        ),
        (
            LATE,
            (),
            Verdict.INCONCLUSIVE,
            "The load generator sent late: pacing error p99 12 ms, limit 5 ms",
        ),
        (
            LATE,
            ("calls.failed < 1",),
            Verdict.FAIL,
            "calls.failed has no value, limit < 1: there is not a single sample of it",
        ),
    ],
)
def test_a_scenario_has_one_verdict_and_one_reason(
    measured: Snapshot, expressions: tuple[str, ...], verdict: Verdict, reason: str
) -> None:
    """The worst threshold speaks for the scenario; without thresholds only a late generator keeps it from passing."""
    assert judged(measured, *expressions) == (verdict, reason)


def test_nothing_at_all_passes_without_thresholds() -> None:
    """Whether a scenario without calls is right is not for thresholds to say."""
    assert judge([], Snapshot(), TimeSeries()).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("counts", "verdict", "words"),
    [
        ({"calls.leaked": 2}, Verdict.FAIL, "of 2 calls were left behind"),
        ({"calls.left_unknown": 3}, Verdict.INCONCLUSIVE, "could not be asked whether anything of 3 calls"),
        ({"calls.leaked": 0, "calls.left_unknown": 0}, Verdict.PASS, "No thresholds"),
    ],
)
def test_what_is_left_at_the_target_is_never_a_pass(counts: dict[str, int], verdict: Verdict, words: str) -> None:
    """Also where no threshold asks for it."""
    judgement = judge([], Snapshot(counts), TimeSeries())
    assert judgement.verdict is verdict
    assert words in judgement.reason


ALL_FAILED = {"calls.requested": 3, "calls.failed": 3, "calls.established": 0}


@pytest.mark.parametrize(
    ("counts", "expressions", "verdict"),
    [
        (ALL_FAILED, [], Verdict.FAIL),
        (ALL_FAILED, ["harness.not_sent == 0"], Verdict.FAIL),
        (ALL_FAILED, ["calls.failed == 3"], Verdict.PASS),
        (ALL_FAILED | {"calls.established": 1, "calls.failed": 2}, [], Verdict.PASS),
        (ALL_FAILED | {"calls.failed": 0}, [], Verdict.PASS),
    ],
)
def test_a_load_of_failed_calls_has_tested_nothing(
    counts: dict[str, int], expressions: list[str], verdict: Verdict
) -> None:
    """Unless it is what the test wants to see; calls that were given up on purpose have not failed."""
    total = Snapshot(counts | {"harness.not_sent": 0})
    judgement = judge([threshold(expression) for expression in expressions], total, per_second(total))
    assert judgement.verdict is verdict
    assert ("Not one of 3 calls was established" in judgement.reason) == (verdict is Verdict.FAIL)


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("setup.p50 < 9ms", Verdict.INCONCLUSIVE),
        ("setup.p50 < 6ms", Verdict.FAIL),
        ("setup.p50 < 11ms", Verdict.PASS),
        ("ari.request.p50 < 9ms", Verdict.INCONCLUSIVE),
        ("rtt.p50 < 9ms", Verdict.FAIL),
    ],
)
def test_what_our_own_lag_may_have_added_fails_nothing(expression: str, verdict: Verdict) -> None:
    """Times of 10 ms of which 3 ms may be ours: without them 9 ms might hold, 6 ms could not."""
    names = ("setup", "ari.request", "rtt")
    measured = Snapshot({name: histogram([10 * MS] * 100) for name in names})
    lag = Snapshot({name: histogram([3 * MS] * 100) for name in ("harness.setup_lag", "harness.request_lag")})
    assert outcome(expression, measured + lag).verdict is verdict


@pytest.mark.parametrize(
    ("stat", "verdict"),
    [
        ("p70", Verdict.PASS),
        ("p75", Verdict.FAIL),
        ("p95", Verdict.FAIL),
        ("max", Verdict.FAIL),
        ("mean", Verdict.FAIL),
    ],
)
def test_what_never_came_is_slower_than_every_limit(stat: str, verdict: Verdict) -> None:
    """6 of 20 calls never heard a packet, which their mean and every percentile above 70 are told by."""
    heard = histogram([15 * MS] * 14 + [NEVER] * 6)
    result = outcome(f"first_packet.{stat} < 3000s", Snapshot({"first_packet": heard}))
    assert result.verdict is verdict
    assert "6 of them never came" in result.sentence
    assert ("was never" in result.sentence) is (verdict is Verdict.FAIL)


@pytest.mark.parametrize(
    ("lost", "fault", "verdict"),
    [
        (0, {"harness.measuring_stall": histogram([7000 * MS])}, Verdict.PASS),
        (50, {"harness.measuring_stall": histogram([7000 * MS])}, Verdict.INCONCLUSIVE),
        (0, {"loss.unknown": 5}, Verdict.PASS),
        (0, {"loss.unknown": 100}, Verdict.INCONCLUSIVE),
        (15, {"loss.unknown": 600}, Verdict.INCONCLUSIVE),
    ],
)
def test_loss_that_our_own_stall_may_have_made_is_inconclusive_and_names_it(
    lost: int, fault: dict[str, Histogram | int], verdict: Verdict
) -> None:
    """What came back is known to have come back, however late it was read."""
    result = outcome("loss.ratio <= 1%", Snapshot({"loss.lost": lost, "loss.sent": 1000, **fault}))
    assert result.verdict is verdict
    told = any(words in result.sentence for words in ("the measuring process stood still for 7.0 s", "what became of"))
    assert told is (verdict is Verdict.INCONCLUSIVE)


def seconds_of_loss(*seconds: tuple[int, int, int]) -> TimeSeries:
    """Return a series of packets sent, lost and of unknown fate, second by second."""
    names = ("loss.sent", "loss.lost", "loss.unknown")
    return per_second(*(Snapshot(dict(zip(names, counts, strict=True))) for counts in seconds))


@pytest.mark.parametrize(
    ("second", "verdict"),
    [
        ((100, 0, 100), Verdict.INCONCLUSIVE),
        ((100, 0, 0), Verdict.PASS),
        ((100, 5, 0), Verdict.FAIL),
        ((100, 5, 100), Verdict.INCONCLUSIVE),
        ((100, 60, 100), Verdict.FAIL),
    ],
    ids=["half of it unknown", "clean", "lost", "lost, or a thirtieth of it", "lost in any case"],
)
def test_what_is_unknown_of_a_window_decides_on_that_window(second: tuple[int, int, int], verdict: Verdict) -> None:
    """100 packets of unknown fate are nothing among the 1,000,000 of the load, and half of their own second."""
    series = seconds_of_loss((500_000, 0, 0), second, (500_000, 0, 0))
    assert evaluate(threshold("loss.ratio[1s] <= 3%"), series.total(), series).verdict is verdict


def test_what_is_unknown_elsewhere_excuses_no_window() -> None:
    """A second in which nothing was unknown has lost what it has lost."""
    series = seconds_of_loss((100, 0, 10_000), (100, 5, 0))
    result = evaluate(threshold("loss.ratio[1s] <= 3%"), series.total(), series)
    assert (result.verdict, result.window_s, result.since_s) == (Verdict.FAIL, (1.0, 2.0), 1.0)


def test_our_own_lag_is_that_of_the_window() -> None:
    """Events were read late in one second, and set-up was slow in another."""
    slow, quick = ({"setup": histogram([late * MS] * 100)} for late in (10, 2))
    lag = {"harness.setup_lag": histogram([9 * MS] * 100)}
    for apart, verdict in ((True, Verdict.FAIL), (False, Verdict.INCONCLUSIVE)):
        first, second = (slow, quick | lag) if apart else (slow | lag, quick)
        series = per_second(Snapshot(first), Snapshot(second))
        assert evaluate(threshold("setup.p50[1s] < 5ms"), series.total(), series).verdict is verdict


OVERLOAD = {"calls.requested": 1300, "calls.established": 1190, "calls.failed": 110}


@pytest.mark.parametrize(
    ("starving", "verdict"),
    [(30, Verdict.INCONCLUSIVE), (3, Verdict.FAIL)],
    ids=["our loop took 82 % of two cores", "for three seconds at the beginning"],
)
@pytest.mark.parametrize("expression", ["calls.success_ratio >= 99%", "calls.failed < 1", "setup.p50 < 1s"])
def test_a_target_that_starved_because_of_us_has_failed_nothing(
    expression: str, starving: int, verdict: Verdict
) -> None:
    """1,300 calls for 35 s, on a host whose cores we share with the target: who was overloaded cannot be told."""
    setup = {"setup": histogram([4000 * MS] * 100)}
    shares = {"harness.host_ours": histogram([8200] * 35), "harness.host_others": histogram([1800] * 35)}
    result = outcome(expression, Snapshot({**OVERLOAD, **setup, **shares, "harness.starving": starving}))
    assert result.verdict is verdict
    assert ("took up to 82 % of the cores that the target runs on" in result.sentence) is (starving == 30)
