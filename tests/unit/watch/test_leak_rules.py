"""What is said of what a target keeps: nothing where it gave all back, and never more than can be known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.watch.holdings import Holdings
from pytest_ari_sla.watch.leak_rules import (
    ONE_OFF_FILES,
    POOL_THREADS,
    TELLING_BYTES,
    TELLING_CALLS,
    Audit,
    MemoryHistory,
    MemorySpan,
    judge_holdings,
)

BEFORE = Holdings({"files": 7, "UDP sockets": 3, "eventfds": 1}, threads=37)
NONE = {"target.leaked_files": 0, "target.leaked_ports": 0, "target.leaked_threads": 0}
MB = 1_000_000


def holding(*, files: int = 7, udp: int = 3, eventfds: int = 1, threads: int = 37) -> Holdings:
    """Return a reading."""
    return Holdings({"files": files, "UDP sockets": udp, "eventfds": eventfds}, threads)


def test_what_is_given_back_is_not_spoken_of() -> None:
    """Also where there is less than before, and a descriptor or so that the first call opened for all."""
    assert judge_holdings(BEFORE, BEFORE, 400, 0) == Audit(NONE)
    assert judge_holdings(BEFORE, holding(files=5, threads=30), 400, 0) == Audit(NONE)
    assert judge_holdings(BEFORE, holding(files=7 + ONE_OFF_FILES), 400, 0) == Audit(NONE)


def test_descriptors_that_stay_are_told_by_kind() -> None:
    """The most first."""
    audit = judge_holdings(BEFORE, holding(udp=41), 400, 0)
    assert audit.notes == ("after 400 calls Asterisk holds 38 file descriptors more than before: 38 UDP sockets",)
    assert audit.values == {**NONE, "target.leaked_files": 38, "target.leaked_ports": 38}
    both = judge_holdings(BEFORE, holding(udp=4, eventfds=101), 1, 0)
    assert both.notes == (
        "after 1 call Asterisk holds 101 file descriptors more than before: 100 eventfds, 1 UDP socket",
    )
    assert both.values == {**NONE, "target.leaked_files": 101}


def test_two_ports_are_enough() -> None:
    """Nothing opens them but calls."""
    assert judge_holdings(BEFORE, holding(udp=5), 400, 0).values["target.leaked_ports"] == 2


def test_threads_are_told_where_no_pool_explains_them() -> None:
    """Pools keep theirs for a minute: between both, nobody knows."""
    many = judge_holdings(BEFORE, holding(threads=37 + 400), 400, 0)
    assert many.values["target.leaked_threads"] == 400
    assert many.notes == ("after 400 calls Asterisk has 400 threads more than before",)
    some = judge_holdings(BEFORE, holding(threads=37 + POOL_THREADS), 400, 0)
    assert "target.leaked_threads" not in some.values
    assert some.notes[0].startswith("whether threads leak cannot be told")


def test_what_channels_still_need_is_not_leaked() -> None:
    """Somebody else's, or those that outlive their calls, which are told elsewhere."""
    assert judge_holdings(BEFORE, holding(udp=41, threads=39), 400, 19) == Audit(
        notes=(
            "whether Asterisk leaks cannot be told: it holds 38 file descriptors, 2 threads more than before, and 19 "
            "channels that may need them",
        )
    )
    assert judge_holdings(BEFORE, BEFORE, 400, 19) == Audit(NONE)


@given(
    st.dictionaries(st.sampled_from(["files", "UDP sockets", "pipes"]), st.integers(0, 200)),
    st.dictionaries(st.sampled_from(["files", "UDP sockets", "pipes"]), st.integers(0, 200)),
    st.integers(0, 5),
)
def test_figures_are_never_more_than_what_is_held_more(
    before: dict[str, int], after: dict[str, int], channels: int
) -> None:
    """Whatever the readings, there is a note exactly where there is a leak, or where nobody can tell."""
    audit = judge_holdings(Holdings(before), Holdings(after), 10, channels)
    grown = sum(after.values()) - sum(before.values())
    assert audit.values.get("target.leaked_files", 0) in (0, grown)
    assert bool(audit.notes) == (audit.values.get("target.leaked_files") != 0)


def span(before: int, after: int, *, peak: int = 100, calls: int = 5_000) -> MemorySpan:
    """Return a load, its memory in MB."""
    return MemorySpan(peak, calls, before * MB, after * MB)


def warm() -> MemoryHistory:
    """Return a history with a first wave of 100 calls at a time, which left 90 MB."""
    history = MemoryHistory()
    assert history.judge(span(60, 90)) == Audit()
    return history


def test_memory_of_a_first_wave_is_not_judged() -> None:
    """It follows the most calls that there ever were: so a wave that is larger than all before is a first one."""
    assert warm().judge(span(90, 400, peak=101)) == Audit()


def test_memory_that_grows_by_calls_that_were_there_before_is_leaked() -> None:
    """Beside what it changed by without calls."""
    audit = warm().judge(span(91, 141))
    assert audit.values == {"target.leaked_memory": 50 * MB}
    assert audit.notes == (
        "after 5,000 calls Asterisk's memory is 50 MB larger than before, with no more calls at a time than in an "
        "earlier load, and changed by 1 MB without calls: 10 kB a call",
    )


def test_memory_that_changes_without_calls_as_well_tells_nothing() -> None:
    """A third of that much, already."""
    audit = warm().judge(span(110, 150))
    assert audit.values == {}
    assert audit.notes[0].startswith("whether Asterisk leaks memory cannot be told")


@pytest.mark.parametrize("grown", [-40, 0, TELLING_BYTES // MB])
def test_memory_that_stays_is_not_leaked(grown: int) -> None:
    """Over enough calls."""
    assert warm().judge(span(90, 90 + grown)).values == {"target.leaked_memory": 0}


def test_few_calls_tell_nothing_of_memory() -> None:
    """A leak of 10 kB a call would not show."""
    assert warm().judge(span(90, 300, calls=TELLING_CALLS - 1)) == Audit()
