"""What a test can ask for. Each fixture builds one object and closes it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from inspect import iscoroutinefunction
from itertools import count
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from pytest_asyncio import plugin as asyncio_plugin

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.fleet.stash import LOADS, load_maker_of
from pytest_ari_sla.settings import DEFAULT_CODEC, DEFAULT_TOPOLOGY, DEFAULT_TRANSPORT
from pytest_ari_sla.shard_names import name_of_test

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator, Mapping, Sequence

    from pytest_ari_sla.ari_client.session import AriSession
    from pytest_ari_sla.callers.audio import CompiledScript
    from pytest_ari_sla.callers.steps import Script
    from pytest_ari_sla.hookspecs.codec import Codec
    from pytest_ari_sla.hookspecs.topology import Topology
    from pytest_ari_sla.load.planning.profile import LoadProfile
    from pytest_ari_sla.load.planning.stages import StageRequest
    from pytest_ari_sla.load.results.result import LoadResult
    from pytest_ari_sla.media.caller_worker import CallerWorker
    from pytest_ari_sla.peers.echo.echo_process import EchoServerProcess
    from pytest_ari_sla.peers.relay.relay_client import RelayWorker
    from pytest_ari_sla.reporting.record.record_capacity import Capacity
    from pytest_ari_sla.session.loads.load_job import LoadJob
    from pytest_ari_sla.session.loads.load_maker import LoadMaker
    from pytest_ari_sla.targets.target import Target
    from pytest_ari_sla.udp.port_leases import PortManager

__all__ = ["Load", "check_runner"]

_LOOPS = ("function", "class", "module", "package", "session", "anyio")

_AWAITED = frozenset({"load", "capacity", "ari", "relay_worker", "rtp_worker"})
"""Fixtures that a test can only use from a coroutine."""


class Load:
    """Puts calls on the target; what the ``load`` fixture gives."""

    def __init__(self, item: pytest.Item, maker: LoadMaker) -> None:
        self._item = item
        self._maker = maker
        self._numbers = count(1)

    def __call__(
        self,
        *,
        calls: int | None = None,
        duration: str | None = None,
        ramp: str | None = None,
        stages: Sequence[StageRequest] | None = None,
        holding: str | None = None,
        hang_up: str | None = None,
        topology: str = DEFAULT_TOPOLOGY,
        codec: str | None = None,
        other_codec: str | None = None,
        packet_time: str | None = None,
        until: str | None = None,
        digits: str = "",
        script: Script | None = None,
        transport: str = DEFAULT_TRANSPORT,
        other_transport: str | None = None,
        peer_faults: Mapping[str, str | float] | None = None,
        **options: Any,
    ) -> Coroutine[Any, Any, LoadResult]:
        """Make a load and return what was measured, over the whole fleet; to be awaited.

        Parameters
        ----------
        calls, duration
            So many calls, each for so long: ``load(calls=50, duration="10s")``.
        ramp
            Start them evenly over this time first.
        stages
            Instead of those: ``[ramp(50, over="30s"), hold("5m"), rate(5, duration="1m", holding="20s")]``, with the
            functions of that name in ``pytest_ari_sla``.
        holding
            End each call after this time and begin the next in its place, for as long as its stages last; ``5s..20s``:
            each after another time of this range, the same in every run.
        hang_up
            Hang each call up so long after its first request, whether it has been answered or not: ``0ms..20ms after
            request``.
        topology
            How the channels of a call are joined: ``echo``, ``pair``, ``relay``, ``transcode``, ``conference`` …
        codec
            ``PCMU``, ``PCMA``, ``G722`` … or Asterisk's name for it; by default what the transport is used with:
            ``PCMU``, and ``L16`` where an AudioSocket is among them.
        other_codec
            The second codec of a topology with two: ``load(topology="transcode", codec="PCMU", other_codec="G722")``.
        packet_time
            ``10ms`` to ``60ms``; by default the codec's usual one.
        until
            End the load in good order when this comes true, over the whole fleet: ``rtt.p99[5s] > 60ms``. It is written
            like a threshold; a window is the last one.
        digits
            DTMF digits that every leg dials as tones, again and again: ``load(topology="transcode", digits="0123")``.
        script
            What each caller does, step by step: ``[listen(), say("question.wav"), listen(within="5s"), hang_up()]``. In
            a stage that holds a number of calls, the next caller follows when a script has ended.
        transport
            How media travels between Asterisk and this machine: ``rtp``, ``audiosocket``, ``websocket`` (Asterisk
            connects), ``websocket-server`` (we connect), or one that a plug-in adds.
        other_transport
            The same for every second leg of each call: ``load(topology="pair", other_transport="websocket")``.
        peer_faults
            Shares of calls whose peer at our end misbehaves on purpose, by the fault's name; seeded:
            ``load(transport="audiosocket", peer_faults={"mute": "10%", "reset": "5%"})``. All others are measured.
        options
            What the topology can vary: ``load(topology="conference", parties=5)``.

        Raises
        ------
        SlaError
            The load could not be made; its ``culprit`` says whose fault that is.
        """
        __tracebackhide__ = True  # an SlaError says all there is to say
        from pytest_ari_sla.load.planning.stages import profile_of

        settings = self._maker.settings
        profile = profile_of(
            calls=calls,
            duration=duration,
            ramp_up=ramp,
            stages=stages,
            holding=holding,
            hang_up=hang_up,
            calls_override=settings.calls,
            duration_override_ns=settings.duration_ns,
        )
        again = partial(
            self.job,
            profile,
            topology=topology,
            codec=codec,
            other_codec=other_codec,
            packet_time=packet_time,
            until=until,
            digits=digits,
            script=script,
            transport=transport,
            other_transport=other_transport,
            peer_faults=peer_faults,
            **options,
        )
        job = again()
        self.jobs.append(job)
        return self._make(job, again)

    def job(
        self,
        profile: LoadProfile,
        *,
        topology: str = DEFAULT_TOPOLOGY,
        codec: str | None = None,
        other_codec: str | None = None,
        packet_time: str | None = None,
        until: str | None = None,
        digits: str = "",
        script: Script | None = None,
        transport: str = DEFAULT_TRANSPORT,
        other_transport: str | None = None,
        peer_faults: Mapping[str, str | float] | None = None,
        **options: Any,
    ) -> LoadJob:
        """Return a load of this profile that is still to be made; the rest is as in :meth:`__call__`."""
        from pytest_ari_sla.load.planning.plan import LoadPlan
        from pytest_ari_sla.load.planning.transports import check_codecs, transport_of_load, usual_codec
        from pytest_ari_sla.load.planning.voices import call_media, scripted_media, with_options
        from pytest_ari_sla.media.peer_faults import plan_faults
        from pytest_ari_sla.session.loads.judge import doc_of
        from pytest_ari_sla.session.loads.load_job import LoadJob
        from pytest_ari_sla.sla.threshold import check_stages, parse

        maker, settings = self._maker, self._maker.settings
        thresholds = maker.thresholds_of(self._item)
        check_stages([sourced.threshold for sourced in thresholds], [stage.name for stage in profile.stages])
        transports = [maker.registry.transport(name) for name in (transport, other_transport) if name is not None]
        chosen = maker.registry.codec(codec or usual_codec(transports, DEFAULT_CODEC))
        second = None if other_codec is None else maker.registry.codec(other_codec)
        joined = with_options(maker.registry.topology(topology), options)
        packet_time_ms = chosen.packet_times_ms[0] if packet_time is None else _milliseconds(packet_time)
        carrier = transport_of_load(joined, transports[0], transports[1] if other_transport else None)
        compiled = None if script is None else _compiled(script, joined, chosen, packet_time_ms)
        media = (
            call_media(joined, chosen, second, packet_time_ms, digits)
            if compiled is None
            else scripted_media(joined, compiled)
        )
        check_codecs(carrier, media, joined)
        carriers = [one.name for one in transports]
        faults = plan_faults(peer_faults or {}, maker.registry.peer_faults, carriers, maker.coordination.shard)
        plan = LoadPlan(
            profile=profile,
            topology=joined,
            media=media,
            script=compiled,
            packet_time_ms=packet_time_ms,
            transport=carrier,
            shard=maker.coordination.shard,
            shards=maker.facts.shards,
            realtime=settings.realtime,
            faults=faults,
        )
        return LoadJob(
            test=name_of_test(self._item),
            doc=doc_of(self._item),
            number=next(self._numbers),
            plan=plan,
            thresholds=thresholds,
            until=None if until is None else parse(until, maker.registry.catalogue),
        )

    @property
    def jobs(self) -> list[LoadJob]:
        """The loads of the test that are judged."""
        return self._item.stash.setdefault(LOADS, [])

    async def _make(self, job: LoadJob, again: Callable[[], LoadJob]) -> LoadResult:
        __tracebackhide__ = True
        from pytest_ari_sla.load.results.result import LoadResult
        from pytest_ari_sla.session.loads.turns import in_turns, make_whole

        if self._maker.other is None:
            await make_whole(self._maker, job)
        else:
            job = await in_turns(self._maker, self._maker.other, job, again, self.jobs)
        assert job.outcome is not None
        return LoadResult(job.outcome, self._maker.registry.catalogue)


def _compiled(script: object, topology: Topology, codec: Codec, packet_time_ms: int) -> CompiledScript:
    """Return a script with what its callers say; imports what that needs for loads with a script alone."""
    from pytest_ari_sla.callers.audio import compile_script
    from pytest_ari_sla.callers.steps import check_script
    from pytest_ari_sla.hookspecs.topology import SipTopology
    from pytest_ari_sla.rtp.dtmf import EVENTS_TYPE

    by_sip = isinstance(topology, SipTopology) and topology.calls_by_sip
    return compile_script(check_script(script), codec, packet_time_ms, EVENTS_TYPE if by_sip else None)


class CapacitySearch:
    """Finds out how much the target carries; what the ``capacity`` fixture gives."""

    def __init__(self, load: Load, maker: LoadMaker) -> None:
        self._load = load
        self._maker = maker

    async def __call__(
        self,
        *,
        start: int = 10,
        most: int = 1000,
        hold: str = "10s",
        settle: str = "2s",
        precision: str = "5%",
        per: str = "calls",
        holding: str = "1s",
        **options: Any,
    ) -> Capacity:
        """Search for the highest level at which the limits of the test hold, and return what is known of it.

        Parameters
        ----------
        start, most
            The level to begin with, and the highest to try (``--ari-calls``, if given).
        hold, settle
            How long each level is held and judged, and how long it is left alone before.
        precision
            Share of the answer by which it may be too low.
        per
            What a level counts: ``calls`` at a time, or ``call rate``: call set-ups a second.
        holding
            How long each call lasts, where the level is a rate.
        options
            The rest is as in ``load``: ``capacity(topology="pair", codec="PCMA")``.

        Raises
        ------
        SlaError
            A step could not be made; its ``culprit`` says whose fault that is.
        """
        __tracebackhide__ = True
        from pytest_ari_sla.capacity.search import Range
        from pytest_ari_sla.load.planning.stages import profile_of
        from pytest_ari_sla.metrics.units import parse_share
        from pytest_ari_sla.session.loads.capacity_run import search

        def make_job(stages: Sequence[StageRequest]) -> LoadJob:
            return self._load.job(profile_of(stages=stages), **options)

        most = self._maker.settings.calls or most
        span = Range(min(start, most), most, parse_share(precision))
        return await search(self._maker, self._load.jobs, make_job, per, span, (hold, settle, holding))


def _milliseconds(text: str) -> int:
    from pytest_ari_sla.metrics.units import parse_duration_ns

    milliseconds, rest = divmod(parse_duration_ns(text), 1_000_000)
    if rest:
        raise UsageError(f"packet_time={text!r} is not a whole number of milliseconds")
    return milliseconds


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> Generator[None, Any, Any]:
    """Let pytest-asyncio run the coroutines that ask for our fixtures, in any of its modes."""
    found = yield
    for item in found if isinstance(found, list) else []:
        if _awaits_ours(item) and _has_asyncio(item.config) and not _runs_already(item):
            item.add_marker("asyncio")
    return found


def check_runner(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Refuse coroutines that nothing would run.

    Raises
    ------
    UsageError
        pytest-asyncio is switched off, and a test needs it.
    """
    if _has_asyncio(config):
        return
    needing = [item.nodeid for item in items if _awaits_ours(item) and not _is_anyios(item)]
    if needing:
        raise UsageError(f"{needing[0]} needs pytest-asyncio, which -p no:asyncio has switched off: leave that out")


def _has_asyncio(config: pytest.Config) -> bool:
    return config.pluginmanager.is_registered(asyncio_plugin)


def _runs_already(item: pytest.Item) -> bool:
    """Whether somebody has said how to run a coroutine: the nearest marker of the user's stands."""
    return item.get_closest_marker("asyncio") is not None or _is_anyios(item)


def _awaits_ours(item: object) -> bool:
    return (
        isinstance(item, pytest.Function) and iscoroutinefunction(item.obj) and bool(_AWAITED & set(item.fixturenames))
    )


def _is_anyios(item: pytest.Item) -> bool:
    return item.get_closest_marker("anyio") is not None or "anyio_backend" in getattr(item, "fixturenames", ())


def _loop_of(request: pytest.FixtureRequest) -> str:
    """Return on which of pytest-asyncio's event loops a test runs: what it awaits must be made on the same."""
    if _is_anyios(request.node):
        return "anyio"
    mark = request.node.get_closest_marker("asyncio")
    chosen = mark.kwargs.get("loop_scope", mark.kwargs.get("scope")) if mark is not None else None
    return str(chosen or request.config.getini("asyncio_default_test_loop_scope"))


def _fixtures_on(loop: str) -> ModuleType:
    """Return a plug-in with those fixtures that open something on the event loop of a scope, and close it there."""
    fixture: Any = pytest.fixture if loop == "anyio" else partial(pytest_asyncio.fixture, loop_scope=loop)

    async def ari(request: pytest.FixtureRequest) -> AsyncIterator[AriSession]:
        async with load_maker_of(request.config).equipment.ari_session() as session:
            yield session

    async def relay_worker(
        request: pytest.FixtureRequest, echo_server: EchoServerProcess
    ) -> AsyncIterator[RelayWorker]:
        with load_maker_of(request.config).equipment.relay_process(echo_server.address) as process:
            async with await process.connect() as worker:
                yield worker

    async def rtp_worker(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., Any]]:
        equipment = load_maker_of(request.config).equipment
        async with AsyncExitStack() as stack:

            async def make(legs: int, codec: str = DEFAULT_CODEC) -> CallerWorker:
                return await stack.enter_async_context(equipment.caller(legs, codec))

            yield make

    plugin = ModuleType(f"ari-sla-fixtures-{loop}")  # pytest finds fixtures in modules and classes
    for opened in (ari, relay_worker, rtp_worker):
        name = f"_{opened.__name__}_on_{loop}_loop"
        setattr(plugin, name, fixture(name=name)(opened))
    return plugin


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures of each event loop."""
    for loop in _LOOPS:
        plugin = _fixtures_on(loop)
        config.pluginmanager.register(plugin, plugin.__name__)


@pytest.fixture
def load(request: pytest.FixtureRequest) -> Load:
    """Put calls on the target: ``await load(calls=50, duration="10s", topology="echo")``."""
    maker = load_maker_of(request.config)
    if maker.facts.shards > 1 and not hasattr(request, "param"):
        raise UsageError(
            f"{request.node.nodeid} does not name the fixture load, so that its load cannot be divided over "
            f"{maker.facts.shards} workers: let the test, or a fixture that it names, take load as an argument (a "
            "TestCase of unittest cannot), or run it without -n"
        )
    return Load(request.node, maker)


@pytest.fixture
def capacity(request: pytest.FixtureRequest, load: Load) -> CapacitySearch:
    """How much the target carries: ``found = await capacity(topology="echo", start=50, most=2000, hold="20s")``.

    The limits of the test are those that a level has to keep; the answer is in the report.
    """
    return CapacitySearch(load, load_maker_of(request.config))


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Target:
    """What is tested: address and credentials of its ARI, its kind and version."""
    return load_maker_of(request.config).target()


@pytest.fixture(scope="session")
def port_manager(request: pytest.FixtureRequest) -> PortManager:
    """Leases of RTP port pairs on this machine."""
    return load_maker_of(request.config).equipment.ports()


@pytest.fixture
def ari(request: pytest.FixtureRequest) -> AriSession:
    """An ARI session with an application of its own; what is made through it is removed after the test."""
    session: AriSession = request.getfixturevalue(f"_ari_on_{_loop_of(request)}_loop")
    return session


@pytest.fixture
def echo_server(request: pytest.FixtureRequest) -> Iterator[EchoServerProcess]:
    """Run an echo server of its own for a test; its ``address`` is where it listens."""
    from pytest_ari_sla.peers.echo.echo_process import EchoServerProcess

    with EchoServerProcess(host=load_maker_of(request.config).equipment.media().local) as server:
        yield server


@pytest.fixture
def relay_worker(request: pytest.FixtureRequest) -> RelayWorker:
    """Run a relay of its own for a test; it forwards to ``echo_server``."""
    worker: RelayWorker = request.getfixturevalue(f"_relay_worker_on_{_loop_of(request)}_loop")
    return worker


@pytest.fixture
def rtp_worker(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Make callers: ``caller = await rtp_worker(legs=2, codec="PCMU")`` sends and measures RTP to any address."""
    make: Callable[..., Any] = request.getfixturevalue(f"_rtp_worker_on_{_loop_of(request)}_loop")
    return make


@pytest.fixture(scope="session")
def shard(request: pytest.FixtureRequest) -> str:
    """Which part of the fleet this process is: ``1 of 4``."""
    coordination = load_maker_of(request.config).coordination
    return f"{coordination.shard} of {coordination.facts.shards}"
