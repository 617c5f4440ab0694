"""The summary at the end of a session: what broke, by how much, since when, and where to look next."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from pytest_ari_sla.metrics.units import counted
from pytest_ari_sla.reporting.figures import number, sections, shown_in, single_figure
from pytest_ari_sla.reporting.findings import excess, findings, since_when
from pytest_ari_sla.reporting.run_comparison import compared_with
from pytest_ari_sla.reporting.wording.text import clean
from pytest_ari_sla.reporting.wording.values import show, show_change, show_clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from pytest_ari_sla.reporting.record.run_record import (
        BaselineComparison,
        Comparison,
        ReportSection,
        RunRecord,
        Scenario,
        Threshold,
    )

__all__ = ["sections_text", "summary_text", "terminal_summary"]

VERDICT_STYLE: Final = {"pass": "bold green", "fail": "bold red", "inconclusive": "bold yellow", "xfail": "yellow"}
_INDENT: Final = 2
_WIDE: Final = 110
_STATS: Final = ("p50", "p90", "p99", "p999", "max")
_NARROW_STATS: Final = ("p50", "p99", "max")
_CHANGES: Final = ("worse", "cannot tell", "better", "same")
_CHANGE_STYLE: Final = {"worse": "bold red", "better": "bold green", "cannot tell": "yellow"}
_THRESHOLD_COLUMNS: Final = ("Verdict", "Threshold", "Measured", "Off by", "Since", "In words")


def summary_text(record: RunRecord, *, width: int, colour: bool, report: str = "") -> str:
    """Return the summary as text of at most ``width`` columns.

    Parameters
    ----------
    record
        The run.
    width
        Columns of the terminal.
    colour
        Whether escape sequences may be used; False off a terminal.
    report
        Path of the report to point to; empty where none was written.
    """
    return _as_text(terminal_summary(record, wide=width >= _WIDE, report=report), width, colour=colour)


def sections_text(record: RunRecord, *, width: int, colour: bool) -> str:
    """Return what plug-ins have added to a record, as text; parameters as in :func:`summary_text`."""
    parts = [part for section in sections(record) for part in (Text(), *_section(section))]
    return _as_text(Group(*parts, Text()), width, colour=colour) if parts else ""


def _as_text(shown: RenderableType, width: int, *, colour: bool) -> str:
    console = Console(
        file=StringIO(),
        width=width,
        # It prints into a string, which rich would take for no terminal.
        force_terminal=colour,
        color_system="standard" if colour else None,
        highlight=False,
    )
    with console.capture() as capture:
        console.print(shown)
    # rich fills lines up with blanks, which a log would keep.
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def terminal_summary(record: RunRecord, *, wide: bool = True, report: str = "") -> RenderableType:
    """Return the summary for rich to print; see :func:`summary_text`."""
    parts: list[RenderableType] = []
    for scenario in record.scenarios:
        parts += [Text(), *_scenario(scenario, wide=wide)]
    for section in sections(record):
        parts += [Text(), *_section(section)]
    return Group(*parts, *_closing(record, report))


def _section(section: ReportSection) -> Iterator[RenderableType]:
    """Return a part that a plug-in has added."""
    yield Text(clean(section.title), style="bold")
    yield from (_indented(Text(clean(paragraph))) for paragraph in section.paragraphs)
    if section.columns:
        table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0), show_edge=False, pad_edge=False)
        for title in section.columns:
            # As Text: of a str rich would read ``[PCMU]`` as markup.
            table.add_column(Text(clean(title)), overflow="fold")
        for row in section.rows:
            table.add_row(*(Text(clean(cell)) for cell in row))
        yield _indented(table)


def _scenario(scenario: Scenario, *, wide: bool) -> Iterator[RenderableType]:
    yield Text.assemble(_verdict(scenario.verdict), " ", (clean(scenario.nodeid), "bold"))
    yield _indented(Text(clean(scenario.reason))) if scenario.reason else Text()
    # Where it broke its limit, the reason is that sentence already.
    if scenario.capacity and scenario.capacity.sentence not in scenario.reason:
        yield _indented(Text(clean(f"{scenario.capacity.sentence}.")))
    yield _indented(Text(_load_line(scenario), style="dim"))
    if scenario.thresholds:
        yield from (Text(), _indented(_threshold_table(scenario, wide=wide)))
        yield from map(_indented, _overrides(scenario))
        if any(threshold.marginal for threshold in scenario.thresholds):
            yield _indented(Text("~ too close to the limit, or too few samples, to be sure", style="dim"))
    if scenario.baseline and scenario.baseline.comparisons:
        yield Text()
        yield from map(_indented, _baseline(scenario.baseline, wide=wide))
    if key_figures := _figure_table(scenario, wide=wide):
        yield from (Text(), _indented(key_figures))
    for line in _count_lines(scenario):
        yield _indented(Text(line))
    if hints := findings(scenario):
        yield from (Text(), _indented(Text("Where to look next", style="bold")))
        yield from (_bullet(hint) for hint in hints)
    yield from (_bullet(f"{path}, beside the report", "evidence") for path in scenario.evidence)
    # What ended the load is its reason and a note: once is enough.
    yield from (_bullet(note, "note") for note in scenario.notes if note not in scenario.reason)


def _closing(record: RunRecord, report: str) -> Iterator[RenderableType]:
    target = record.run.target
    yield Text()
    yield Rule(style="dim")
    counts = ", ".join(
        f"{number} {verdict}"
        for verdict in VERDICT_STYLE
        if (number := sum(scenario.verdict == verdict for scenario in record.scenarios))
    )
    yield Text.assemble("SLA verdict: ", _verdict(record.verdict), f"  ({counts})" if counts else "")
    yield Text(clean(f"Target: {_target_name(target.kind)} {target.version} at {target.url}"))
    if (compared := record.comparison) is not None:
        style = _CHANGE_STYLE.get(compared.verdict, "")
        yield Text.assemble("Compared: ", (compared.verdict.upper(), style))
        yield _indented(Text(clean(f"{compared.sentence} (before: {compared.before}; after: {compared.after})")))
    if record.simulated:
        yield Text("Simulated: these figures say nothing about an Asterisk.", style="yellow")
    # Behind the verdict: notes may be many, and are not what decides.
    yield from (Text(f"Note: {clean(note)}") for note in record.notes)
    if report:
        yield Text(f"Report: {clean(report)}")


def _target_name(kind: str) -> str:
    return {"external": "Asterisk", "private": "private Asterisk", "simulator": "simulator"}.get(kind, kind)


def _verdict(verdict: str) -> Text:
    return Text(verdict.upper(), style=VERDICT_STYLE.get(verdict, "bold"))


def _indented(content: RenderableType) -> Padding:
    return Padding(content, (0, 0, 0, _INDENT))


def _bullet(text: str, mark: str = "") -> Table:
    """Return a text behind a mark, wrapped under itself."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")  # of a long path nothing may be missing
    grid.add_row(f"  {mark or '-'}", Text(clean(text)))
    return grid


def _load_line(scenario: Scenario) -> str:
    """Return what was put on the target, in one line."""
    calls = scenario.calls
    if not scenario.topology:
        return "No call was made"
    parts = [
        f"{counted(calls.requested, 'call')}, {scenario.topology or '?'} topology, {scenario.codec or '?'}, "
        f"{show_clock(scenario.duration_s)}",
        f"{calls.established:,} established",
        f"{calls.failed:,} failed",
    ]
    parts += [f"{calls.dropped:,} dropped"] if calls.dropped else []
    parts += [f"{calls.not_started:,} never started"] if calls.not_started else []
    parts += [f"{calls.leaked:,} left behind"] if calls.leaked else []
    parts += [f"{calls.left_unknown:,} perhaps left behind"] if calls.left_unknown else []
    return clean(": ".join([parts[0], ", ".join(parts[1:])]))


def _threshold_table(scenario: Scenario, *, wide: bool) -> Table:
    """Return all thresholds with what was measured; columns that would be empty are left out."""
    rows = [_threshold_row(scenario, threshold) for threshold in scenario.thresholds]
    table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0), show_edge=False, pad_edge=False)
    # Off a terminal there are 80 columns: the sentence would fold all others to a few letters.
    shown = [
        (place, title)
        for place, title in enumerate(_THRESHOLD_COLUMNS)
        if any(row[place] for row in rows) and (wide or title != "In words")
    ]
    for _, title in shown:
        right = title in ("Measured", "Off by")
        fold = title in ("Threshold", "In words")
        table.add_column(title, justify="right" if right else "left", no_wrap=not fold, overflow="fold")
    for row in rows:
        table.add_row(*(row[place] for place, _ in shown))
    return table


def _overrides(scenario: Scenario) -> Iterator[Text]:
    """Say which conditions do not count, since a stronger source says something else of the same figure."""
    for threshold in scenario.thresholds:
        if threshold.overrides:
            replaced = "; ".join(threshold.overrides)
            yield Text(clean(f"{threshold.expression} ({threshold.source}) is in place of {replaced}"), style="dim")


def _threshold_row(scenario: Scenario, threshold: Threshold) -> tuple[Text, ...]:
    """Return the cells of ``_THRESHOLD_COLUMNS``."""
    beyond = excess(threshold)
    # The marker stands beside the test; of all others the reader has to know where to change them.
    source = f" [{threshold.source}]" if threshold.source not in ("", "marker") else ""
    return (
        _verdict(threshold.verdict),
        Text(clean(threshold.expression + source)),
        Text(show(threshold.value, threshold.unit) + (" ~" if threshold.marginal else "")),
        Text(show_change(beyond) if beyond is not None else ""),
        Text(clean(since_when(scenario, threshold))),
        Text(clean(threshold.sentence)),
    )


def _baseline(baseline: BaselineComparison, *, wide: bool) -> Iterator[RenderableType]:
    yield Text(clean(f"{compared_with(baseline)}: the typical interval of each"), style="bold")
    compared = [item for item in baseline.comparisons if item.before is not None]
    if compared:
        yield _baseline_table(sorted(compared, key=lambda item: _CHANGES.index(item.verdict)), wide=wide)
    if others := [item.metric for item in baseline.comparisons if item.before is None]:
        yield Text(clean(f"Not enough in these runs to compare {', '.join(others)}."), style="dim")
    if capacity := next((item for item in baseline.comparisons if item.metric == "capacity"), None):
        yield Text(clean(capacity.sentence))


def _baseline_table(comparisons: Sequence[Comparison], *, wide: bool) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0), show_edge=False, pad_edge=False)
    for title in ("Change", "Metric", "Before", "Now", "By", *(("Interval of the change",) if wide else ())):
        table.add_column(title, justify="left" if title in ("Change", "Metric") else "right", no_wrap=True)
    for item in comparisons:
        interval = (f"{show_change(item.low)} to {show_change(item.high)}",) if wide else ()
        values = (show(item.before, item.unit), show(item.after, item.unit), show_change(item.change), *interval)
        table.add_row(Text(item.verdict, style=_CHANGE_STYLE.get(item.verdict, "")), Text(clean(item.metric)), *values)
    return table


def _figure_table(scenario: Scenario, *, wide: bool) -> Table | None:
    """Return the distributions that matter most, and those with thresholds, in one table; None without any."""
    judged = (threshold.metric for threshold in scenario.thresholds)
    names = dict.fromkeys((*(item.metric for item in shown_in(scenario, "summary")), *judged))
    rows = [(name, values) for name in names if (values := scenario.metrics.get(name, {})).get("count")]
    if not rows:
        return None
    stats = _STATS if wide else _NARROW_STATS
    table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0), show_edge=False, pad_edge=False)
    table.add_column("Metric", no_wrap=True)
    for stat in ("samples", *stats):
        table.add_column("p99.9" if stat == "p999" else stat, justify="right", no_wrap=True)
    for name, values in rows:
        table.add_row(name, number(values, "count", "count"), *(number(values, stat) for stat in stats))
    return table


def _count_lines(scenario: Scenario) -> Iterator[str]:
    """Return packets lost and the like, as far as they were counted, and what else is a single figure."""
    loss = scenario.metrics.get("loss", {})
    if loss.get("sent"):
        parts = [
            f"{number(loss, 'lost', 'count')} of {number(loss, 'sent', 'count')} packets lost "
            f"({number(loss, 'ratio', 'ratio')})"
        ]
        parts += [
            f"{number(scenario.metrics[name], 'value', 'count')} {name}"
            for name in ("duplicates", "reordered", "late")
            if scenario.metrics.get(name, {}).get("value")
        ]
        yield ", ".join(parts)
    mos = scenario.metrics.get("mos", {})
    if calls := mos.get("count"):
        yield f"MOS of {counted(float(calls), 'call')}: median {number(mos, 'p50')}, lowest {number(mos, 'min')}"
    for item in shown_in(scenario, "summary"):
        if item.kind != "distribution":
            yield f"{clean(item.title)}: {single_figure(scenario, item.metric, item.unit)}"
