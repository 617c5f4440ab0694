"""What all conversations of a load came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.callers.script import Talk
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.units import counted

if TYPE_CHECKING:
    from pytest_ari_sla.callers.script import ScriptMachine

__all__ = ["ScriptMeter", "figures_of"]


class ScriptMeter:
    """The metrics of scripts; one writer: the event loop that runs the load."""

    def __init__(self) -> None:
        self._times = {name: Histogram() for name in _samples(Talk())}
        self._unheard = Histogram()
        self._runs = self._completed = self._failed = self._timeouts = 0

    def take(self, machine: ScriptMachine) -> None:
        """Count a script that is over; one that was cut short has neither been completed nor failed."""
        talk = machine.talk
        for name, values in _samples(talk).items():
            for value_ns in values:
                self._times[name].record_one(value_ns)
        for unheard_ns in talk.unheard:
            self._unheard.record_one(unheard_ns)
        if machine.is_over:
            self._runs += 1
            self._completed += not machine.failure
            self._failed += bool(machine.failure)
            self._timeouts += machine.timed_out

    def values(self) -> dict[str, Histogram | int]:
        """Return all values since the beginning, by metric name."""
        return {
            **self._times,
            "script.runs": self._runs,
            "script.completed": self._completed,
            "script.failed": self._failed,
            "script.step_timeouts": self._timeouts,
        }

    def remarks(self) -> list[str]:
        """Return what a reader of the report must know."""
        if not self._unheard.count:
            return []
        until = "until the application spoke"
        times = counted(self._unheard.count, f"time {until}", f"times {until}")
        most = f"{self._unheard.max / 1e6:.0f} ms"
        return [f"{times} may be too long, by up to {most}: packets were lost just before it was heard"]


def _samples(talk: Talk) -> dict[str, list[int]]:
    return {
        "greeting": [] if talk.greeting is None else [talk.greeting],
        "turn": talk.turns,
        "barge_in": talk.barge_ins,
        "dead_air": [] if talk.dead_air is None else [talk.dead_air],
        "talk_over": [] if talk.talk_over is None else [talk.talk_over],
        "clipped": talk.clipped,
    }


def figures_of(talk: Talk) -> dict[str, float]:
    """Return the worst of each time of one call, in s."""
    return {name: max(values) / 1e9 for name, values in _samples(talk).items() if values}
