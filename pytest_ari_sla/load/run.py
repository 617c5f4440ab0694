"""One load from beginning to end, as one shard makes it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytest_ari_sla.ari_client.ownership import call_of
from pytest_ari_sla.ari_client.session import AriSession
from pytest_ari_sla.capture.kept_packets import NO_CAPTURE, CapturePolicy
from pytest_ari_sla.errors import ChannelLost, MediaLoopFailed, MediaUnreachable, SlaError
from pytest_ari_sla.load.call import CONTINUED, CallTools
from pytest_ari_sla.load.call_driver import CallDriver
from pytest_ari_sla.load.capture_shelf import CaptureShelf
from pytest_ari_sla.load.control_meter import ControlMeter
from pytest_ari_sla.load.outcome import GeneratorHealth, LoadOutcome
from pytest_ari_sla.load.own_memory import OwnMemory
from pytest_ari_sla.media.calibration import clock_floor
from pytest_ari_sla.media.call_media import MediaPlan
from pytest_ari_sla.media.caller_worker import CallerWorker
from pytest_ari_sla.media.measurer import Measurer
from pytest_ari_sla.metrics.channel_metrics import CallLedger
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.time_series import TimeSeries
from pytest_ari_sla.sla.guards import stalls_of
from pytest_ari_sla.udp.batched import backend

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from pytest_ari_sla.ari_client.cleanup import CleanupReport
    from pytest_ari_sla.hookspecs import Codec, Topology, Tracker
    from pytest_ari_sla.load.call import CallListener, RelayControl
    from pytest_ari_sla.load.outcome import CallOutcome
    from pytest_ari_sla.load.profile import LoadProfile
    from pytest_ari_sla.media.call_media import CallMedia
    from pytest_ari_sla.media.transport import MediaSite, MediaTransport
    from pytest_ari_sla.metrics.histogram import Histogram

__all__ = ["LoadPlan", "LoadProgress", "LoadRun", "LoadTools"]

TICK_S = 1.0
_SECOND_NS = 1_000_000_000
_HALF_TICK_NS = _SECOND_NS // 2
_ESTABLISHED = "calls.established"
REQUESTS_IN_FLIGHT = 16
"""Enough for Asterisk's full set-up rate; more would only queue there, and be measured as its latency."""


@dataclass(frozen=True, eq=False)
class LoadPlan:
    """What load to make.

    Attributes
    ----------
    profile
        How many calls when, over all shards.
    topology
        How a call's channels are joined.
    media
        What the legs of each call say and hear.
    packet_time_ms
        One of the packet times of all codecs.
    transport
        How media travels.
    shard, shards
        Which part of the profile is ours, from 1.
    realtime
        Whether packets may be moved under SCHED_FIFO.
    """

    profile: LoadProfile
    topology: Topology
    media: CallMedia
    packet_time_ms: int
    transport: MediaTransport
    shard: int = 1
    shards: int = 1
    realtime: bool = True

    def __post_init__(self) -> None:
        self.profile.check_packet_time(self.packet_time_ms * 1_000_000)

    @property
    def codec(self) -> Codec:
        """The codec of each call's first leg."""
        return self.media.voices[0].codec

    def media_plan(self, ari: AriEndpoint | None = None, *, keep_packets: bool = False) -> MediaPlan:
        """Return what the caller needs to know: legs for our share of the calls, and some that linger."""
        share = max(1, self.profile.peak_calls(self.shard - 1, self.shards))
        calls = share + (share // 5 + 5 if self.profile.replaces_calls else 0)
        return MediaPlan(
            calls=calls,
            media=self.media,
            packet_time_ms=self.packet_time_ms,
            realtime=self.realtime,
            ari=ari,
            shard=self.shard,
            keep_packets=keep_packets,
        )


@dataclass(frozen=True, eq=False)
class LoadTools:
    """What loads are made with, by every load of a session.

    Attributes
    ----------
    endpoint
        Where ARI is.
    site
        Where media ends on this machine.
    trackers, owners
        Prototypes, and the plug-in that each came from, by its name.
    open_relay
        Connects to the relay, for topologies that use one.
    preflight
        Checks, before the first call, that target and machine can carry a load; returns notes.
    echo_extension
        Context and extension of the dialplan that runs ``Echo()``.
    id_prefix
        Begins every id at Asterisk; different for every run and shard.
    listener
        Who is told of each call.
    ca_file, verify
        How the certificate of an ``https`` target is checked.
    capture, ranked_by
        Whose packets are kept as evidence, and by which figures calls are compared for that (see ``CaptureShelf``).
    make_measurer
        Makes what runs the trackers: see :class:`~pytest_ari_sla.media.caller_worker.CallerWorker`.
    """

    endpoint: AriEndpoint
    site: MediaSite
    trackers: Sequence[Tracker]
    owners: Mapping[str, str]
    open_relay: Callable[[], AbstractAsyncContextManager[RelayControl]]
    preflight: Callable[[AriSession, LoadPlan], Awaitable[list[str]]]
    echo_extension: tuple[str, str]
    id_prefix: str
    listener: CallListener
    ca_file: str | None = None
    verify: bool = True
    capture: CapturePolicy = NO_CAPTURE
    ranked_by: Mapping[str, str] = field(default_factory=dict)
    make_measurer: Callable[..., Measurer] = Measurer


@dataclass(frozen=True)
class LoadProgress:
    """Where a load is, once a second.

    Attributes
    ----------
    at_ns
        ns since the load's beginning.
    recent
        What happened since the last progress.
    total
        Everything so far.
    calls_up
        Calls that are established now.
    """

    at_ns: int
    recent: Snapshot
    total: Snapshot
    calls_up: int


@dataclass(frozen=True, eq=False)
class _Parts:
    """What a load that has begun consists of; ``started_ns`` is ns since the Unix epoch."""

    started_ns: int
    ari: AriSession
    caller: CallerWorker
    driver: CallDriver


class LoadRun:
    """Makes one load.

    Parameters
    ----------
    plan, tools
        What, and with what.
    on_progress
        Called once a second on the event loop.

    Attributes
    ----------
    broken_by
        What ended the load before its time, though there is an outcome: the target has gone, media is not moved any
        more, a plug-in has a bug. None while all is well.
    """

    def __init__(self, plan: LoadPlan, tools: LoadTools, on_progress: Callable[[LoadProgress], None]) -> None:
        self._plan = plan
        self._tools = tools
        self._on_progress = on_progress
        self._meter = ControlMeter()
        self._memory = OwnMemory()
        self._ledger = CallLedger(rows_kept=0)  # the driver remembers calls one by one
        self._series = TimeSeries()
        self._seen = Snapshot()
        self._media: set[str] = set()
        self._relayed = Snapshot()
        self._floor = Snapshot({"harness.clock_floor": clock_floor()})
        self._notes: list[str] = []
        self._driver: CallDriver | None = None
        self.broken_by: Exception | None = None
        self._parts: _Parts | None = None
        self._ended_ns: int | None = None
        self._shelf = CaptureShelf(tools.capture, tools.ranked_by)

    def lose_target(self, error: SlaError) -> None:
        """End the load, since the target has gone: the calls that it had are dropped."""
        if self._driver is not None:
            self._driver.lose_target(error)

    def end_early(self, *, hurried: bool = False) -> None:
        """End the load before its time, once it has begun; hurried: without waiting for packets on their way."""
        if self._driver is not None:
            self._driver.end_early(hurried=hurried)

    async def run(self, begin: Callable[[], Awaitable[None]]) -> LoadOutcome:
        """Make the load; what breaks it when calls have been made is in :attr:`broken_by`.

        Parameters
        ----------
        begin
            Awaited when everything is ready: the barrier that lets all shards begin at once.

        Raises
        ------
        SlaError
            The load could not be made at all.
        MediaUnreachable
            Calls were established and streamed, but not one packet came back.
        ChannelLost
            That was so because Asterisk itself ended all of them.
        """
        plan = self._plan
        async with AsyncExitStack() as stack:
            ari, relay, caller = await self._prepare(stack)
            await begin()
            self._began_ns, self._began_at_ns = time.monotonic_ns(), caller.now_ns()
            caller.begin_at(self._began_at_ns)
            for name, start_ns, end_ns in plan.profile.boundaries():
                self._series.mark_stage(name, start_ns, end_ns)
            driver = self._driver = self._make_driver(ari, caller, relay)
            parts = self._parts = _Parts(self._began_at_ns, ari, caller, driver)
            ari.when_lost = driver.lose_target
            ticking = asyncio.create_task(self._tick(caller, driver, relay))
            driver.guard(ticking)
            try:
                await driver.run(plan.profile.plan(plan.shard - 1, plan.shards))
            except Exception as error:
                if not self._ledger.requested:
                    raise
                self.broken_by = error
            finally:
                self._ended_ns = self._now_ns()
                ticking.cancel()
            if relay is not None:
                await self._take_from(relay)
            duration_ns = self._now_ns()
        left = _left_behind(await ari.aclose())
        total = self._total(caller, driver) + left
        self._enter(max(0, duration_ns - 1), total, caller)
        outcome = self._outcome(parts, duration_ns, total)
        self._check_media(outcome, caller)
        return outcome

    def so_far(self, why: str) -> LoadOutcome | None:
        """Return what was measured of a load that did not come to its end; None if it never began.

        Needs no event loop: pytest-timeout, for one, leaves it in mid-load, and the load is cancelled later.
        """
        if self._parts is None:
            return None
        duration_ns = self._now_ns() if self._ended_ns is None else self._ended_ns
        try:
            total = self._total(self._parts.caller, self._parts.driver)
            self._enter(max(0, duration_ns - 1), total, self._parts.caller)
        except MediaLoopFailed:
            total = self._seen  # nothing was measured since
        planned_ns = self._plan.profile.duration_ns
        lasted = f"{duration_ns / 1e9:.1f} s of {planned_ns / 1e9:g} s"
        cut_off = f"The load was cut off after {lasted}" if duration_ns < planned_ns else "The load ended in an error"
        return replace(self._outcome(self._parts, duration_ns, total), cut_off=f"{cut_off}: {why}")

    async def _prepare(self, stack: AsyncExitStack) -> tuple[AriSession, RelayControl | None, CallerWorker]:
        """Check and start all that the load needs; the stack ends it."""
        plan, tools = self._plan, self._tools
        try:
            ari = await stack.enter_async_context(self._ari_session())
            self._notes += await tools.preflight(ari, plan)
            relay = await stack.enter_async_context(tools.open_relay()) if plan.topology.relay_legs else None
            media = plan.media_plan(tools.endpoint, keep_packets=tools.capture != NO_CAPTURE)
            caller = CallerWorker(
                media,
                plan.transport,
                tools.site,
                tools.trackers,
                tools.owners,
                tools.make_measurer,
            )
            return ari, relay, await stack.enter_async_context(caller)
        except SlaError as error:
            error.before_any_call = True
            raise

    def _ari_session(self) -> AriSession:
        tools = self._tools
        return AriSession(
            tools.endpoint.base_url,
            tools.endpoint.user,
            tools.endpoint.password,
            app=tools.id_prefix,
            id_prefix=tools.id_prefix,
            ca_file=tools.ca_file,
            verify=tools.verify,
            max_in_flight=REQUESTS_IN_FLIGHT,
            observer=self._meter,
            realtime=self._plan.realtime,
        )

    def _make_driver(self, ari: AriSession, caller: CallerWorker, relay: RelayControl | None) -> CallDriver:
        plan, tools = self._plan, self._tools
        call_tools = CallTools(
            ari=ari,
            caller=caller,
            meter=self._meter,
            relay=relay,
            media=plan.media,
            echo_extension=tools.echo_extension,
            began_ns=self._began_ns,
            listener=tools.listener,
            higher_is_better={
                metric.name for tracker in tools.trackers for metric in tracker.metrics if metric.better == "higher"
            },
        )
        packet_time_ns = plan.packet_time_ms * 1_000_000
        return CallDriver(call_tools, plan.topology, self._ledger, packet_time_ns, plan.shard, self._shelf)

    def _now_ns(self) -> int:
        return time.monotonic_ns() - self._began_ns

    async def _tick(self, caller: CallerWorker, driver: CallDriver, relay: RelayControl | None) -> None:
        """Once a second: enter what happened into the series, and tell; the load ends when that is not possible."""
        try:
            while True:
                await asyncio.sleep(TICK_S - self._now_ns() / 1e9 % TICK_S)
                # What a relay measures has its time too: stages, windows and baselines judge it like everything else.
                if relay is not None:
                    self._relayed = await relay.snapshot()
                self._enter_second(caller, driver)
        except Exception as error:
            driver.give_up(error)

    async def _take_from(self, relay: RelayControl) -> None:
        """Take what the relay has measured; where it died, that is what broke the load, if nothing did before."""
        try:
            self._relayed = await relay.snapshot()
        except SlaError as error:
            self.broken_by = self.broken_by or error

    def _enter_second(self, caller: CallerWorker, driver: CallDriver) -> None:
        at_ns = self._now_ns()
        driver.look()
        self._memory.read()
        total = self._total(caller, driver)
        # A tick comes just after the second that it tells of.
        recent = self._enter(max(0, at_ns - _HALF_TICK_NS), total, caller)
        self._on_progress(LoadProgress(at_ns, recent, total, self._ledger.active))

    def _enter(self, at_ns: int, total: Snapshot, caller: CallerWorker) -> Snapshot:
        """Enter what has happened since the last time into the series, each at its own time, and return it."""
        # What a tracker measured is gone when the tracker has failed.
        recent = total - self._seen.only(total)
        self._seen = total
        dated = [(max(0, when_ns - self._began_at_ns), values) for when_ns, values in caller.take_dated()]
        self._media |= {name for _, values in dated for name in values}
        # A call that is established counts when it was asked for, so that it is one of those.
        dated += [(when_ns, Snapshot({_ESTABLISHED: 1})) for when_ns in self._ledger.take_established()]
        elsewhere = self._media | {_ESTABLISHED}
        here = Snapshot({name: value for name, value in recent.items() if name not in elsewhere})
        for second_ns, values in _by_second([*dated, (at_ns, here)]):
            self._series.add(second_ns, values)
        return recent

    def _total(self, caller: CallerWorker, driver: CallDriver) -> Snapshot:
        counts: dict[str, Histogram | int] = {"calls.not_started": driver.not_started}
        own = self._meter.values() | self._memory.values() | counts
        total = self._measured(caller) + Snapshot(own) + self._ledger.snapshot()
        return total + self._floor + self._relayed

    def _measured(self, caller: CallerWorker) -> Snapshot:
        """Return what was measured; of a load that is broken, what there is."""
        try:
            return caller.snapshot()
        except MediaLoopFailed as error:
            if self._driver is None or not self._driver.is_ending:
                raise
            self.broken_by = self.broken_by or error
            return caller.last_snapshot()

    def _outcome(self, parts: _Parts, duration_ns: int, total: Snapshot) -> LoadOutcome:
        plan, caller = self._plan, parts.caller
        health = GeneratorHealth(
            shard=plan.shard,
            host=socket.gethostname(),
            values=total.only(name for name in total if name.startswith("harness.")).to_plain(),
            realtime=caller.has_realtime_priority,
            backend=backend(),
            receive_buffer_bytes=caller.receive_buffer_bytes,
        )
        return LoadOutcome(
            topology=plan.topology.name,
            codec=plan.codec.name,
            started_ns=parts.started_ns,
            duration_ns=duration_ns,
            total=total,
            series=self._series,
            calls=tuple(parts.driver.calls),
            generators=(health,),
            notes=(
                *self._notes,
                *caller.remarks(),
                *parts.driver.remarks(),
                *_stood_still(total),
                *self._tools.listener.remarks(),
                *_told_by(parts.ari),
            ),
            captures=self._shelf.kept(),
        )

    def _check_media(self, outcome: LoadOutcome, caller: CallerWorker) -> None:
        """Say so where calls came up, and nothing was ever heard on them."""
        total = outcome.total
        established = total.count("calls.established")
        if self.broken_by is not None or not established or caller.packets_received > _not_ours(total):
            return
        if total.count("calls.dropped") == established:
            raise ChannelLost(_all_dropped(outcome.calls))
        if caller.packets_sent:
            raise MediaUnreachable(self._unreachable(total))

    def _unreachable(self, total: Snapshot) -> str:
        foreign = total.count("harness.foreign_packets")
        strangers = f"; {foreign} packets came from other addresses than Asterisk announced" if foreign else ""
        return (
            f"Asterisk accepted {total.count('calls.established')} calls, but not one RTP packet came back from it: "
            f"it was told to send to {self._tools.site.host}; is that address, and the UDP port range "
            f"{self._tools.site.ports.low}-{self._tools.site.ports.high}, reachable from Asterisk "
            f"(--ari-media-host, --ari-rtp-ports, firewall)?{strangers}"
        )


def _by_second(dated: Iterable[tuple[int, Snapshot]]) -> Iterator[tuple[int, Snapshot]]:
    """Merge what belongs to the same second; yield the seconds' beginnings in order."""
    seconds: dict[int, list[Snapshot]] = defaultdict(list)
    for when_ns, values in dated:
        seconds[when_ns // _SECOND_NS * _SECOND_NS].append(values)
    for second_ns in sorted(seconds):
        yield second_ns, Snapshot.sum_of(seconds[second_ns])


def _not_ours(total: Snapshot) -> int:
    """Return how many of the datagrams that came were no packets of any leg."""
    return total.count("harness.foreign_packets") + total.count("harness.malformed_packets")


def _stood_still(total: Snapshot) -> list[str]:
    """Return which of our own processes stood still, whatever the verdict: a pass tells it as well."""
    return [f"{words[:1].upper()}{words[1:]} (at fault: this tool)" for words in stalls_of(total).values()]


def _left_behind(cleanup: CleanupReport) -> Snapshot:
    """Return how many calls something is left of at Asterisk, and of how many that is not known."""
    leaked = {call_of(identity) for identity in cleanup.leaked}
    unknown = {call_of(identity) for identity in cleanup.unknown} - leaked
    return Snapshot({"calls.leaked": len(leaked), "calls.left_unknown": len(unknown)})


def _told_by(ari: AriSession) -> list[str]:
    """Return what the session noted, in words."""
    told = list(map(str, ari.notes))
    if ari.notes_left_out:
        told.append(f"{ari.notes_left_out:,} more notes of the ARI session were left out")
    return told


def _all_dropped(calls: Sequence[CallOutcome]) -> str:
    """Return what to look for where Asterisk ended all calls before it sent a packet."""
    dropped = [call for call in calls if call.state == "dropped"]
    continued = [event.detail for event in dropped[0].timeline if event.what == CONTINUED]
    hint = f"; they had been sent {continued[-1]}: is there such an extension, and does it stay on the line?"
    return (
        f"Asterisk hung up all {len(dropped)} calls that it had accepted, before one RTP packet came back "
        f"({dropped[0].reason}){hint if continued else ''}"
    )
