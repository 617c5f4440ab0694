"""What ``--sla-baseline`` does to a verdict: a figure that became worse than allowed fails the scenario."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from pytest_ari_sla.reporting.comparison import with_baseline
from pytest_ari_sla.reporting.record.record_file import read_record
from pytest_ari_sla.sla.baseline import FLOOR_S
from pytest_ari_sla.sla.guards import reaching_guards, tripped_guards
from pytest_ari_sla.sla.verdict import Verdict, worst_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.metrics.catalogue import Catalogue
    from pytest_ari_sla.metrics.snapshot import Snapshot
    from pytest_ari_sla.reporting.record.run_record import BaselineComparison, Comparison, RunRecord, Scenario
    from pytest_ari_sla.settings import Settings
    from pytest_ari_sla.sla.guards import Guard

__all__ = ["Baseline", "judge_change"]


@dataclass(frozen=True)
class Baseline:
    """An earlier run to compare with.

    Attributes
    ----------
    record
        Its report.
    source
        Where that was read from.
    max_regression
        Relative change for the worse that is accepted: 0.1 for 10 %.
    floor_s
        Time by which a figure in seconds may get worse in any case.
    """

    record: RunRecord
    source: str
    max_regression: float
    floor_s: float = FLOOR_S

    @classmethod
    def from_settings(cls, settings: Settings) -> Baseline | None:
        """Read the baseline that the settings name; None where they name none.

        Raises
        ------
        UsageError
            The file is no report of this tool.
        """
        if settings.baseline is None:
            return None
        record = read_record(Path(settings.baseline))
        return cls(record, settings.baseline, settings.max_regression, settings.baseline_floor_s)

    def judge(self, scenario: Scenario, measured: Snapshot, catalogue: Catalogue, pacing_error_s: float) -> Scenario:
        """Return a scenario with the comparison, and with the verdict that follows from it.

        A regression fails the scenario; where the load generator itself may have caused it, the scenario is
        inconclusive (see :mod:`pytest_ari_sla.sla.guards`). A verdict never becomes better.

        Parameters
        ----------
        scenario
            Judged by its thresholds.
        measured
            Everything that was measured.
        catalogue
            All metrics.
        pacing_error_s
            The largest pacing error that is put up with.
        """
        compared = with_baseline(
            scenario, self.record, catalogue, self.max_regression, self.source, floor_s=self.floor_s
        )
        if compared is None:
            note = f"The baseline ({self.source}) has no scenario of this name: nothing was compared."
            return replace(scenario, notes=[*scenario.notes, note])
        return judge_change(scenario, compared, measured, catalogue, pacing_error_s)


def judge_change(
    scenario: Scenario, compared: BaselineComparison, measured: Snapshot, catalogue: Catalogue, pacing_error_s: float
) -> Scenario:
    """Return a scenario with a comparison, and with the verdict that follows from it.

    Parameters
    ----------
    scenario
        Judged by its thresholds.
    compared
        What came of comparing it.
    measured
        Everything that was measured, by all loads that were made for the comparison.
    catalogue, pacing_error_s
        As in :meth:`Baseline.judge`.
    """
    guards = tripped_guards(measured, pacing_error_s)
    figures = [
        _excused(item, guards, measured, catalogue) if item.verdict == "worse" else item
        for item in compared.comparisons
    ]
    scenario = replace(scenario, baseline=replace(compared, comparisons=figures))
    # Those without an excuse first: one of them fails the scenario, whatever is said of the others.
    worse = sorted((item for item in figures if item.verdict == "worse"), key=lambda item: bool(item.excuse))
    if not worse:
        return scenario
    sentence = _sentence(worse[0])
    verdict = worst_of((Verdict(scenario.verdict), Verdict.INCONCLUSIVE if worse[0].excuse else Verdict.FAIL))
    if verdict is Verdict(scenario.verdict):
        return replace(scenario, reason="; ".join((scenario.reason, sentence)))
    more = f" (and {len(worse) - 1} more)" if len(worse) > 1 else ""
    return replace(scenario, verdict=verdict.value, reason=sentence + more)


def _excused(comparison: Comparison, guards: Sequence[Guard], measured: Snapshot, catalogue: Catalogue) -> Comparison:
    """Return a comparison with the faults of the load generator that may have made the figure worse."""
    parts = comparison.metric.split(".")
    # Names and stats both hold dots (loss.ratio, p99.9): the longest part that names a metric is its name.
    prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    metric = next((catalogue.lookup(name) for name in prefixes if name in catalogue), None)
    if metric is None:
        return comparison  # a capacity: no step of its search counts that the generator has spoilt
    stat = comparison.metric.removeprefix(metric.name).removeprefix(".") or None
    before, after = comparison.before, comparison.after
    excuses = [
        guard.reason
        for guard in (*guards, *reaching_guards(metric, stat, measured))
        if guard.spoils_failure(metric)
        and (before is None or after is None or guard.may_decide(metric, after, lambda value: value <= before))
    ]
    return replace(comparison, excuse=" and ".join(excuses))


def _sentence(comparison: Comparison) -> str:
    excuse = f"; inconclusive, since {comparison.excuse}" if comparison.excuse else ""
    return f"Regression: {comparison.sentence}{excuse}"
