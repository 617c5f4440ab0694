"""The media path's own share of a turn: calls to an echo before the load, and what they say of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_ari_sla.capture.kept_packets import NO_CAPTURE
from pytest_ari_sla.errors import ApplicationFailed
from pytest_ari_sla.load.planning.stages import profile_of
from pytest_ari_sla.load.planning.voices import call_media
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.units import counted

if TYPE_CHECKING:
    from pytest_ari_sla.hookspecs.topology import Call, Topology
    from pytest_ari_sla.load.planning.plan import LoadPlan
    from pytest_ari_sla.load.results.outcome import CallOutcome, LoadOutcome
    from pytest_ari_sla.load.tools import LoadTools

__all__ = ["MEDIA_PATH", "calibrating_plan", "calibrating_tools", "check_calibration", "with_media_path"]

MEDIA_PATH = "media_path"
"""The metric that a calibration gives."""

CALLS = 5
DURATION = "3s"


def calibrating_plan(plan: LoadPlan, topology: Topology) -> LoadPlan:
    """Return the load that calibrates another one: a few calls that hear themselves, in all else alike."""
    return replace(
        plan,
        profile=profile_of(calls=CALLS, duration=DURATION),
        topology=topology,
        media=call_media(topology, plan.codec, None, plan.packet_time_ms),
        script=None,
        faults=None,
    )


class _Nobody:
    """Whoever counts a load's calls is not told of those that calibrate it."""

    def call_started(self, call: Call) -> None:
        """Take note of nothing."""

    def call_ended(self, call: CallOutcome) -> None:
        """Take note of nothing."""

    def remarks(self) -> list[str]:
        """Return nothing."""
        return []


def calibrating_tools(tools: LoadTools) -> LoadTools:
    """Return what the calibrating load is made with: plug-ins are not told of its calls, and no packet is kept."""
    return replace(tools, listener=_Nobody(), capture=NO_CAPTURE)


def check_calibration(calibration: LoadOutcome) -> None:
    """Say so where a calibration tells nothing.

    Raises
    ------
    ApplicationFailed
        Nothing that its calls sent has come back to them as it was.
    """
    if calibration.total.histogram("rtt").count:
        return
    reasons = Counter(call.reason.splitlines()[0] for call in calibration.calls if call.reason)
    if reasons:
        raise ApplicationFailed(f"not one of its calls heard an echo: {reasons.most_common(1)[0][0]}")
    raise ApplicationFailed(
        "nothing that its calls sent has come back to them as it was: an echo (ari-sla bot --echo, or Echo() in the "
        "dialplan) has to send it back unchanged, in the codec of the load"
    )


def with_media_path(outcome: LoadOutcome, calibration: LoadOutcome) -> LoadOutcome:
    """Return the outcome of a load with what its calibration says of the media path, as a figure and in words."""
    round_trips = calibration.total.histogram("rtt")
    path_s = round_trips.percentile(50) / 1e9
    path = f"{path_s * 1e3:.1f} ms (p50; p99 {round_trips.percentile(99) / 1e6:.1f} ms)"
    calls = counted(calibration.total.count("calls.established"), "call")
    words = f"The media path's own share of a turn is {path}, by {calls} to an echo before the load"
    turns = outcome.total.histogram("turn")
    if turns.count:
        turn_s = turns.percentile(50) / 1e9
        words += f"; of turn.p50 ({turn_s * 1e3:.0f} ms), {(turn_s - path_s) * 1e3:.0f} ms are the application's own"
    measured = outcome.total + Snapshot({MEDIA_PATH: round_trips})
    return replace(outcome, total=measured, notes=(*outcome.notes, words))
