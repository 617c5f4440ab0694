"""Loads that Asterisk cannot keep up with, on a clock that jumps: they end by their plan all the same."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pytest_ari_sla.codecs.g711 import pcmu
from pytest_ari_sla.load.calls import call_run
from pytest_ari_sla.load.planning.plan import LoadPlan
from pytest_ari_sla.load.planning.profile import Calls, LoadProfile
from pytest_ari_sla.load.planning.voices import echo_media
from pytest_ari_sla.load.run import LoadRun
from pytest_ari_sla.load.tools import LoadTools
from pytest_ari_sla.media.transport import MediaSite
from pytest_ari_sla.session.plugins.registry import builtin_registry
from pytest_ari_sla.topologies.echo import Echo
from pytest_ari_sla.udp.port_leases import PortManager
from tests.unit.load import simulated
from tests.unit.load.simulated import ScriptedAsterisk, SimulatedLoop

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from pytest_ari_sla.ari_client.session import AriSession
    from pytest_ari_sla.load.results.outcome import LoadOutcome

S = 1_000_000_000
PLANNED_S = 35


class Overload:
    """A load on an Asterisk that carries out so many POST requests a second; an echo call takes two of them."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *, calls: int, posts_per_s: float, planned_s: int = PLANNED_S
    ) -> None:
        monkeypatch.setattr(simulated, "MEASURE_NS", S)  # well within the loss limit
        monkeypatch.setattr(call_run, "POLL_S", 0.1)
        self.loop = SimulatedLoop()
        self.asterisk = ScriptedAsterisk(self.loop, posts_per_s=posts_per_s)
        self.asterisk.serve(monkeypatch)
        registry = builtin_registry()
        self._tools = LoadTools(
            endpoint=None,  # type: ignore[arg-type] # the scripted Asterisk has none
            site=MediaSite("127.0.0.1", PortManager(host="127.0.0.1")),
            trackers=list(registry.trackers.values()),
            owners=registry.owners,
            open_relay=None,  # type: ignore[arg-type] # an echo needs no relay
            preflight=_nothing_to_check,
            echo_extension=("default", "echo"),
            id_prefix="sla-soak",
            listener=registry.hook_calls,
            clock=self.loop.clock,
            make_measurer=self.loop.make_measurer,
        )
        profile = LoadProfile((Calls("hold", calls, calls, planned_s * S),))
        plan = LoadPlan(profile, Echo(), echo_media(pcmu(), 20), 20, self.loop.transport, realtime=False)
        self._run = LoadRun(plan, self._tools, lambda progress: None)

    def run(self, meanwhile: Callable[[LoadRun], None] = lambda run: None) -> LoadOutcome:
        """Make the load; ``meanwhile`` is called when it begins."""

        async def begin() -> None:
            meanwhile(self._run)

        with asyncio.Runner(loop_factory=lambda: self.loop) as runner, self._tools.site.ports:
            return runner.run(self._run.run(begin))


async def _nothing_to_check(ari: AriSession, plan: LoadPlan) -> list[str]:
    return []


def test_calls_that_come_up_late_end_by_their_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last of 20 calls comes up after 20 s: the load of 35 s takes 35 s, and not 55."""
    outcome = Overload(monkeypatch, calls=20, posts_per_s=2).run()
    counts = outcome.total
    assert counts.count("calls.established") == counts.count("calls.ended") == 20
    assert PLANNED_S * S <= outcome.duration_ns < (PLANNED_S + 5) * S
    assert counts.count("loss.lost") == 0
    (told,) = [note for note in outcome.notes if "came up late" in note]
    assert "20.0 s after their start at most" in told


def test_calls_that_are_not_up_when_they_should_have_ended_are_not_built_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """30 calls would need 60 s: those that are not up after 36 s have failed, and say why in one and the same way."""
    outcome = Overload(monkeypatch, calls=30, posts_per_s=1).run()
    counts = outcome.total
    assert 0 < counts.count("calls.established") < 30
    assert counts.count("calls.established") + counts.count("calls.failed") == 30
    assert outcome.duration_ns < (PLANNED_S + 5) * S
    reasons = {call.reason for call in outcome.calls if call.state == "failed"}
    assert reasons == {"it was not set up 36 s after its start, when its time was over"}
    assert counts.count("calls.leaked") == 0


def test_a_load_that_is_ended_in_a_hurry_does_not_set_up_the_calls_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have neither failed nor been dropped."""
    overload = Overload(monkeypatch, calls=20, posts_per_s=1)

    def end_soon(run: LoadRun) -> None:
        overload.loop.call_later(5, lambda: run.end_early(hurried=True))

    outcome = overload.run(end_soon)
    assert outcome.duration_ns < 8 * S
    assert outcome.total.count("calls.failed") == outcome.total.count("calls.dropped") == 0
