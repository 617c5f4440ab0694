"""Looks after the loads that run: shows them, ends those that are to end early, and writes down what there is so far.

Used by whoever sees a load as a whole: the process itself when it is alone, the controller in a fleet.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from pytest_ari_sla.judging.load_watch import LoadWatch
from pytest_ari_sla.session.reports.interim_report import InterimReport
from pytest_ari_sla.session.reports.live_views import LiveViews
from pytest_ari_sla.sla.verdict import Rules

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from pytest_ari_sla.errors import SlaError
    from pytest_ari_sla.judging.judged_load import JudgedLoad
    from pytest_ari_sla.judging.judged_tests import JudgedTests
    from pytest_ari_sla.judging.load_description import LoadDescription
    from pytest_ari_sla.metrics.catalogue import Catalogue
    from pytest_ari_sla.metrics.snapshot import Snapshot
    from pytest_ari_sla.session.reports.run_facts import RunFacts

__all__ = ["Ending", "Supervisor", "open_supervisor"]


INTERIM_INTERVAL_NS = 60_000_000_000
"""How much of a load a crash of this machine may cost."""


_LOCK_S = 0.5


class Ending(NamedTuple):
    """A load that shall end now.

    Attributes
    ----------
    test, number
        Which load.
    reason
        Why; where the target has died, how, with its last words in more lines.
    culprit
        Whose fault it is that there is nothing more to measure; empty: nobody's, the load ends in good order.
    """

    test: str
    number: int
    reason: str
    culprit: str = ""


class Supervisor:
    """Looks after loads; belongs to one thread, but for :meth:`write_down`.

    Parameters
    ----------
    catalogue
        What can be measured.
    rules
        How strictly to judge.
    views
        Where loads are shown.
    interim
        Where they are written down once a minute.
    find_crash
        Tells how the target has ended by itself, if it has.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        rules: Rules,
        views: LiveViews,
        interim: InterimReport,
        find_crash: Callable[[], SlaError | None],
    ) -> None:
        self._catalogue = catalogue
        self._rules = rules
        self._views = views
        self._interim = interim
        self._find_crash = find_crash
        self._watches: dict[tuple[str, int], LoadWatch] = {}
        self._news: set[tuple[str, int]] = set()
        self._ending: set[tuple[str, int]] = set()
        self._next_interim_ns: dict[tuple[str, int], int] = {}
        self._lock = Lock()

    def begin(self, test: str, number: int, description: LoadDescription) -> None:
        """Look after a load from now on."""
        key = test, number
        watch = LoadWatch(test, number, description, self._catalogue, self._rules)
        for note in description.notes:
            watch.note(note)
        with self._lock:
            self._watches[key] = watch
        self._next_interim_ns[key] = INTERIM_INTERVAL_NS

    def hear(self, test: str, number: int, shard: int, at_ns: int, calls_up: int, recent: Snapshot) -> None:
        """Take in what a shard reports of a load; see :meth:`LoadWatch.add`."""
        watch = self._watches.get((test, number))
        if watch is not None:
            with self._lock:
                watch.add(shard, at_ns, calls_up, recent)
            self._news.add((test, number))

    def note(self, test: str, text: str) -> None:
        """Remember an event in all loads of a test that run."""
        for watch in self._watches.values():
            if watch.test == test:
                watch.note(text)

    def look(self) -> list[Ending]:
        """Look at every load that has news; return those that shall end."""
        endings = []
        crash = self._find_crash()
        for key in self._news:
            watch = self._watches[key]
            if key not in self._ending and (ending := _ending_of(key, watch, crash)):  # told once; ending takes a while
                self._ending.add(key)
                watch.note(ending.reason.splitlines()[0])
                endings.append(ending)
            if self._views.wanted:
                self._views.update(watch.state())
            if watch.elapsed_ns >= self._next_interim_ns[key]:
                self._next_interim_ns[key] = watch.elapsed_ns + INTERIM_INTERVAL_NS
                self._interim.write(list(self._watches.values()))
        self._news.clear()
        return endings

    def end(self, test: str, number: int) -> None:
        """Look after a load no more."""
        key = test, number
        with self._lock:  # `write_down` may read them now, in another thread
            watch = self._watches.pop(key, None)
        if watch is not None:
            self._interim.keep(watch)
            self._news.discard(key)
            self._ending.discard(key)
            del self._next_interim_ns[key]
            self._views.clear()

    def abandoned(self, why: str) -> dict[str, list[JudgedLoad]]:
        """Judge, by test, the loads that nobody is left to judge; ``why`` ends the sentence that says so."""
        return self._interim.judge(list(self._watches.values()), why)

    def write_down(self, why: str) -> None:
        """Write down every load that runs, since this process is about to end on the spot; from any thread.

        The thread that this belongs to may hang: one that holds the lock for long changes nothing.
        """
        is_ours = self._lock.acquire(timeout=_LOCK_S)
        try:
            if self._watches:
                self._interim.write(list(self._watches.values()), why)
        finally:
            if is_ours:
                self._lock.release()
        self._interim.close()

    def close(self) -> None:
        """Show and write nothing more."""
        self._views.close()
        self._interim.close()


def open_supervisor(
    config: pytest.Config,
    facts: RunFacts,
    catalogue: Catalogue,
    judged: JudgedTests,
    find_crash: Callable[[], SlaError | None],
) -> Supervisor:
    """Return the supervisor of a session, with the views and the rules that its user asked for."""
    rules = Rules(pacing_error_s=facts.settings.pacing_limit_s)
    interim = InterimReport(config, facts, catalogue, rules, judged)
    return Supervisor(catalogue, rules, LiveViews(config, facts.settings), interim, find_crash)


def _ending_of(key: tuple[str, int], watch: LoadWatch, crash: SlaError | None) -> Ending | None:
    """Return why a load shall end now; None if it shall go on."""
    if crash is not None:
        return Ending(*key, str(crash), crash.culprit)
    reason = watch.reason_to_end()
    return Ending(*key, reason) if reason else None
