"""What a reader wants to know next: since when a limit was broken, by how much, and where to look.

Pure functions over a scenario of the record: the terminal, the Markdown and the HTML report all say the same.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_ari_sla.ari.call_endings import LOST
from pytest_ari_sla.blame.rules import side_of_figure
from pytest_ari_sla.blame.sentences import at_fault, sentence
from pytest_ari_sla.metrics.units import counted
from pytest_ari_sla.reporting.wording.values import show, show_change, show_clock
from pytest_ari_sla.sla.threshold import OPERATORS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_ari_sla.reporting.record.run_record import CallRow, Scenario, ShardHealth, Stage, Threshold

__all__ = ["broken_since", "excess", "findings", "series_of", "since_when", "stage_at", "when"]

_CALLS_NOW: Final = "calls.active"
_ENDINGS: Final = {"failed": "failed", "dropped": "ended too early"}
_LATE_SHARE: Final = 2.0  # less than so many times the relay's part is mostly the relay's
_LATE_S: Final = 0.001  # packets that leave later than this could leave sooner on a core of their own
_OVERLOADED_RTT_S: Final = 0.02  # where the RTT of a real Asterisk leaves its usual range
_SLOW_REQUEST_S: Final = 0.1  # one that is well answers in some milliseconds, 64 at once in 25
_MANY_TIMES: Final = 9.0  # from ten times the limit on, per cent are hard to read
_FOREIGN_SHARE: Final = 0.1  # of what was dropped: calls alone bring no foreign packets at all


def series_of(scenario: Scenario, threshold: Threshold) -> tuple[str, list[float | None]] | None:
    """Return name and values of the time series that a threshold is about; None where there is none."""
    for name in (f"{threshold.metric}.{threshold.stat}", threshold.metric):
        if values := scenario.time_series.get(name):
            return name, values
    return None


def broken_since(scenario: Scenario, threshold: Threshold) -> float | None:
    """Return the second of the load in which a failed threshold's limit was first broken; None where that is unknown.

    The record's own figure is taken where there is one, else the first interval of the time series beyond the limit.
    """
    if threshold.verdict != "fail" or threshold.broken_since_s is not None:
        return threshold.broken_since_s
    found = series_of(scenario, threshold)
    keeps = OPERATORS.get(threshold.op)
    if found is None or keeps is None:
        return None
    moments = zip(scenario.time_series["t"], found[1], strict=False)
    return next((t for t, value in moments if value is not None and not keeps(value, threshold.limit)), None)


def excess(threshold: Threshold) -> float | None:
    """Return by what share of the limit a failed threshold's value is beyond it; None where that says nothing."""
    if threshold.verdict != "fail" or threshold.value is None or not threshold.limit:
        return None
    return (threshold.value - threshold.limit) / abs(threshold.limit)


def stage_at(scenario: Scenario, t_s: float) -> Stage | None:
    """Return the stage of the load in which a moment lies."""
    return next((stage for stage in scenario.stages if stage.from_s <= t_s < stage.to_s), None)


def since_when(scenario: Scenario, threshold: Threshold) -> str:
    """Return since when a threshold is broken, and in which stage, for a table; empty where that is not known."""
    since = broken_since(scenario, threshold)
    if since is None:
        return ""
    stage = stage_at(scenario, since)
    return show_clock(since) + (f", {stage.name}" if stage else "")


def when(scenario: Scenario, t_s: float) -> str:
    """Describe a moment of a load: its time, the stage, and how many calls were up."""
    stage = stage_at(scenario, t_s)
    calls = _value_at(scenario, _CALLS_NOW, t_s)
    circumstances = [f" in stage {stage.name}"] if stage else []
    circumstances += [f" with {counted(calls, 'call')} up"] if calls is not None else []
    return show_clock(t_s) + "".join(circumstances)


def findings(scenario: Scenario) -> list[str]:
    """Return where to look next, in sentences, the most telling first; empty for a scenario that passed."""
    if scenario.verdict == "pass":
        return []
    # Blame sums all up; what we did badly comes next, since it puts all that follows in doubt.
    return [
        *_blame_findings(scenario),
        *_generator_findings(scenario),
        *_failure_findings(scenario),
        *_broken_findings(scenario),
        *_latency_findings(scenario),
        *_clock_findings(scenario),
        *_call_findings(scenario),
    ]


def _value_at(scenario: Scenario, series: str, t_s: float) -> float | None:
    """Return a time series' value in the interval that holds a moment."""
    moments = zip(scenario.time_series["t"], scenario.time_series.get(series, []), strict=False)
    earlier = [value for t, value in moments if t is not None and t <= t_s]
    return earlier[-1] if earlier else None


def _blame_findings(scenario: Scenario) -> Iterator[str]:
    """Tell whose fault the bad calls are."""
    groups = [(group.side, group.why, group.calls) for group in scenario.blame]
    if words := sentence(groups, scenario.calls.requested):
        yield f"{words}."


def _generator_findings(scenario: Scenario) -> Iterator[str]:
    """Tell what this tool itself did badly: nothing else can be believed before that is known."""
    for shard in scenario.harness:
        if shard.receive_drops:
            yield _drops(shard)
        yield from (f"Shard {shard.shard}: {remark}" for remark in shard.remarks)
    if scenario.verdict == "inconclusive":
        yield from _lateness(scenario)
    if scenario.calls.not_started:
        missing = counted(scenario.calls.not_started, "call was", "calls were")
        yield f"{missing} never started: the generator could not keep the rate."


def _drops(shard: ShardHealth) -> str:
    """Tell why packets were dropped here: by the generator's own fault, unless others have filled its buffers."""
    if _is_flooded(shard):
        senders = ", ".join(shard.foreign_senders) or "addresses that are not told"
        return (
            f"Packets that no call expects filled the receive buffers of shard {shard.shard}: "
            f"{shard.foreign_packets:,} were read, {shard.receive_drops:,} dropped, the calls' own among them. They "
            f"came from {senders}: stop what sends them, or take other ports (--ari-rtp-ports)."
        )
    drops = counted(shard.receive_drops, "packet")
    return (
        f"This generator (shard {shard.shard}) dropped {drops} itself: its loss figures are "
        "not Asterisk's. Use fewer calls per worker, or a larger net.core.rmem_max."
    )


def _is_flooded(shard: ShardHealth) -> bool:
    return bool(shard.receive_drops) and shard.foreign_packets > shard.receive_drops * _FOREIGN_SHARE


def _lateness(scenario: Scenario) -> Iterator[str]:
    """Tell which shard sent latest, where nothing can be said about the target."""
    late = [shard for shard in scenario.harness if (shard.pacing_p99_s or 0.0) >= _LATE_S]
    shards = [shard for shard in late if not _is_flooded(shard)]
    if shards:
        latest = max(shards, key=lambda shard: shard.pacing_p99_s or 0.0)
        busy = f", using {show(latest.cpu_ratio, 'ratio')} of a core" if latest.cpu_ratio else ""
        yield (
            f"This generator (shard {latest.shard}) sent packets {show(latest.pacing_p99_s, 's')} late at p99{busy} "
            f"({latest.scheduler or 'scheduler unknown'}): give it a core of its own, or use fewer calls per worker."
        )


def _failure_findings(scenario: Scenario) -> Iterator[str]:
    """Group calls that failed or were dropped by their reason, whatever their ids; not where blame has told it."""
    groups: dict[tuple[str, str], list[float | None]] = {}
    for call in scenario.call_table:
        if call.outcome in LOST and call.reason and not any(call.reason in group.why for group in scenario.blame):
            lasted_s = None if call.ended_s is None else call.ended_s - call.started_s
            groups.setdefault((call.outcome, _without_ids(call)), []).append(lasted_s)
    # Three: where everything breaks at once, many calls have words of their own.
    for (outcome, reason), times in sorted(groups.items(), key=lambda group: -len(group[1]))[:3]:
        calls = counted(len(times), "call")
        yield f"{calls} {_ENDINGS[outcome]}{_after(times) if outcome == 'dropped' else ''}: {reason}"


def _without_ids(call: CallRow) -> str:
    """Return why a call failed, without the ids of its channels, which begin with its own."""
    # Else each call would be a group of its own.
    reason = re.sub(rf"\bchannel {re.escape(call.id)}[\w.-]*", "its channel", call.reason)
    return re.sub(rf"(?<![\w.-]){re.escape(call.id)}[\w.-]*", "{id}", reason)


def _after(times: Sequence[float | None]) -> str:
    """Return how long after their start calls ended, where that is known of all."""
    known = [time_s for time_s in times if time_s is not None]
    if not known or len(known) < len(times):
        return ""
    first, last = f"{min(known):.1f}", f"{max(known):.1f}"
    whose = "its" if len(times) == 1 else "their"
    return f", {first} s after {whose} start" if first == last else f", {first} to {last} s after {whose} start"


def _broken_findings(scenario: Scenario) -> Iterator[str]:
    """Tell of each broken limit by how much, and since when."""
    for threshold in scenario.thresholds:
        if threshold.verdict == "fail":
            since, beyond = broken_since(scenario, threshold), excess(threshold)
            moment = f", first at {when(scenario, since)}" if since is not None else ""
            missed = f"{threshold.expression} was missed{_amount(beyond)}{moment}"
            side = side_of_figure(threshold.metric)
            yield f"{missed if side is None else at_fault(missed, side.value)}."


def _amount(beyond: float | None) -> str:
    if not beyond:
        return ""
    if beyond >= _MANY_TIMES:
        return f": it was {show_change(beyond)} the limit"
    return f" by {show_change(abs(beyond)).removeprefix('+')}"


def _latency_findings(scenario: Scenario) -> Iterator[str]:
    """Tell which part of the way the time was spent on, where the metrics can say so."""
    if not any(threshold.verdict == "fail" and threshold.metric.startswith("rtt") for threshold in scenario.thresholds):
        return
    rtt, relay, request = (_p99(scenario, name) for name in ("rtt", "relay_rtt", "ari.request"))
    if rtt and rtt > _OVERLOADED_RTT_S and scenario.metrics.get("loss", {}).get("lost") == 0:
        yield (
            "No packet was lost: Asterisk was late, not deaf. An overloaded Asterisk lets packets wait in its sockets "
            "before it drops any; look at its CPU in that time."
        )
    if rtt and relay and rtt < _LATE_SHARE * relay:
        yield f"The relay's own leg took {show(relay, 's')} at p99: most of the delay is in the service."
    if request and request > _SLOW_REQUEST_S:
        yield f"ARI requests were slow as well ({show(request, 's')} at p99): look at Asterisk's own load and locks."


def _clock_findings(scenario: Scenario) -> Iterator[str]:
    """Tell of time stamps that run by another clock than the codec's: jitter is reckoned by them."""
    # Usual with G.722: its RTP clock is 8,000 Hz by an old mistake that the RFC keeps (RFC 3551, 4.5.2).
    legs = scenario.metrics.get("timestamp", {}).get("wrong_clock")
    if not legs:
        return
    speed = scenario.metrics.get("timestamp.speed", {})
    ends = [value for value in (speed.get("min"), speed.get("max")) if isinstance(value, int | float)]
    times = f" {show(max(ends, key=lambda value: abs(value - 1)), 'count')} times" if ends else " another rate than"
    yield (
        f"{counted(float(legs), 'leg')} received time stamps that run at{times} the codec's RTP clock: the "
        "jitter of these legs says nothing. The sender uses another clock rate than RFC 3551 gives the codec (8,000 Hz "
        "for G.722, though it samples 16,000 times a second)."
    )


def _call_findings(scenario: Scenario) -> Iterator[str]:
    """Point to the worst call and its packets."""
    for call in scenario.worst_calls[:1]:
        packets = f"; its packets: {call.capture}" if call.capture else ""
        yield f"Worst call ({call.id}): {call.why[:1].lower()}{call.why[1:].rstrip('.')}{packets}."
    if scenario.calls.leaked:
        yield f"{counted(scenario.calls.leaked, 'call was', 'calls were')} left behind on the target."
    if scenario.calls.left_unknown:
        unknown = counted(scenario.calls.left_unknown, "call was", "calls were")
        yield (
            f"Whether {unknown} left behind on the target could not be asked; when "
            "it answers again, `ari-sla sweep URL` removes what is left."
        )


def _p99(scenario: Scenario, metric: str) -> float | None:
    value = scenario.metrics.get(metric, {}).get("p99")
    return float(value) if isinstance(value, int | float) else None
