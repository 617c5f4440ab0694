"""The words that a test uses to say how many calls when."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, SupportsIndex

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.load.planning.profile import Calls, LoadProfile, Rate
from pytest_ari_sla.metrics.units import parse_duration_ns, parse_duration_range_ns

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from pytest_ari_sla.load.planning.profile import Stage

__all__ = ["StageRequest", "hold", "profile_of", "ramp", "rate"]

_SCALING_TRIES = 4


@dataclass(frozen=True)
class StageRequest:
    """A stage as it was asked for; made by :func:`ramp`, :func:`hold` and :func:`rate`."""

    kind: str
    name: str
    duration: str
    start: float | None = None
    end: float | None = None
    holding: str = ""


def ramp(to: int, *, over: str, start: int | None = None, name: str = "ramp") -> StageRequest:
    """Change the number of calls evenly to ``to``, over a time; from where the last stage ended, or from ``start``."""
    return StageRequest("calls", name, over, start, to)


def hold(duration: str, *, calls: int | None = None, name: str = "hold") -> StageRequest:
    """Hold the number of calls that the last stage ended with, or ``calls``."""
    return StageRequest("calls", name, duration, calls, calls)


def rate(
    per_second: float, *, duration: str, holding: str, end: float | None = None, name: str = "rate"
) -> StageRequest:
    """Begin calls at a rate, whatever becomes of them (open model); each lasts ``holding``: ``20s``, or ``0s..50ms``.

    With ``end`` the rate goes evenly from ``per_second`` to it.
    """
    return StageRequest("rate", name, duration, per_second, per_second if end is None else end, holding)


def profile_of(
    *,
    calls: int | None = None,
    duration: str | None = None,
    ramp_up: str | None = None,
    stages: Sequence[StageRequest] | None = None,
    holding: str | None = None,
    hang_up: str | None = None,
    calls_override: int | None = None,
    duration_override_ns: int | None = None,
) -> LoadProfile:
    """Return the profile that a test asks for.

    Parameters
    ----------
    calls, duration, ramp_up
        So many calls for so long; with ``ramp_up`` they are started evenly over that time first.
    stages
        Instead of those: stages in sequence.
    holding
        End each call of a closed stage after this time, or one of a range, and begin the next in its place.
    hang_up
        Hang each call up so long after its first request, whatever has become of it by then: ``0ms..20ms after
        request``.
    calls_override
        The number of calls at the profile's peak, whatever the test says; everything else in proportion, but a stage
        that has calls keeps one at least.
    duration_override_ns
        The length of the profile, whatever the test says; all stages in proportion.

    Raises
    ------
    UsageError
        The words do not go together.
    """
    if stages is None:
        if calls is None or duration is None:
            raise UsageError("load() needs calls and duration, or stages")
        stages = [*([ramp(calls, over=ramp_up, start=0)] if ramp_up else []), hold(duration, calls=calls)]
    elif calls is not None or duration is not None or ramp_up is not None:
        raise UsageError("load() takes calls, duration and ramp, or stages, but not both")
    given: object = stages
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise UsageError(f"stages={stages!r}: that is a list, such as [ramp(50, over='30s'), hold('5m')]")
    least_ns, holding_ns = (None, None) if holding is None else _range_ns(holding)
    profile = LoadProfile(_resolved(stages), holding_ns, least_ns, None if hang_up is None else _hang_up_ns(hang_up))
    return _scaled(profile, calls_override, duration_override_ns)


def _range_ns(text: str) -> tuple[int | None, int]:
    """Return the shortest and the longest time of a range; for a single time there is no shortest."""
    least_ns, most_ns = parse_duration_range_ns(text)
    return (None if least_ns == most_ns else least_ns), most_ns


def _hang_up_ns(text: str) -> tuple[int, int]:
    return parse_duration_range_ns(text.removesuffix("after request"))


def _resolved(requests: Sequence[StageRequest]) -> tuple[Stage, ...]:
    """Fill in where each stage begins, and give equal names a number."""
    stages: list[Stage] = []
    calls = 0
    for request in requests:
        if not isinstance(request, StageRequest):
            raise UsageError(f"{request!r} is not a stage; make one by ramp(), hold() or rate() of pytest_ari_sla")
        name = _free_name(request.name, {stage.name for stage in stages})
        duration_ns = parse_duration_ns(request.duration)
        if request.kind == "rate":
            stages.append(_open_stage(request, name, duration_ns))
            calls = 0  # an open stage leaves no level that the next one could go on from
        else:
            start = calls if request.start is None else _whole(request.start, name)
            calls = calls if request.end is None else _whole(request.end, name)
            stages.append(Calls(name, start, calls, duration_ns))
    return tuple(stages)


def _free_name(name: str, taken: AbstractSet[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}{number}"
    return free


def _open_stage(request: StageRequest, name: str, duration_ns: int) -> Rate:
    start, end = (_number(value, name) for value in (request.start, request.end))
    least_ns, holding_ns = _range_ns(request.holding)
    stage = Rate(name, start, end, duration_ns, holding_ns, least_ns)
    # Without a rate it is a pause that somebody wants; below half a call it is a mistake.
    if duration_ns > 0 and max(start, end) > 0 and not stage.calls:
        raise UsageError(
            f"stage {name!r} makes no call: its rate comes to {stage.area(duration_ns):.2g} calls in {request.duration}"
        )
    return stage


def _whole(value: object, stage: str) -> int:
    # Python takes True for 1.
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise UsageError(f"{value!r} (stage {stage!r}) is not a whole number of calls")
    return operator.index(value)


def _number(value: object, stage: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UsageError(f"{value!r} (stage {stage!r}) is not a number of calls per second")
    return float(value)


def _scaled(profile: LoadProfile, calls: int | None, duration_ns: int | None) -> LoadProfile:
    if calls is not None:
        profile = _with_peak(profile, calls)
    if duration_ns is not None:
        stretch = duration_ns / profile.duration_ns
        stages = tuple(replace(stage, duration_ns=round(stage.duration_ns * stretch)) for stage in profile.stages)
        profile = replace(profile, stages=stages)
    return profile


def _with_peak(profile: LoadProfile, calls: int) -> LoadProfile:
    """Return a profile with so many calls at its peak."""
    factor = calls / profile.wanted_peak
    for _ in range(_SCALING_TRIES):
        scaled = replace(profile, stages=tuple(_times(stage, factor) for stage in profile.stages))
        if scaled.peak_calls() <= calls:
            break
        # Calls are whole: where stages overlap, rounding may have made one too many of them.
        factor *= 1 - 0.5 / calls
    return scaled


def _times(stage: Stage, factor: float) -> Stage:
    if isinstance(stage, Calls):
        start, end = (max(1, round(level * factor)) if level else 0 for level in (stage.start, stage.end))
        return replace(stage, start=start, end=end)
    if stage.calls:
        factor = max(factor, 1 / stage.area(stage.duration_ns))
    return replace(stage, start=stage.start * factor, end=stage.end * factor)
