import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.metrics.leg_courses import LegCourses

S = 1_000_000_000
BASE = 1_700_000_000 * S


def observe(courses: LegCourses, *samples: tuple[int, float, int], now_s: float = 1e6) -> None:
    """Take in (leg, second, value)."""
    courses.observe(
        np.array([leg for leg, _, _ in samples], np.int32),
        np.array([BASE + int(second * S) for _, second, _ in samples], np.int64),
        np.array([value for _, _, value in samples], np.int64),
        BASE + int(now_s * S),
    )


def course(courses: LegCourses, leg: int) -> list[tuple[float, float]]:
    """Return a leg's course in seconds from the base."""
    spans = courses.course(leg)
    assert all(end - start == courses.column_ns for start, end, _ in spans)
    return [((start - BASE) / S, value) for start, _, value in spans]


def test_each_leg_has_the_mean_of_each_second() -> None:
    """Legs are told apart, and seconds without a packet are left out."""
    courses = LegCourses(legs=3)
    observe(courses, (0, 0.1, 10), (1, 0.2, 7), (0, 0.9, 20), (0, 3.5, 4))
    assert course(courses, 0) == [(0, 15), (3, 4)]
    assert course(courses, 1) == [(0, 7)]
    assert course(courses, 2) == []


def test_a_load_that_outgrows_its_columns_gets_longer_ones() -> None:
    """The mean of both neighbours is that of all their packets."""
    courses = LegCourses(legs=1, columns=4)
    observe(courses, (0, 0, 10), (0, 1, 40), (0, 1, 40), (0, 2, 5))
    observe(courses, (0, 7, 1))
    assert courses.column_ns == 2 * S
    assert course(courses, 0) == [(0, 30), (2, 5), (6, 1)]


def test_a_packet_from_before_the_first_column_counts_in_it() -> None:
    """Batches of several sockets are not in order of time."""
    courses = LegCourses(legs=1)
    observe(courses, (0, 5, 10))
    observe(courses, (0, 4, 20))
    assert course(courses, 0) == [(5, 15)]


def test_a_packet_from_the_future_counts_as_one_of_now() -> None:
    """The clock that stamps packets was set an hour ahead: all courses keep their resolution."""
    courses = LegCourses(legs=2)
    observe(courses, (0, 0, 10), (1, 1, 20), now_s=2)
    observe(courses, (0, 3600, 30), now_s=5)
    assert courses.column_ns == S
    assert course(courses, 0) == [(0, 10), (5, 30)]
    assert course(courses, 1) == [(1, 20)]


def test_a_leg_that_is_used_again_begins_empty() -> None:
    """A later call inherits nothing."""
    courses = LegCourses(legs=2)
    observe(courses, (0, 0, 10), (1, 0, 10))
    courses.release(np.array([0], np.int32))
    assert course(courses, 0) == []
    assert course(courses, 1) == [(0, 10)]


def test_nothing_observed_is_no_course() -> None:
    """An empty batch changes nothing."""
    courses = LegCourses(legs=1)
    observe(courses)
    assert courses.course(0) == []


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 1000)), min_size=1, max_size=50), st.integers(1, 9))
def test_no_value_is_lost_however_often_columns_were_merged(samples: list[tuple[int, int]], columns: int) -> None:
    """The mean over all columns, weighted by their packets, stays that of all packets."""
    courses = LegCourses(legs=1, columns=columns)
    for second, value in sorted(samples):
        observe(courses, (0, second, value))
    found = courses.course(0)
    counts = {start: sum(start <= BASE + second * S < end for second, _ in samples) for start, end, _ in found}
    assert len(found) <= columns
    assert sum(counts.values()) == len(samples)
    assert sum(value * counts[start] for start, _, value in found) == pytest.approx(sum(value for _, value in samples))
