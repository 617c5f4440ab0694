"""What scripts come to, over all calls and of one."""

from __future__ import annotations

from pytest_ari_sla.callers.detector import SpeechChange
from pytest_ari_sla.callers.meter import ScriptMeter, figures_of
from pytest_ari_sla.callers.script import ScriptMachine
from pytest_ari_sla.callers.steps import hang_up, listen
from pytest_ari_sla.metrics.histogram import Histogram

S = 1_000_000_000


def machine(speech_at_ns: int | None, until_ns: int = 20 * S) -> ScriptMachine:
    """Return a script that has been greeted, or has waited in vain."""
    one = ScriptMachine([listen(within="5s"), hang_up()], {}, 0)
    one.advance(0)
    if speech_at_ns is not None:
        one.heard(SpeechChange(0, True, speech_at_ns))
        one.heard(SpeechChange(0, False, speech_at_ns + S))
        one.advance(speech_at_ns + S + 1)
    one.advance(until_ns)
    return one


def test_scripts_are_counted_by_what_came_of_them() -> None:
    """One that was cut short has neither been completed nor failed."""
    meter = ScriptMeter()
    for one in (machine(S), machine(2 * S), machine(None), machine(S, until_ns=S)):
        meter.take(one)
    values = meter.values()
    counts = {name: value for name, value in values.items() if isinstance(value, int)}
    assert counts == {"script.runs": 3, "script.completed": 2, "script.failed": 1, "script.step_timeouts": 1}
    greeting, dead_air = values["greeting"], values["dead_air"]
    assert isinstance(greeting, Histogram)
    assert isinstance(dead_air, Histogram)
    assert (greeting.count, greeting.min, greeting.max) == (3, S, 2 * S)
    assert dead_air.max == 20 * S


def test_the_figures_of_a_call_are_its_worst_in_seconds() -> None:
    """What did not happen has none."""
    one = machine(S)
    one.talk.turns += [S, 3 * S]
    assert figures_of(one.talk) == {"greeting": 1.0, "turn": 3.0, "dead_air": 1.0}
    assert figures_of(machine(None).talk) == {"dead_air": 20.0}
