from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.errors import AsteriskCrashed, SlaError
from pytest_ari_sla.judging.load_description import LoadDescription
from pytest_ari_sla.judging.thresholds import SourcedThreshold
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.session.plugins.registry import builtin_registry
from pytest_ari_sla.session.supervisor import Supervisor
from pytest_ari_sla.sla.threshold import parse
from pytest_ari_sla.sla.verdict import Rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.judging.load_watch import LoadWatch
    from pytest_ari_sla.reporting.live.live_state import LiveState

S = 1_000_000_000
CATALOGUE = builtin_registry().catalogue


class Views:
    """Keeps what it is shown."""

    def __init__(self, *, wanted: bool = True) -> None:
        self.wanted = wanted
        self.shown: list[LiveState] = []
        self.cleared = 0
        self.closed = False

    def update(self, state: LiveState) -> None:
        """Keep a state."""
        self.shown.append(state)

    def clear(self) -> None:
        """Count."""
        self.cleared += 1

    def close(self) -> None:
        """Remember."""
        self.closed = True


class Interim:
    """Keeps when it was asked to write, and what it was to remember."""

    def __init__(self) -> None:
        self.written_s: list[int] = []
        self.reasons: list[str] = []
        self.kept: list[str] = []
        self.closed = False

    def write(self, running: Sequence[LoadWatch], why: str = "") -> None:
        """Keep the time."""
        self.written_s += [watch.elapsed_ns // S for watch in running]
        self.reasons.append(why)

    def keep(self, watch: LoadWatch) -> None:
        """Keep its name."""
        self.kept.append(watch.name)

    def close(self) -> None:
        """Remember."""
        self.closed = True


class Watched:
    """A supervisor with one load of ten minutes."""

    def __init__(self, *, wanted: bool = True, notes: list[str] | None = None) -> None:
        self.views = Views(wanted=wanted)
        self.interim = Interim()
        self.crash: SlaError | None = None
        self.supervisor = Supervisor(CATALOGUE, Rules(), self.views, self.interim, lambda: self.crash)  # type: ignore[arg-type]
        self.supervisor.begin(
            "t.py::test_a",
            1,
            LoadDescription(
                doc="",
                topology="echo",
                codec="PCMU",
                started_ns=0,
                stages=[("hold", 0, 600 * S)],
                wanted=[(0, 1.0), (600 * S, 1.0)],
                thresholds=[SourcedThreshold(parse("calls.failed == 0", CATALOGUE), "marker", (), 5 * S)],
                notes=notes or [],
            ),
        )

    def hear(self, at_s: int, shard: int = 1, failed: int = 0) -> None:
        """Let a shard report."""
        self.supervisor.hear("t.py::test_a", 1, shard, at_s * S, 1, Snapshot({"calls.failed": failed}))


@pytest.fixture
def watched() -> Watched:
    """Return a supervisor with one load."""
    return Watched()


def test_what_is_to_be_known_before_a_load_is_shown_from_its_beginning() -> None:
    """Whoever watches can still end it."""
    watched = Watched(notes=["This load is too short."])
    watched.hear(1)
    watched.supervisor.look()
    assert [event.text for event in watched.views.shown[0].events] == ["This load is too short."]


def test_a_load_is_shown_once_a_look_however_many_shards_report(watched: Watched) -> None:
    """A fleet of nine is one picture."""
    for shard in range(1, 10):
        watched.hear(1, shard)
    watched.supervisor.look()
    watched.supervisor.look()
    assert [len(state.shards) for state in watched.views.shown] == [9]


def test_a_load_is_told_to_end_once(watched: Watched) -> None:
    """It takes a while until it has ended."""
    watched.hear(5, failed=1)
    (ending,) = watched.supervisor.look()
    assert (ending.test, ending.number) == ("t.py::test_a", 1)
    assert "calls.failed == 0 was broken" in ending.reason
    watched.hear(6)
    assert watched.supervisor.look() == []
    assert [event.text for event in watched.views.shown[-1].events] == ["1 call failed", ending.reason]


def test_a_load_whose_target_died_ends_with_whose_fault_that_is(watched: Watched) -> None:
    """Once, and before any of its conditions; the event of it is one line, the log is for the test."""
    watched.crash = AsteriskCrashed("the private Asterisk ended with exit code 3", "last words")
    watched.hear(5, failed=1)
    (ending,) = watched.supervisor.look()
    assert ending == ("t.py::test_a", 1, "the private Asterisk ended with exit code 3\nlast words", "Asterisk")
    watched.hear(6)
    assert watched.supervisor.look() == []
    assert watched.views.shown[-1].events[-1].text == "the private Asterisk ended with exit code 3"


def test_loads_are_written_down_once_a_minute(watched: Watched) -> None:
    """A late look does not make up for the ones that were missed."""
    for second in [*range(1, 130), 400, *range(401, 470)]:
        watched.hear(second)
        watched.supervisor.look()
    assert watched.interim.written_s == [60, 120, 400, 460]


def test_nothing_is_drawn_for_nobody() -> None:
    """Without a console and Prometheus."""
    watched = Watched(wanted=False)
    watched.hear(1)
    watched.supervisor.look()
    assert watched.views.shown == []


def test_a_load_that_is_over_is_neither_shown_nor_written(watched: Watched) -> None:
    """What still comes in of it is late."""
    watched.hear(1)
    watched.supervisor.end("t.py::test_a", 1)
    watched.hear(70)
    assert watched.supervisor.look() == []
    assert watched.views.shown == []
    assert watched.interim.written_s == []
    assert watched.views.cleared == 1
    assert watched.interim.kept == ["t.py::test_a"]  # its test may go on for hours, with other loads


def test_what_happens_to_a_test_is_an_event_of_its_loads(watched: Watched) -> None:
    """A shard that is missing."""
    watched.supervisor.note("t.py::test_a", "shard 2 of 2 is missing")
    watched.supervisor.note("t.py::test_b", "something else")
    watched.hear(1)
    watched.supervisor.look()
    assert [event.text for event in watched.views.shown[-1].events] == ["shard 2 of 2 is missing"]


def test_before_the_process_ends_on_the_spot_everything_is_written(watched: Watched) -> None:
    """By another thread than the one that may hang, and it waits until that is done."""
    watched.hear(7)
    watched.supervisor.write_down("shortly before the end")
    assert watched.interim.written_s == [7]
    assert watched.interim.reasons == ["shortly before the end"]
    assert watched.interim.closed


def test_between_loads_nothing_is_written_in_a_hurry(watched: Watched) -> None:
    """What is over was written, or will be."""
    watched.supervisor.end("t.py::test_a", 1)
    watched.supervisor.write_down("shortly before the end")
    assert watched.interim.written_s == []


def test_closing_closes_views_and_writer(watched: Watched) -> None:
    """Whoever writes is waited for."""
    watched.supervisor.close()
    assert watched.views.closed
    assert watched.interim.closed
