import pytest

from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.time_series import TimeSeries
from pytest_ari_sla.sla.figures import Figure, Scope, figures_of, first_break_s
from tests.unit.sla.shared import SECOND, per_second, rtts_ms, threshold


def figures(expression: str, series: TimeSeries, stage: str | None = None) -> list[Figure]:
    """Return the figures of a threshold over a series."""
    scope = Scope.of_stage(series, series.stage(stage)) if stage else Scope(series.total(), series)
    return figures_of(threshold(expression), scope, 0.5, 0.95)


def first_break(expression: str, series: TimeSeries) -> float | None:
    """Return when a threshold was broken first."""
    limit, scope = threshold(expression), Scope(series.total(), series)
    return first_break_s(limit, scope, figures_of(limit, scope, 0.5, 0.95))


def failures(*counts: int) -> TimeSeries:
    """Return a series of failed calls, second by second."""
    return per_second(*(Snapshot({"calls.failed": count}) for count in counts))


def test_a_figure_knows_its_samples_and_its_interval() -> None:
    """A percentile of 1,000 round trips of 1 to 1,000 ms."""
    (figure,) = figures("rtt.p50 < 1s", per_second(rtts_ms(*range(1, 1001))))
    assert figure.value == pytest.approx(0.5, rel=1e-3)
    assert figure.samples == 1000
    assert figure.interval == pytest.approx((0.469, 0.532), rel=1e-2)
    assert figure.carried
    assert figure.window_s is None


@pytest.mark.parametrize(
    ("expression", "has_interval"),
    [("rtt.mean < 1s", True), ("rtt.max < 1s", False), ("rtt.count > 1", False), ("rtt.p100 < 1s", False)],
)
def test_extremes_and_counts_have_no_interval(expression: str, has_interval: bool) -> None:
    """The largest sample says nothing about the largest possible one."""
    (figure,) = figures(expression, per_second(rtts_ms(1, 2, 3)))
    assert (figure.interval is not None) is has_interval
    assert figure.carried


@pytest.mark.parametrize(("lost", "sent", "has_interval"), [(1, 10, True), (11, 10, False), (-1, 10, False)])
def test_only_a_share_has_the_interval_of_a_share(lost: int, sent: int, has_interval: bool) -> None:
    """Duplicates can make a loss negative or a ratio larger than one; no binomial model fits that."""
    (figure,) = figures("loss.ratio < 1%", per_second(Snapshot({"loss.lost": lost, "loss.sent": sent})))
    assert figure.value == lost / sent
    assert (figure.interval is not None) is has_interval


@pytest.mark.parametrize(("count", "carried"), [(49, False), (50, True)])
def test_p99_is_carried_by_50_samples(count: int, carried: bool) -> None:
    """Half a sample is to be expected beyond p99 of 50."""
    (figure,) = figures("rtt.p99 < 1s", per_second(rtts_ms(*range(count))))
    assert figure.carried is carried


def test_there_is_a_figure_for_each_window_with_samples() -> None:
    """Windows of 2 s over 5 s, the middle of which is silent."""
    series = per_second(rtts_ms(1), Snapshot(), Snapshot(), Snapshot(), rtts_ms(2))
    assert [(figure.window_s, figure.value) for figure in figures("rtt.max[2s] < 1s", series)] == [
        ((0, 2), 0.001),
        ((3, 5), 0.002),
    ]


def test_without_samples_there_is_no_figure() -> None:
    """Nothing measured is no value, with and without windows."""
    assert figures("rtt.max < 1s", TimeSeries()) == []
    assert figures("rtt.max[2s] < 1s", TimeSeries()) == []


def test_a_stage_has_its_own_values_and_windows() -> None:
    """Only what happened in the stage counts, and only windows that lie in it."""
    series = per_second(rtts_ms(9), rtts_ms(1), rtts_ms(2), rtts_ms(3), rtts_ms(9))
    series.mark_stage("hold", SECOND, 4 * SECOND)
    assert [figure.value for figure in figures("rtt.max < 1s", series, "hold")] == [0.003]
    windows = figures("rtt.max[2s] < 1s", series, "hold")
    assert [(figure.window_s, figure.value) for figure in windows] == [((1, 3), 0.002), ((2, 4), 0.003)]
    assert [figure.value for figure in figures("rtt.max[10s] < 1s", series, "hold")] == [0.003]


@pytest.mark.parametrize(
    ("expression", "since"),
    [("rtt.max < 5ms", 2.0), ("rtt.max[2s] < 5ms", 1.0), ("rtt.max < 3ms", 1.0), ("rtt.max < 1s", None)],
)
def test_a_latency_breaks_its_limit_in_the_first_interval_or_window_beyond_it(
    expression: str, since: float | None
) -> None:
    """Round trips of 1, 4, 8 and 8 ms, a second each."""
    assert first_break(expression, per_second(rtts_ms(1), rtts_ms(4), rtts_ms(8), rtts_ms(8))) == since


def test_no_window_breaks_a_limit_that_all_meet() -> None:
    """Where all is well, there is no since."""
    assert first_break("rtt.max[2s] < 1s", per_second(rtts_ms(1), rtts_ms(4), rtts_ms(8))) is None


@pytest.mark.parametrize(
    ("expression", "since"),
    [
        ("calls.failed < 3", 2.0),
        ("calls.failed == 0", 1.0),
        ("calls.failed <= 2", 2.0),
        ("calls.failed > 90", None),
        ("calls.failed == 90", None),
    ],
)
def test_a_count_breaks_its_limit_when_it_has_grown_too_large(expression: str, since: float | None) -> None:
    """Failures 0, 1, 2, 1: three from the third second on; too few cannot be dated."""
    assert first_break(expression, failures(0, 1, 2, 1)) == since


def test_seconds_without_a_count_do_not_matter() -> None:
    """An interval that knows nothing of a metric breaks nothing."""
    series = per_second(Snapshot(), Snapshot({"calls.failed": 4}))
    assert first_break("calls.failed < 3", series) == 1.0


def test_a_run_that_was_one_window_is_not_dated() -> None:
    """A window longer than the stage is the stage as a whole."""
    series = per_second(rtts_ms(9), rtts_ms(9))
    series.mark_stage("hold", SECOND, 2 * SECOND)
    limit, scope = threshold("rtt.max[5s] < 1ms"), Scope.of_stage(series, series.stage("hold"))
    assert first_break_s(limit, scope, figures_of(limit, scope, 0.5, 0.95)) is None
