"""A session that makes its loads by itself: it starts the target, watches over its loads, and writes the report."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import error_of
from pytest_ari_sla.session.reports.run_facts import RunFacts
from pytest_ari_sla.session.supervisor import open_supervisor
from pytest_ari_sla.session.target_source import TargetSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from pytest_ari_sla.errors import SlaError
    from pytest_ari_sla.judging.judged_tests import JudgedTests
    from pytest_ari_sla.judging.standing import Told
    from pytest_ari_sla.load.results.outcome import LoadOutcome
    from pytest_ari_sla.load.run import LoadProgress
    from pytest_ari_sla.metrics.catalogue import Catalogue
    from pytest_ari_sla.session.loads.load_job import LoadJob
    from pytest_ari_sla.settings import Settings

__all__ = ["Alone"]


class Alone:
    """A :class:`~pytest_ari_sla.session.loads.coordination.Coordination` with nobody.

    Parameters
    ----------
    config, settings
        Of the session.
    catalogue
        What can be measured.
    judged
        The loads that are over.
    main
        The same for the session's target, where this is for the other one that loads are compared against.
    """

    number = 1
    shard = 1
    judges = True

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        catalogue: Catalogue,
        judged: JudgedTests,
        main: Alone | None = None,
    ) -> None:
        self.root_pid = os.getpid()
        self._targets = TargetSource(settings)
        self._is_main = main is None
        self.other: Alone | None = None
        if main is None:
            self.facts = RunFacts(settings, self._targets.get)
            self._supervisor = open_supervisor(config, self.facts, catalogue, judged, self._any_crash)
        else:
            self.facts = replace(main.facts, settings=settings, target=self._targets.get)
            self._supervisor = main._supervisor
        if (others := settings.of_other_target()) is not None:
            self.other = Alone(config, others, catalogue, judged, self)

    def _any_crash(self) -> SlaError | None:
        """Return how either target has ended by itself: without both, nothing can be compared."""
        return self.target_crash() or (None if self.other is None else self.other.target_crash())

    def own_address(self) -> str:
        """Return the address of this machine that the target sees."""
        return self._targets.get().media_host

    def target_crash(self) -> SlaError | None:
        """Return how the target has ended by itself, if it was started here, and has."""
        return self._targets.crash()

    @contextmanager
    def in_load(self, job: LoadJob) -> Iterator[None]:
        """Look after a load until it is over."""
        try:
            yield
        finally:
            self._supervisor.end(job.test, job.number)

    async def begin_together(self, job: LoadJob) -> None:
        """Begin at once."""
        self._supervisor.begin(job.test, job.number, job.describe())

    def progress(self, job: LoadJob, progress: LoadProgress) -> None:
        """Show a load's progress, and end it early where that is due."""
        self._supervisor.hear(job.test, job.number, self.shard, progress.at_ns, progress.calls_up, progress.recent)
        for ending in self._supervisor.look():
            if ending.culprit:
                job.target_died(error_of(ending.culprit, ending.reason))
            else:
                job.end_early(ending.reason)

    async def merge(self, job: LoadJob, outcome: LoadOutcome) -> LoadOutcome:
        """Return our outcome: there is no other."""
        return outcome

    def merge_cut_off(self, job: LoadJob, outcome: LoadOutcome) -> LoadOutcome:
        """Return our outcome: there is no other."""
        return outcome

    def hand_over(self, nodeid: str, told: Told) -> None:
        """Do nothing: whoever writes the reports is in this process, and knows."""

    def write_down(self, why: str) -> None:
        """Write down the loads that run; ``why`` ends the sentence that says why they are not whole."""
        self._supervisor.write_down(why)

    def close(self) -> None:
        """Stop the target if it was started here, and show nothing more."""
        self._targets.close()
        if self._is_main:  # the other one has the same supervisor
            self._supervisor.close()
