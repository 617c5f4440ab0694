"""What a whole run came to against an earlier one, or against another target: whether one may upgrade."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from pytest_ari_sla.reporting.record.record_figures import Change, RunComparison

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.reporting.record.run_record import BaselineComparison, Comparison, Scenario, Target

__all__ = ["compare_all", "compared_with", "target_name"]

_ORDER: Final = ("worse", "cannot tell", "better", "same")
_WORDS: Final = {"worse": "worse", "cannot tell": "not told apart", "better": "better", "same": "the same"}


def target_name(target: Target) -> str:
    """Return what a target is called beside another one."""
    return f"{target.kind} {target.version} at {target.url}"


def compared_with(baseline: BaselineComparison) -> str:
    """Return the heading of a scenario's comparison."""
    if baseline.in_turns:
        return f"Against {baseline.target}, both loaded in turns"
    return f"Against the baseline, run {baseline.run_id}"


def compare_all(scenarios: Sequence[Scenario], after: str) -> RunComparison | None:
    """Return the verdict over all scenarios; None where nothing was compared.

    Parameters
    ----------
    scenarios
        Those of the run, with their comparisons.
    after
        What the run has tested.
    """
    compared = [(scenario, scenario.baseline) for scenario in scenarios if scenario.baseline is not None]
    if not compared:
        return None
    figures = [item for _, baseline in compared for item in baseline.comparisons]
    counts = Counter(map(_verdict, figures))
    broken = [
        scenario.nodeid
        for scenario, baseline in compared
        # A figure that became worse speaks for itself: the same fault is not told twice.
        if scenario.verdict == "fail" and baseline.verdict_before == "pass" and not _is_worse(baseline)
    ]
    unknown = [scenario.nodeid for scenario, baseline in compared if not _is_known(scenario, baseline)]
    verdict: Change = "same"
    if counts["worse"] or broken:
        verdict = "worse"
    elif unknown:
        verdict = "cannot tell"
    elif counts["better"]:
        verdict = "better"
    before = next((baseline.target for _, baseline in compared if baseline.target), "")
    return RunComparison(
        verdict=verdict,
        sentence=_sentence(verdict, figures, counts, broken, unknown),
        before=before,
        after=after,
        counts={name: counts[name] for name in _ORDER},
    )


def _verdict(item: Comparison) -> str:
    return "cannot tell" if item.excuse else item.verdict


def _is_worse(baseline: BaselineComparison) -> bool:
    return any(item.verdict == "worse" for item in baseline.comparisons)


def _is_known(scenario: Scenario, baseline: BaselineComparison) -> bool:
    """Tell whether a scenario says something: of its limits' figures each one, and at least one at all."""
    judged = {f"{item.metric}.{item.stat}" if item.stat else item.metric for item in scenario.thresholds}
    told = [item for item in baseline.comparisons if _verdict(item) != "cannot tell"]
    untold = [item for item in baseline.comparisons if _verdict(item) == "cannot tell" and item.metric in judged]
    return bool(told) and not untold


def _sentence(
    verdict: Change, figures: Sequence[Comparison], counts: Counter[str], broken: Sequence[str], unknown: Sequence[str]
) -> str:
    told = ", ".join(f"{counts[name]} {_WORDS[name]}" for name in _ORDER if counts[name])
    text = f"The change is {verdict}" if verdict in ("better", "worse") else "Nothing has changed for the worse"
    if verdict == "cannot tell":
        text = "Whether anything has changed cannot be told"
    text += f": of {len(figures):,} figures {told}" if figures else ": there is no figure to compare"
    worst = [item.sentence for item in figures if _verdict(item) == "worse"]
    if worst:
        text += f"; {worst[0]}"
    if broken:
        text += f"; {', '.join(broken)} passed before and fails now"
    if verdict == "cannot tell":
        text += f"; too little is known of {', '.join(unknown)}"
    return text
