from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.errors import ThresholdSyntaxError
from pytest_ari_sla.metrics.units import UNIT_SUFFIXES, Unit, format_duration_ns
from pytest_ari_sla.sla.threshold import OPERATORS, Threshold, check_stages, parse, samples_needed
from tests.unit.sla.shared import MOS, RATIO, RTT, catalogue, threshold

CATALOGUE = catalogue()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rtt.p99 < 60ms", Threshold(RTT, "p99", "<", 0.06, "60ms")),
        ("rtt.p99.9<=60 ms", Threshold(RTT, "p99.9", "<=", 0.06, "60ms")),
        ("  rtt.max  >  1.50us ", Threshold(RTT, "max", ">", 1.5e-6, "1.5us")),
        ("rtt.p099.90 < 2s", Threshold(RTT, "p99.9", "<", 2.0, "2s")),
        ("rtt.count >= 1000", Threshold(RTT, "count", ">=", 1000.0, "1000")),
        ("loss.ratio < 0.1%", Threshold(RATIO, None, "<", 0.001, "0.1%")),
        ("loss.ratio < 0.001", Threshold(RATIO, None, "<", 0.001, "0.001")),
        ("mos.p1 >= 4.0", Threshold(MOS, "p1", ">=", 4.0, "4")),
        ("rtt.p99@hold < 60ms", Threshold(RTT, "p99", "<", 0.06, "60ms", stage="hold")),
        ("rtt.p99[10s] < 80ms", Threshold(RTT, "p99", "<", 0.08, "80ms", window_ns=10**10)),
        ("rtt.p99 [1m30s] @ramp-up < 80ms", Threshold(RTT, "p99", "<", 0.08, "80ms", 90 * 10**9, "ramp-up")),
        ("calls.failed == 0", Threshold(CATALOGUE.lookup("calls.failed"), None, "==", 0.0, "0")),
        ("clock.drift.p50 > -5ppm", Threshold(CATALOGUE.lookup("clock.drift"), "p50", ">", -5.0, "-5ppm")),
        ("asterisk.memory.max < 1.5GB", Threshold(CATALOGUE.lookup("asterisk.memory"), "max", "<", 1.5e9, "1.5GB")),
        ("calls.failed == -0.0", Threshold(CATALOGUE.lookup("calls.failed"), None, "==", 0.0, "0")),
    ],
)
def test_expressions_are_read(expression: str, expected: Threshold) -> None:
    """Metric, stat, window, stage, comparison, limit and unit, with blanks anywhere between them."""
    assert threshold(expression) == expected


@pytest.mark.parametrize(
    ("expression", "place", "problem"),
    [
        ("", "", "a metric, such as rtt.p99, is missing"),
        ("< 60ms", "< 60ms", "a metric, such as rtt.p99, is missing"),
        ("rt.p99 < 6ms", "rt.p99", "did you mean rtt?"),
        ("rtt < 6ms", " < 6ms", "add a stat, such as rtt.p99"),
        ("rtt.p9x < 6ms", "p9x", "unknown stat 'p9x'; did you mean p99"),
        ("rtt.maximum < 6ms", "maximum", "did you mean max"),
        ("rtt.p101 < 6ms", "p101", "between p0 and p100"),
        ("loss.ratio.p9 < 1%", "p9", "loss.ratio is a ratio and has no stats"),
        ("calls.failed.max < 1", "max", "calls.failed is a count and has no stats"),
        ("calls.failed.often < 1", "calls.failed.often", "unknown metric"),
        ("rtt.p99[10s < 60ms", "10s", "closing ] is missing"),
        ("rtt.p99[10] < 60ms", "10", "not a duration"),
        ("rtt.p99[0s] < 60ms", "0s", "longer than nothing"),
        ("rtt.p99@ < 60ms", "< 60ms", "name of a stage is missing"),
        ("rtt.p99@hold[10s] < 60ms", "[10s]", "before the stage: rtt.p99[10s]@hold"),
        ("rtt.p99 60ms", "60ms", "a comparison is missing: < <= > >= =="),
        ("rtt.p99 = 60ms", "= 60ms", "'=' is not a comparison; write =="),
        ("rtt.p99 =< 60ms", "=<", "write <="),
        ("rtt.p99 != 60ms", "!=", "use < <= > >= =="),
        ("rtt.p99 <<< 60ms", "<<<", "use < <= > >= =="),
        ("rtt.p99 <", "", "a number is missing"),
        ("rtt.p99 < ms", "ms", "a number is missing"),
        ("rtt.p99 < 60", "", "rtt.p99 needs a unit: ns, us, µs, ms, s"),
        ("rtt.p99 < 60msec", "msec", "did you mean ms?"),
        ("rtt.p99 < 60%", "%", "unknown unit '%' for rtt.p99 (known: ns, us, µs, ms, s)"),
        ("rtt.count < 60ms", "ms", "'ms' is too much: rtt.count has no unit"),
        ("loss.ratio < 1ms", "ms", "unknown unit 'ms'"),
        ("rtt.p99 < 60 ms or so", "or so", "should end here"),
    ],
)
def test_errors_show_the_place_and_the_remedy(expression: str, place: str, problem: str) -> None:
    """The caret stands under the first wrong character, and the message says what to write."""
    with pytest.raises(ThresholdSyntaxError) as caught:
        threshold(expression)
    assert problem in caught.value.problem
    assert expression[caught.value.position :].startswith(place)
    assert caught.value.position == (expression.rindex(place) if place else len(expression))
    assert f"\n    {expression}\n    {' ' * caught.value.position}^" in str(caught.value)


numbers = st.decimals(0, 10**6, places=3)
figures = st.one_of(
    st.tuples(st.sampled_from(["rtt", "mos", "setup"]), st.sampled_from(["count", "min", "mean", "max"])),
    st.tuples(st.sampled_from(["rtt", "mos", "setup"]), st.decimals(0, 100, places=2).map(lambda p: f"p{p}")),
    st.tuples(st.sampled_from(["loss.ratio", "calls.failed"]), st.none()),
)


@st.composite
def expressions(draw: st.DrawFn) -> str:
    """Make up an expression that is right."""
    metric, stat = draw(figures)
    unit: Unit = "count" if stat == "count" else CATALOGUE.lookup(metric).unit
    window = draw(st.none() | st.integers(1, 10**13).map(format_duration_ns))
    stage = draw(st.none() | st.sampled_from(["hold", "ramp-up", "s2"]))
    blank = draw(st.sampled_from(["", " ", "  "]))
    parts = [metric, f".{stat}" if stat else "", f"[{window}]" if window else "", f"@{stage}" if stage else ""]
    comparison, number = draw(st.sampled_from(sorted(OPERATORS))), draw(numbers)
    suffix = draw(st.sampled_from(sorted(UNIT_SUFFIXES[unit])))
    return f"{''.join(parts)}{blank}{comparison}{blank}{number}{blank}{suffix}"


@given(expressions())
def test_the_canonical_form_reads_back(expression: str) -> None:
    """What is printed in reports can be pasted into a marker, and means the same."""
    first = parse(expression, CATALOGUE)
    assert parse(str(first), CATALOGUE) == first
    assert str(parse(str(first), CATALOGUE)) == str(first)


def error_position(text: str) -> int | None:
    """Return where an expression is wrong; None when it is right."""
    try:
        parse(text, CATALOGUE)
    except ThresholdSyntaxError as error:
        return error.position
    return None


@given(st.text(max_size=30) | st.text("rt.p9<=0ms[]@ %", max_size=30))
def test_no_text_breaks_the_parser(text: str) -> None:
    """Whatever is written, the answer is a threshold or an error within the text."""
    assert error_position(text) in {None, *range(len(text) + 1)}


@pytest.mark.parametrize(
    ("comparison", "below", "at", "above"),
    [
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
        ("==", False, True, False),
    ],
)
def test_the_limit_itself_counts_as_the_comparison_says(comparison: str, below: bool, at: bool, above: bool) -> None:
    """A value just below, at, and just above the limit, as nanoseconds convert."""
    limit = threshold(f"rtt.p99 {comparison} 60ms")
    values = [RTT.in_unit(steps) for steps in (59_999_999, 60_000_000, 60_000_001)]
    assert [limit.holds(value) for value in values] == [below, at, above]


def test_the_margin_is_positive_on_the_right_side() -> None:
    """How far a value is from the limit, seen from where it should be."""
    assert threshold("loss.ratio < 0.5").margin(0.25) == 0.25
    assert threshold("loss.ratio >= 0.5").margin(0.25) == -0.25
    assert threshold("loss.ratio == 0.5").margin(0.25) == -0.25


def test_a_threshold_knows_what_it_wants() -> None:
    """Direction, unit and whether values add up follow from the expression."""
    low, high, equal = (threshold(f"rtt.count {comparison} 5") for comparison in ("<", ">=", "=="))
    assert [(t.wants_low, t.wants_high) for t in (low, high, equal)] == [(True, False), (False, True), (False, False)]
    assert (low.unit, low.adds_up, low.percentile) == ("count", True, None)
    assert threshold("calls.failed < 1").adds_up
    assert not threshold("rtt.p99 < 1s").adds_up
    assert threshold("rtt.p99.5 < 1s").percentile == 99.5


@pytest.mark.parametrize(
    ("percentile", "tail", "needed"),
    [(99, 0.5, 50), (99.9, 0.5, 500), (1, 0.5, 50), (50, 0.5, 1), (99, 1, 100), (0, 1, 0), (100, 1, 0), (None, 1, 0)],
)
def test_far_percentiles_need_many_samples(percentile: float | None, tail: float, needed: int) -> None:
    """As many that the wanted number is to be expected beyond the percentile, on whichever side is the shorter."""
    assert samples_needed(percentile, tail) == needed
    if percentile is not None:
        assert threshold(f"rtt.p{Decimal(str(percentile))} < 1s").samples_needed(tail) == needed


def test_stages_have_to_exist() -> None:
    """A stage that the load does not have is found before the load begins."""
    thresholds = [threshold("rtt.p99 < 1s"), threshold("rtt.p99@hold < 1s")]
    check_stages(thresholds, ["ramp", "hold"])
    with pytest.raises(ThresholdSyntaxError, match="did you mean hola") as caught:
        check_stages(thresholds, ["ramp", "hola"])
    assert caught.value.position == len("rtt.p99@")
    with pytest.raises(ThresholdSyntaxError, match="no stages"):
        check_stages(thresholds, [])
