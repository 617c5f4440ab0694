"""Hours of load in simulated time: what is kept of it must not grow. ``make soak`` takes six of them.

Real are the load with its driver, its ARI session, its measurer with all built-in trackers, its time series, the watch
over it, the live lines and the interim reports; see :mod:`tests.unit.load.simulated` for what is not.
"""

from __future__ import annotations

import asyncio
import gc
import io
import os
import sys
import types
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pytest_ari_sla.ari_client import watches as watching
from pytest_ari_sla.codecs.g711 import pcmu
from pytest_ari_sla.judging import load_watch
from pytest_ari_sla.judging.judged_tests import JudgedTests
from pytest_ari_sla.judging.thresholds import SourcedThreshold
from pytest_ari_sla.load import run as load_run
from pytest_ari_sla.load.calls import call_driver, call_run
from pytest_ari_sla.load.meters import control_meter
from pytest_ari_sla.load.planning.plan import LoadPlan
from pytest_ari_sla.load.planning.profile import Calls, LoadProfile
from pytest_ari_sla.load.planning.voices import echo_media
from pytest_ari_sla.load.results import load_series
from pytest_ari_sla.load.run import LoadProgress, LoadRun
from pytest_ari_sla.load.tools import LoadTools
from pytest_ari_sla.media import caller_worker
from pytest_ari_sla.media.transport import MediaSite
from pytest_ari_sla.metrics.time_series import TimeSeries
from pytest_ari_sla.reporting.live.live_console import LiveConsole
from pytest_ari_sla.session import supervisor
from pytest_ari_sla.session.loads.load_job import LoadJob
from pytest_ari_sla.session.plugins.registry import builtin_registry
from pytest_ari_sla.session.reports.interim_report import InterimReport
from pytest_ari_sla.session.reports.run_facts import RunFacts
from pytest_ari_sla.session.supervisor import Supervisor
from pytest_ari_sla.settings import Settings
from pytest_ari_sla.sla.threshold import parse
from pytest_ari_sla.sla.verdict import Rules
from pytest_ari_sla.targets.target import Target
from pytest_ari_sla.topologies.echo import Echo
from pytest_ari_sla.udp.port_leases import PortManager
from pytest_ari_sla.watch import target_watch
from tests.unit.load.simulated import ScriptedAsterisk, SimulatedLoop

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_ari_sla.ari_client.session import AriSession
    from pytest_ari_sla.load.results.outcome import LoadOutcome
    from pytest_ari_sla.metrics.catalogue import Catalogue
    from pytest_ari_sla.reporting.live.live_state import LiveState

pytestmark = pytest.mark.timeout(400)  # an hour takes some ten seconds on a machine that does nothing else

S = 1_000_000_000
HOURS = int(os.environ.get("SOAK_HOURS", "2"))
CALLS = 2
HOLDING_S = 20
TICK_S = 10.0
INTERIM_S = 1200
REFUSED_EVERY, DROPPED_EVERY = 10, 37
CODE = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType)


class Kept(NamedTuple):
    """What a load keeps at one moment.

    Attributes
    ----------
    memory_bytes
        Memory of everything that belongs to it.
    objects
        Containers in the whole process: would also show what is kept elsewhere.
    report_bytes
        Size of the latest interim report.
    """

    memory_bytes: int
    objects: int
    report_bytes: int


class Soak:
    """One load of hours, as a session that is alone makes it.

    Attributes
    ----------
    kept
        What was kept, every twenty minutes.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._loop = SimulatedLoop()
        registry = builtin_registry()
        self._supervisor = self._make_supervisor(registry.catalogue)
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
            clock=self._loop.clock,
            make_measurer=self._loop.make_measurer,
        )
        profile = LoadProfile((Calls("hold", CALLS, CALLS, HOURS * 3600 * S),), HOLDING_S * S)
        thresholds = [parse(text, registry.catalogue) for text in ("rtt.p99 < 60ms", "loss.ratio < 5%")]
        self._job = LoadJob(
            test="t.py::test_soak",
            doc="A soak.",
            number=1,
            plan=LoadPlan(profile, Echo(), echo_media(pcmu(), 20), 20, self._loop.transport, realtime=False),
            thresholds=[SourcedThreshold(threshold, "marker") for threshold in thresholds],
        )
        asterisk = ScriptedAsterisk(self._loop, refused_every=REFUSED_EVERY, dropped_every=DROPPED_EVERY)
        asterisk.serve(monkeypatch)
        self.kept: list[Kept] = []

    def _make_supervisor(self, catalogue: Catalogue) -> Supervisor:
        target = Target(kind="private", url="http://127.0.0.1:8088/ari", user="u", password="p", media_host="127.0.0.1")
        facts = RunFacts(Settings(report_folder=str(self._folder)), lambda: target)
        config = SimpleNamespace(invocation_params=SimpleNamespace(args=[]))
        self._interim = InterimReport(config, facts, catalogue, Rules(), JudgedTests())  # type: ignore[arg-type]
        return Supervisor(catalogue, Rules(), _Lines(), self._interim, lambda: None)  # type: ignore[arg-type]

    def run(self) -> LoadOutcome:
        """Let the hours pass."""
        run = self._job.run = LoadRun(self._job.plan, self._tools, self._on_progress)
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner, self._tools.site.ports:
            return runner.run(run.run(self._begin))

    async def _begin(self) -> None:
        self._supervisor.begin(self._job.test, self._job.number, self._job.describe())

    def _on_progress(self, progress: LoadProgress) -> None:
        self._supervisor.hear(self._job.test, 1, 1, progress.at_ns, progress.calls_up, progress.recent)
        assert not self._supervisor.look()
        if round(progress.at_ns / S) % INTERIM_S == 0:
            self._interim.close()
            gc.collect()
            size = (self._folder / "report.json").stat().st_size
            self.kept.append(Kept(bytes_behind(self._job, self._supervisor), len(gc.get_objects()), size))


class _Lines:
    """The live view off a terminal."""

    wanted = True

    def __init__(self) -> None:
        self._console = LiveConsole(io.StringIO(), lambda: None, interactive=False)  # type: ignore[arg-type,return-value]

    def update(self, state: LiveState) -> None:
        self._console.update(state)

    def clear(self) -> None:
        self._console.clear()


async def _nothing_to_check(ari: AriSession, plan: LoadPlan) -> list[str]:
    return []


def bytes_behind(*roots: object) -> int:
    """Return the memory of everything that can be reached from some objects, but for code."""
    seen: set[int] = set()
    waiting: list[object] = list(roots)
    total = 0
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, CODE):
            continue
        seen.add(id(item))
        total += sys.getsizeof(item)
        waiting += gc.get_referents(item)
    return total


@pytest.fixture
def soak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Soak:
    """Return a load whose bounds are reached within the first hour, and whose ticks stand for several seconds each."""
    monkeypatch.setattr(call_driver, "CALLS_KEPT", 50)
    monkeypatch.setattr(watching, "ENDED_KEPT", 100)
    monkeypatch.setattr(control_meter, "EVENTS_KEPT", 100)
    # Trackers then remember 20 s of probes, so that measuring every few seconds is often enough.
    monkeypatch.setattr(caller_worker, "LOSS_LIMIT_NS", 15 * S)
    monkeypatch.setattr(call_run, "POLL_S", 1.0)
    monkeypatch.setattr(load_run, "TICK_S", TICK_S)
    monkeypatch.setattr(target_watch, "_EVERY_S", TICK_S)
    monkeypatch.setattr(load_series, "TimeSeries", partial(TimeSeries, limit=100))
    monkeypatch.setattr(load_watch, "_INTERVALS", 50)
    monkeypatch.setattr(supervisor, "INTERIM_INTERVAL_NS", INTERIM_S * S)
    return Soak(tmp_path, monkeypatch)


def test_more_hours_keep_what_one_hour_keeps(soak: Soak) -> None:
    """Calls come, go, are refused and are dropped all the time; what stays of them is bounded, also on disk."""
    outcome = soak.run()
    counts = outcome.total
    assert outcome.duration_ns >= HOURS * 3600 * S
    assert counts.count("calls.requested") == HOURS * 3600 // HOLDING_S * CALLS
    assert counts.count("calls.failed") >= counts.count("calls.requested") // REFUSED_EVERY
    assert counts.count("calls.dropped") >= 2 * HOURS
    assert counts.count("loss.received") > 50 * CALLS * HOURS * 3600 // 2
    assert counts.count("loss.lost") == counts.count("content.altered") == counts.count("calls.leaked") == 0

    an_hour = 3600 // INTERIM_S
    first, later = soak.kept[:an_hour], soak.kept[an_hour:]
    assert len(later) >= (HOURS - 1) * an_hour - 1
    # Series hold between half of their limit and all of it, whatever the hour; reports consist of little else.
    assert max(kept.memory_bytes for kept in later) < 1.25 * max(kept.memory_bytes for kept in first)
    assert max(kept.objects for kept in later) < 1.005 * max(kept.objects for kept in first)
    assert max(kept.report_bytes for kept in later) < 2 * max(kept.report_bytes for kept in first)
