"""A summary in Markdown, for a CI job's summary page or a comment on a change."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_ari_sla.reporting.figures import headline, sections, tiles
from pytest_ari_sla.reporting.findings import excess, findings, since_when
from pytest_ari_sla.reporting.run_comparison import compared_with
from pytest_ari_sla.reporting.wording.text import clean
from pytest_ari_sla.reporting.wording.values import show, show_change, show_clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_ari_sla.reporting.record.run_record import (
        BaselineComparison,
        ReportSection,
        RunRecord,
        Scenario,
        Threshold,
    )

__all__ = ["MAX_BYTES", "render_markdown"]

MAX_BYTES: Final = 900_000
"""GitHub refuses a step summary above 1 MiB; a report of very many scenarios is cut before that."""

_MARKS: Final = {"pass": "✅", "fail": "❌", "inconclusive": "⚠️", "xfail": "☑️"}
_COMPARED: Final = {"better": "✅", "same": "✅", "worse": "❌", "cannot tell": "⚠️"}
_SPECIAL: Final = re.compile(r"[\\`*_{}\[\]#|~@]|^[-+=]|(?:(?<=^\d)|(?<=^\d\d)|(?<=^\d\d\d))[.)]")
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# GitHub makes a link of a bare address; an empty comment within it prevents that.
_LINK_STARTS: Final = re.compile(r"(?i)(?<=http)(?=s?:)|(?<=ftp)(?=:)|(?<=www)(?=\.)")


def render_markdown(record: RunRecord) -> str:
    """Return the run in GitHub's Markdown: the verdict, then each scenario, those that did not pass unfolded."""
    lines = [*_head(record)]
    for position, scenario in enumerate(record.scenarios):
        section = ["", *_scenario(scenario)]
        # GitHub counts bytes, of which each mark takes several.
        if len("\n".join([*lines, *section]).encode()) > MAX_BYTES:
            lines += ["", f"{len(record.scenarios) - position:,} more scenarios are in the report."]
            break
        lines += section
    for part in sections(record):
        added = ["", *_section(part)]
        if len("\n".join([*lines, *added]).encode()) > MAX_BYTES:
            break
        lines += added
    return "\n".join(lines) + "\n"


def _head(record: RunRecord) -> Iterator[str]:
    target = record.run.target
    yield f"## {_MARKS[record.verdict]} SLA: {record.verdict}"
    yield ""
    yield _text(headline(record))
    yield ""
    yield (
        f"Target: {_text(target.kind)} {_text(target.version)} at {_code(target.url)} · "
        f"{_text(record.run.started)} · {show_clock(record.run.duration_s)}"
    )
    if (compared := record.comparison) is not None:
        yield ""
        yield f"{_COMPARED[compared.verdict]} **Compared: {compared.verdict}.** {_text(compared.sentence)}"
        yield ""
        yield f"Before: {_text(compared.before)} · After: {_text(compared.after)}"
    if record.simulated:
        yield ""
        yield "> The target was the simulator: these figures say nothing about an Asterisk."


def _scenario(scenario: Scenario) -> Iterator[str]:
    title = f"{_MARKS[scenario.verdict]} <b>{_html(scenario.nodeid)}</b>"
    yield f"<details{'' if scenario.verdict == 'pass' else ' open'}><summary>{title}</summary>"
    yield ""
    answer = f"{scenario.capacity.sentence}." if scenario.capacity else ""
    for text in (scenario.doc, scenario.reason, answer):
        if text:
            yield from (_text(text), "")
    yield from _table([tile.label for tile in tiles(scenario)], [[tile.figure for tile in tiles(scenario)]])
    if scenario.thresholds:
        yield ""
        yield from _table(
            ["", "Threshold", "Measured", "Off by", "Since"],
            [_threshold(scenario, item) for item in scenario.thresholds],
        )
    if scenario.baseline:
        yield ""
        yield from _baseline(scenario.baseline)
    if hints := findings(scenario):
        yield from ("", "**Where to look next**", "")
        yield from (f"- {_text(hint)}" for hint in hints)
    yield from ("", "</details>")


def _section(part: ReportSection) -> Iterator[str]:
    yield f"### {_text(part.title)}"
    for paragraph in part.paragraphs:
        yield from ("", _text(paragraph))
    if part.columns:
        yield ""
        yield from _table(
            [_text(title) for title in part.columns], [[_text(cell) for cell in row] for row in part.rows]
        )


def _threshold(scenario: Scenario, item: Threshold) -> list[str]:
    beyond = excess(item)
    return [
        _MARKS[item.verdict],
        _code(item.expression),
        show(item.value, item.unit) + (" (marginal)" if item.marginal else ""),
        show_change(beyond) if beyond is not None else "",
        _text(since_when(scenario, item)),
    ]


def _baseline(baseline: BaselineComparison) -> Iterator[str]:
    yield from _table(
        ["", _text(compared_with(baseline)), "Before", "Now", "Change", "Interval of the change"],
        [
            [
                f"{_COMPARED[item.verdict]} {item.verdict}",
                _code(item.metric),
                show(item.before, item.unit),
                show(item.after, item.unit),
                show_change(item.change),
                f"{show_change(item.low)} to {show_change(item.high)}",
            ]
            for item in baseline.comparisons
        ],
    )


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield f"|{' --- |' * len(titles)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _text(text: str) -> str:
    """Return a text that Markdown and HTML take as it is: no markup, no mention, and no link from a bare address."""
    return _LINK_STARTS.sub("<!-- -->", _SPECIAL.sub(r"\\\g<0>", _plain(text)))


def _html(text: str) -> str:
    """Return the same for a line that begins with HTML: there a backslash escapes nothing (CommonMark 4.6)."""
    return _LINK_STARTS.sub("<!-- -->", _plain(text).replace("@", "@<!-- -->"))


def _plain(text: str) -> str:
    return "".join(_ENTITIES.get(character, character) for character in clean(text).strip())


def _code(text: str) -> str:
    """Return a text as code; backticks and bars cannot end it."""
    # Signs that look alike: within code a backslash escapes nothing (CommonMark 6.1).
    return f"`{clean(text).replace('`', chr(0x2BB)).replace('|', chr(0x2223))}`"
