"""Judges loads whose test is not over, and writes them into ``report.json``: a crash costs no more than a minute."""

from __future__ import annotations

import sys
from dataclasses import replace
from threading import Thread
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import SlaError
from pytest_ari_sla.judging.judged_load import JudgedLoad
from pytest_ari_sla.judging.records.scenario_record import scenario_record
from pytest_ari_sla.reporting.record.record_file import write_record
from pytest_ari_sla.session.reports.report import build_record, report_folder_of
from pytest_ari_sla.sla.verdict import Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pytest_ari_sla.judging.judged_tests import JudgedTests
    from pytest_ari_sla.judging.load_watch import LoadWatch
    from pytest_ari_sla.load.results.outcome import LoadOutcome
    from pytest_ari_sla.metrics.catalogue import Catalogue
    from pytest_ari_sla.session.reports.run_facts import RunFacts
    from pytest_ari_sla.sla.verdict import Rules

__all__ = ["InterimReport"]

_SO_FAR = "when this was written"


class InterimReport:
    """Writes what there is so far; in a thread, so that neither calls nor the fleet wait for a disk.

    Parameters
    ----------
    config, facts
        Of the session.
    catalogue
        What can be measured.
    rules
        How strictly to judge.
    judged
        The loads that are over.
    """

    def __init__(
        self,
        config: pytest.Config,
        facts: RunFacts,
        catalogue: Catalogue,
        rules: Rules,
        judged: JudgedTests,
    ) -> None:
        self._arguments = config.invocation_params.args
        self._facts = facts
        self._catalogue = catalogue
        self._rules = rules
        self._judged = judged
        self._writer: Thread | None = None
        self._over: list[LoadWatch] = []

    def keep(self, watch: LoadWatch) -> None:
        """Remember a load that is over until its test has been judged: that may go on for hours, with other loads."""
        self._over = [*self._unjudged(), watch]  # without those judged since: a run of hours has many

    def write(self, running: Sequence[LoadWatch], why: str = _SO_FAR) -> None:
        """Begin to write what there is so far; left out while the last writing lasts, unless this is the last word.

        Parameters
        ----------
        running
            The loads that run.
        why
            Why no more of them is known, as the end of a sentence; it is not left out.
        """
        before = self._writer if self._writer is not None and self._writer.is_alive() else None
        if before is not None and why == _SO_FAR:
            return
        cut_short = self._outcomes(running, why)  # now: loads go on while the thread writes
        arguments = (self._judged.loads(), cut_short, before)
        self._writer = Thread(target=self._write, args=arguments, name="ari-sla interim report", daemon=True)
        self._writer.start()

    def judge(self, running: Sequence[LoadWatch], why: str) -> dict[str, list[JudgedLoad]]:
        """Judge all loads of tests that nobody else will judge; see :meth:`write`."""
        found: dict[str, list[JudgedLoad]] = {}
        for watch, outcome in self._outcomes(running, why):
            found.setdefault(watch.test, []).append(self._judge(watch, outcome))
        return found

    def close(self) -> None:
        """Wait until nothing is written any more."""
        if self._writer is not None:
            self._writer.join()

    def _unjudged(self) -> list[LoadWatch]:
        return [watch for watch in self._over if not self._judged.knows(watch.test)]

    def _outcomes(self, running: Sequence[LoadWatch], why: str) -> list[tuple[LoadWatch, LoadOutcome]]:
        self._over = self._unjudged()
        over = [(watch, watch.outcome(f"This load was over, but its test was not, {why}.")) for watch in self._over]
        return over + [
            (
                watch,
                watch.outcome(
                    f"This load was still running, {watch.elapsed_ns / 1e9:.0f} s after its beginning, {why}."
                ),
            )
            for watch in running
        ]

    def _write(
        self, judged: list[JudgedLoad], cut_short: list[tuple[LoadWatch, LoadOutcome]], before: Thread | None
    ) -> None:
        if before is not None:
            before.join()  # else it might write over this
        try:
            loads = [*judged, *(self._judge(*one) for one in cut_short)]
            write_record(build_record(self._facts, loads, self._arguments), report_folder_of(self._facts))
        except (OSError, SlaError) as error:
            # The load goes on: the report at its end says the same again, and may say it better.
            sys.stderr.write(f"the interim report could not be written: {error}\n")

    def _judge(self, watch: LoadWatch, outcome: LoadOutcome) -> JudgedLoad:
        """Judge a load by what there is of it: it can have failed already, but not have passed."""
        told = watch.description
        thresholds = [sourced.threshold for sourced in told.thresholds]
        judgement = judge(thresholds, outcome.total, outcome.series, self._rules, cut_short=True)
        if judgement.verdict is not Verdict.FAIL:
            judgement = replace(judgement, verdict=Verdict.INCONCLUSIVE, reason=outcome.notes[0])
        scenario = scenario_record(
            watch.name, told.doc, outcome, judgement, told.thresholds, self._catalogue, comparable=False
        )
        return JudgedLoad(scenario)
