import pytest
from msgspec.structs import replace

from pytest_ari_sla.judging.records import call_grid as module
from pytest_ari_sla.judging.records.call_grid import call_grid
from pytest_ari_sla.load.results.outcome import CallOutcome

S = 1_000_000_000


def call(number: int, *course: tuple[float, float], span_s: int = 1) -> CallOutcome:
    """Return a call with an RTT (in s) from some seconds on."""
    spans = [(int(second * S), int((second + span_s) * S), rtt) for second, rtt in course]
    return CallOutcome(f"c{number}", "ended", number, 1, 2, 3, "", 1, {}, [], spans)


@pytest.mark.parametrize(
    ("figures", "metric"),
    [(["rtt.max"], "rtt"), (["one_way.max"], "one_way"), (["rtt.max", "one_way.max"], "delay"), ([], "delay")],
)
def test_the_grid_is_named_for_what_its_delays_are(figures: list[str], metric: str) -> None:
    """In a pair each leg hears the other: no round trip."""
    outcome = replace(call(1, (0, 0.2)), values=dict.fromkeys(figures, 0.2))
    grid = call_grid([outcome], S)
    assert grid
    assert grid.metric == metric


def test_every_call_is_a_row_in_starting_order_and_every_second_a_column() -> None:
    """Seconds without a packet stay empty."""
    grid = call_grid([call(2, (0, 0.2)), call(1, (0, 0.1), (2, 0.3))], 3 * S)
    assert grid
    assert grid.calls == ["c1", "c2"]
    assert grid.t == [0, 1, 2]
    assert grid.values == [[0.1, None, 0.3], [0.2, None, None]]


def test_a_long_load_shows_the_longest_rtt_of_each_column() -> None:
    """A peak of one second does not vanish in an hour."""
    grid = call_grid([call(1, *((second, 5.0 if second == 1_000 else 0.1) for second in range(3_600)))], 3_600 * S)
    assert grid
    assert len(grid.t) == 120
    assert grid.t[1] == 30
    assert [column for column, value in enumerate(grid.values[0]) if value == 5.0] == [33]


def test_a_span_that_is_longer_than_a_column_fills_several() -> None:
    """A course whose columns were merged leaves no holes."""
    grid = call_grid([call(1, (0, 0.1), (4, 0.2), span_s=2)], 7 * S)
    assert grid
    assert grid.values == [[0.1, 0.1, None, None, 0.2, 0.2, None]]


def test_spans_are_put_where_most_of_them_lies() -> None:
    """They are cut at whole seconds of the clock, and the load began in between."""
    grid = call_grid([call(1, (-0.4, 0.1), (0.6, 0.2), (2.7, 0.3))], 3 * S)
    assert grid
    assert grid.values == [[0.1, 0.2, None]]


def test_of_very_many_calls_some_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every n-th, so that the whole load is covered."""
    monkeypatch.setattr(module, "_ROWS", 4)
    grid = call_grid([call(number, (0, 0.1)) for number in range(10)], S)
    assert grid
    assert grid.calls == ["c0", "c3", "c6", "c9"]


def test_without_any_rtt_there_is_no_grid() -> None:
    """Calls that never heard anything have no colour."""
    assert call_grid([call(1)], S) is None
    assert call_grid([], S) is None
