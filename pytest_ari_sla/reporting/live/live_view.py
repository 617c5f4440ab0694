"""How a running load is shown: a picture in, something for rich to print out. Pure; see :mod:`.live_console`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from pytest_ari_sla.metrics.units import counted
from pytest_ari_sla.reporting.wording.text import clean
from pytest_ari_sla.reporting.wording.values import show, show_clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from pytest_ari_sla.reporting.live.live_state import LiveShard, LiveState, LiveThreshold

__all__ = ["live_line", "live_view"]

_WIDE: Final = 110
_EVENTS: Final = 3
_SHARDS: Final = 8
_LATE_S: Final = 0.005
# Stalls of over 20 ms were seen only above 60 % of a core.
_BUSY: Final = 0.7
_MARKS: Final = {True: ("ok", "green"), False: ("BROKEN", "bold red"), None: ("?", "dim")}


def live_view(state: LiveState, width: int) -> RenderableType:
    """Return the picture of a load for a terminal of ``width`` columns."""
    tables = [_figures(state), _thresholds(state)]
    body: RenderableType = _side_by_side(tables) if width >= _WIDE else Group(*tables)
    return Group(
        Rule(Text(clean(_title(state), 200), style="bold"), style="dim", align="left"),
        _progress(state, width),
        Text(_calls(state)),
        body,
        *_generator(state),
        *_events(state),
    )


def live_line(state: LiveState) -> str:
    """Return the same in one line, for logs."""
    stage = f" {state.stage.name}" if state.stage else ""
    parts = [f"{_clock(state)}{stage}", *_calls_in_line(state)]
    parts += [f"{state.failed:,} failed"] if state.failed else []
    parts += [f"{state.dropped:,} dropped"] if state.dropped else []
    parts += [
        f"{figure.metric} p99 {show(figure.recent_p99, figure.unit)}"
        if figure.whole is None
        else f"{figure.metric} {show(figure.recent, figure.unit)}"
        for figure in state.figures
        if figure.whole is not None or figure.recent_p99 is not None
    ]
    parts += [f"loss {show(state.loss_recent, 'ratio')}"] if state.loss_recent is not None else []
    broken = [threshold.expression for threshold in state.thresholds if threshold.holds is False]
    parts += [f"broken: {', '.join(broken)}"] if broken else []
    return clean(f"{_title(state)}: {'; '.join(parts)}")


def _calls_in_line(state: LiveState) -> list[str]:
    """Return how many calls there are, and what they are behind with."""
    if state.elapsed_s <= state.total_s:
        up = f"{state.calls_now:,} of {counted(state.calls_wanted, 'call')}"
        return [up, state.behind] if state.behind else [up]
    # Once the load has ended nothing is wanted any more, and its last calls are on their way out.
    if state.is_scripted:
        return [f"{counted(state.calls_now, 'call')} in conversation"]
    return [state.behind or f"{counted(state.calls_now, 'call')} to end"]


def _title(state: LiveState) -> str:
    return f"{state.scenario}, {state.step}" if state.step else state.scenario


def _clock(state: LiveState) -> str:
    elapsed = show_clock(state.elapsed_s)
    if state.is_scripted and state.elapsed_s > state.total_s:
        return elapsed
    return f"{elapsed} of {show_clock(state.total_s)}"


def _progress(state: LiveState, width: int) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(
        _bar(state, width),
        Text(_clock(state)),
        _stage_names(state),
    )
    return grid


def _bar(state: LiveState, width: int) -> ProgressBar:
    # The last calls may end late: the bar is full then. rich divides by the total.
    total_s = max(state.total_s, state.elapsed_s, 1e-9)
    return ProgressBar(total_s, state.elapsed_s, max(10, width // 3), complete_style="cyan", finished_style="cyan")


def _stage_names(state: LiveState) -> Text:
    """Return the stages in a row, the running one with the time that is left of it."""
    line = Text()
    for stage in state.stages:
        running = stage is state.stage
        left = f" ({show_clock(stage.to_s - state.elapsed_s)} left)" if running else ""
        line.append(f"{' > ' if line else ''}{clean(stage.name, 40)}{left}", style="bold" if running else "dim")
    return line


def _calls(state: LiveState) -> str:
    parts = [
        f"Calls: {state.calls_now:,} up of {state.calls_wanted:,} wanted",
        f"{state.established:,} established",
        f"{state.failed:,} failed",
    ]
    parts += [f"{state.dropped:,} dropped"] if state.dropped else []
    parts += [state.behind] if state.behind else []
    return ", ".join(parts)


def _figures(state: LiveState) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("")
    for title in (f"last {state.recent_s:g} s p50", "p99", "whole run p50", "p99"):
        table.add_column(title, justify="right", no_wrap=True)
    for figure in state.figures:
        cells = [show(value, figure.unit) for value in (figure.recent_p50, figure.recent_p99)]
        cells += [show(value, figure.unit) for value in (figure.whole_p50, figure.whole_p99)]
        if figure.whole is not None:
            cells = ["", show(figure.recent, figure.unit), "", show(figure.whole, figure.unit)]
        table.add_row(clean(figure.metric, 40), *cells)
    if state.loss_whole is not None:
        table.add_row("loss", "", show(state.loss_recent, "ratio"), "", show(state.loss_whole, "ratio"))
    if state.mos is not None:
        table.add_row("mos", "", "", show(state.mos, "mos"), "")
    return table


def _thresholds(state: LiveState) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for title in ("So far", "Threshold", "Measured"):
        table.add_column(title, justify="right" if title == "Measured" else "left")
    for threshold in state.thresholds:
        table.add_row(*_threshold(threshold))
    return table


def _threshold(threshold: LiveThreshold) -> tuple[Text, Text, Text]:
    word, style = _MARKS[threshold.holds]
    return Text(word, style=style), Text(clean(threshold.expression)), Text(show(threshold.value, threshold.unit))


def _side_by_side(tables: list[Table]) -> Table:
    grid = Table.grid(padding=(0, 6, 0, 0))
    grid.add_row(*tables)
    return grid


def _generator(state: LiveState) -> Iterator[Text]:
    """Return the health of the load generator, shard by shard; the worst ones where there are many."""
    shards = sorted(state.shards, key=lambda shard: (not _is_unwell(shard), shard.shard))
    for shard in shards[:_SHARDS]:
        parts = [counted(shard.calls, "call"), f"sends {show(shard.pacing_p99_s, 's')} late at p99"]
        parts += [f"{show(shard.cpu_ratio, 'ratio')} of a core"] if shard.cpu_ratio is not None else []
        parts += [f"{shard.receive_drops:,} own drops"] if shard.receive_drops else []
        yield Text(f"Shard {shard.shard}: {', '.join(parts)}", style="bold yellow" if _is_unwell(shard) else "dim")
    if len(shards) > _SHARDS:
        yield Text(f"and {len(shards) - _SHARDS} more shards", style="dim")


def _is_unwell(shard: LiveShard) -> bool:
    return bool(shard.receive_drops) or (shard.pacing_p99_s or 0) > _LATE_S or (shard.cpu_ratio or 0) > _BUSY


def _events(state: LiveState) -> Iterator[Text]:
    for event in state.events[-_EVENTS:]:
        yield Text.assemble(
            (f"{show_clock(event.t_s):>9}  ", "dim"), clean(event.text, 300), no_wrap=True, overflow="ellipsis"
        )
