"""What the figures of a load are made of, and when they are entered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.load.calls.call_table import CallTable
from pytest_ari_sla.load.load_books import LoadBooks
from pytest_ari_sla.metrics.snapshot import Snapshot

if TYPE_CHECKING:
    from pytest_ari_sla.metrics.histogram import Histogram


class CountingMeter:
    """Has counted something."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.count = 0

    def values(self) -> dict[str, Histogram | int]:
        """Return the count."""
        return {self._name: self.count}


def test_a_total_holds_what_all_meters_say_and_calls_media_and_the_relay() -> None:
    """Also a meter that came in mid-load; not that of one that never came."""
    calls, control, watch = CallTable(), CountingMeter("ari.errors"), CountingMeter("target.restarts")
    books = LoadBooks(calls, control)
    calls.mark_started("a", 0)
    control.count = 3
    assert "target.restarts" not in books.total(Snapshot(), 0)
    books.add(watch)
    watch.count = 1
    books.relayed = Snapshot({"loss.lost": 4})
    total = books.total(Snapshot({"loss.lost": 2}), not_started=5)
    counted = ("ari.errors", "target.restarts", "calls.requested", "calls.not_started", "loss.lost")
    assert [total.count(name) for name in counted] == [3, 1, 1, 5, 6]


def test_this_process_is_read_when_that_is_asked_for() -> None:
    """Once a second, by whoever ticks."""
    books = LoadBooks(CallTable(), CountingMeter("ari.errors"))
    assert books.total(Snapshot(), 0).histogram("harness.memory").count == 0
    books.read()
    assert books.total(Snapshot(), 0).histogram("harness.memory").count == 1


def test_only_what_is_new_is_entered() -> None:
    """What was entered remains the last total that is known, where nothing more can be measured."""
    control = CountingMeter("ari.errors")
    books = LoadBooks(CallTable(), control)
    control.count = 2
    books.enter(0, books.total(Snapshot(), 0), [])
    control.count = 5
    total = books.total(Snapshot(), 0)
    assert books.enter(1_000_000_000, total, []).count("ari.errors") == 3
    assert books.entered is total
