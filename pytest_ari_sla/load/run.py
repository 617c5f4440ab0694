"""One load from beginning to end, as one shard makes it."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import MediaLoopFailed, SlaError
from pytest_ari_sla.load.calls.application import check_scripts
from pytest_ari_sla.load.calls.call_table import CallState, CallTable
from pytest_ari_sla.load.calls.capture_candidates import CaptureCandidates
from pytest_ari_sla.load.diagnosis import check_media, incident_of, left_behind, stood_still, told_by
from pytest_ari_sla.load.load_books import LoadBooks
from pytest_ari_sla.load.load_builder import LoadBuilder
from pytest_ari_sla.load.meters.control_meter import ControlMeter
from pytest_ari_sla.load.results.outcome import GeneratorHealth, LoadOutcome
from pytest_ari_sla.media.measuring.calibration import packet_backend
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.units import counted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pytest_ari_sla.ari_client.session import AriSession
    from pytest_ari_sla.blame.evidence import Incident
    from pytest_ari_sla.load.calls.application import Leftovers
    from pytest_ari_sla.load.calls.call_driver import CallDriver
    from pytest_ari_sla.load.calls.call_tools import RelayControl
    from pytest_ari_sla.load.load_builder import LoadParts
    from pytest_ari_sla.load.planning.plan import LoadPlan
    from pytest_ari_sla.load.tools import LoadTools
    from pytest_ari_sla.media.caller_worker import CallerWorker
    from pytest_ari_sla.watch.forensics import Forensics
    from pytest_ari_sla.watch.leak_audit import LeakAudit
    from pytest_ari_sla.watch.target_watch import TargetWatch

__all__ = ["LoadProgress", "LoadRun"]

TICK_S = 1.0
_HALF_TICK_NS = 500_000_000
_LEFTOVERS_SHOWN = 5
_STRANGERS_TOLD = 3


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
class _Begun:
    """A load that has begun; ``started_ns`` is ns since the Unix epoch."""

    started_ns: int
    parts: LoadParts
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
    found
        What the target did in mid-load that makes it fail, though it went on.
    """

    def __init__(self, plan: LoadPlan, tools: LoadTools, on_progress: Callable[[LoadProgress], None]) -> None:
        self._plan = plan
        self._tools = tools
        self._on_progress = on_progress
        self._meter = ControlMeter()
        self._calls = CallTable()
        self._books = LoadBooks(self._calls, self._meter)
        self._builder = LoadBuilder(plan, tools, self._meter, self._books)
        self._notes: list[str] = []
        self._incidents: list[Incident] = []
        self._driver: CallDriver | None = None
        self._watch: TargetWatch | None = None
        self._forensics: Forensics | None = None
        self.broken_by: Exception | None = None
        self.found: SlaError | None = None
        self._begun: _Begun | None = None
        self._leftovers: Leftovers | None = None
        self._gone: set[str] = set()
        self._ended_ns: int | None = None
        self._candidates = CaptureCandidates(tools.capture, tools.ranked_by)

    def lose_target(self, error: SlaError) -> None:
        """End the load, since the target has gone: the calls that it had are dropped."""
        if self._forensics is not None:
            self._forensics.begin(str(error).splitlines()[0])
        if self._driver is not None:
            self._driver.lose_target(error)

    def _note_break(self, error: BaseException) -> None:
        """Take note of what ended the load, for whoever lays blame."""
        if (incident := incident_of(error, self._now_ns() / 1e9)) is not None:
            self._incidents.append(incident)

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
        ApplicationFailed
            Not one call went as its script says.
        """
        plan = self._plan
        async with AsyncExitStack() as stack:
            parts = await self._builder.prepare(stack)
            ari, relay, caller = parts.ari, parts.relay, parts.caller
            self._notes += parts.notes
            self._leftovers = parts.leftovers
            await begin()
            self._books.begin(plan.profile, self._tools.host_share() if self._tools.host_share else None)
            self._began_ns, self._began_at_ns = self._tools.clock.monotonic_ns(), caller.now_ns()
            caller.begin_at(self._began_at_ns)
            driver = self._driver = self._builder.driver(parts, self._began_ns, self._calls, self._candidates)
            begun = self._begun = _Begun(self._began_at_ns, parts, driver)
            ari.when_lost = self.lose_target
            if plan.shard == 1:  # once for the fleet
                self._forensics = self._builder.forensics(ari, lambda: self._pending(ari))
                self._watch = await stack.enter_async_context(self._builder.watch(ari, self._forensics))
                self._books.add(self._watch)
            ticking = asyncio.create_task(self._tick(caller, driver, relay))
            driver.guard(ticking)
            try:
                await driver.run(plan.profile.plan(plan.shard - 1, plan.shards))
            except Exception as error:
                if not self._calls.requested:  # without one call there is nothing to tell but the error
                    raise
                self.broken_by = error
                self._note_break(error)
            finally:
                self._ended_ns = self._now_ns()
                ticking.cancel()
            if relay is not None:
                await self._take_from(relay)
            if self._forensics is not None:
                await self._forensics.finish()
            duration_ns = self._now_ns()
            if self._watch is not None and self._has_lost_all(driver):
                await self._watch.look_again(lambda: ari.hears, self._began_ns + self._ended_ns)
            left = await self._count_leftovers()
        left += left_behind(await ari.aclose())
        if parts.audit is not None and self.broken_by is None:
            left += await self._audit(parts.audit, ari)
        total = self._total(caller, driver) + left
        # just before the end: at the end itself another second would begin
        self._enter(max(0, duration_ns - 1), total, caller)
        outcome = self._outcome(begun, duration_ns, total)
        self.found = self._watch.finding() if self._watch is not None else None
        if self.broken_by is not None or self.found is not None:
            return outcome
        if plan.script is not None:
            return replace(outcome, notes=(*check_scripts(outcome, self._gone), *outcome.notes))
        check_media(outcome, caller, self._tools.site)
        return outcome

    def _has_lost_all(self, driver: CallDriver) -> bool:
        """Whether all calls were dropped, and the load ended before anybody could tell why."""
        calls = self._calls.snapshot()
        dropped = calls.count("calls.dropped")
        is_whole = self.broken_by is None and not driver.is_hurried
        return is_whole and 0 < dropped == calls.count("calls.established")

    async def _count_leftovers(self) -> Snapshot:
        """Return what the application under test leaves behind; one shard sees what is left of all shards' calls."""
        if self._leftovers is None or self.broken_by is not None:
            return Snapshot()
        try:
            left = sorted(await self._leftovers.count())
            self._gone = await self._leftovers.gone()
        except SlaError as error:
            self._notes.append(f"it could not be told what the application leaves behind: {error}")
            return Snapshot()
        if left:
            shown = ", ".join(left[:_LEFTOVERS_SHOWN])
            outlive = counted(len(left), "channel or bridge that outlives", "channels and bridges that outlive")
            self._notes.insert(0, f"the application has left {outlive} its calls: {shown}")
        return Snapshot({"target.leftovers": len(left)})

    async def _audit(self, audit: LeakAudit, ari: AriSession) -> Snapshot:
        """Return what the target keeps of what the load's calls made it take."""
        plan = self._plan
        found = await audit.end(self._calls.requested * plan.shards, plan.profile.peak_calls(), ari.tls)
        self._notes += found.notes
        return Snapshot(found.values)

    def so_far(self, why: str) -> LoadOutcome | None:
        """Return what was measured of a load that did not come to its end; None if it never began.

        Needs no event loop: pytest-timeout, for one, leaves it in mid-load, and the load is cancelled later.
        """
        if self._begun is None:
            return None
        caller = self._begun.parts.caller
        duration_ns = self._now_ns() if self._ended_ns is None else self._ended_ns
        try:
            total = self._total(caller, self._begun.driver)
            self._enter(max(0, duration_ns - 1), total, caller)
        except MediaLoopFailed:
            total = self._books.entered  # nothing was measured since
        planned_ns = self._plan.profile.duration_ns
        lasted = f"{duration_ns / 1e9:.1f} s of {planned_ns / 1e9:g} s"
        cut_off = f"The load was cut off after {lasted}" if duration_ns < planned_ns else "The load ended in an error"
        return replace(self._outcome(self._begun, duration_ns, total), cut_off=f"{cut_off}: {why}")

    def _pending(self, ari: AriSession) -> list[tuple[str, int]]:
        """Return all requests under way, those of the watch among them."""
        return [*ari.client.pending(), *(self._watch.pending() if self._watch is not None else ())]

    def _now_ns(self) -> int:
        return self._tools.clock.monotonic_ns() - self._began_ns

    async def _tick(self, caller: CallerWorker, driver: CallDriver, relay: RelayControl | None) -> None:
        """Once a second: enter what happened into the series, and tell; the load ends when that is not possible."""
        try:
            while True:
                # to the next full second, however long this one took: ticks do not drift
                await asyncio.sleep(TICK_S - self._now_ns() / 1e9 % TICK_S)
                # What a relay measures has its time too: stages, windows and baselines judge it like everything else.
                if relay is not None:
                    self._books.relayed = await relay.snapshot()
                if self._leftovers is not None:
                    with suppress(SlaError):  # an ARI that does not answer is told of by the calls themselves
                        await self._leftovers.look()
                self._enter_second(caller, driver)
        except Exception as error:
            driver.give_up(error)

    async def _take_from(self, relay: RelayControl) -> None:
        """Take what the relay has measured; where it died, that is what broke the load, if nothing did before."""
        try:
            self._books.relayed = await relay.snapshot()
        except SlaError as error:
            self.broken_by = self.broken_by or error

    def _enter_second(self, caller: CallerWorker, driver: CallDriver) -> None:
        at_ns = self._now_ns()
        driver.look()
        self._books.read()
        total = self._total(caller, driver)
        # A tick comes just after the second that it tells of.
        recent = self._enter(max(0, at_ns - _HALF_TICK_NS), total, caller)
        self._on_progress(LoadProgress(at_ns, recent, total, self._calls.in_state(CallState.ACTIVE)))

    def _enter(self, at_ns: int, total: Snapshot, caller: CallerWorker) -> Snapshot:
        """Enter what has happened since the last time into the series, and return it."""
        dated = [*caller.take_dated(), *self._meter.take_dated()]
        return self._books.enter(at_ns, total, [(when_ns - self._began_at_ns, values) for when_ns, values in dated])

    def _total(self, caller: CallerWorker, driver: CallDriver) -> Snapshot:
        return self._books.total(self._measured(caller), driver.not_started)

    def _measured(self, caller: CallerWorker) -> Snapshot:
        """Return what was measured; of a load that is broken, what there is."""
        try:
            return caller.snapshot()
        except MediaLoopFailed as error:
            if self._driver is None or not self._driver.is_ending:
                raise
            self.broken_by = self.broken_by or error
            return caller.last_snapshot()

    def _outcome(self, begun: _Begun, duration_ns: int, total: Snapshot) -> LoadOutcome:
        plan, parts = self._plan, begun.parts
        caller = parts.caller
        health = GeneratorHealth(
            shard=plan.shard,
            host=socket.gethostname(),
            values=total.only(name for name in total if name.startswith("harness.")).to_plain(),
            realtime=caller.has_realtime_priority,
            backend=packet_backend(),
            receive_buffer_bytes=caller.receive_buffer_bytes,
            strangers=caller.strangers(_STRANGERS_TOLD),
        )
        return LoadOutcome(
            topology=plan.topology.name,
            codec=plan.codec.name,
            started_ns=begun.started_ns,
            duration_ns=duration_ns,
            total=total,
            series=self._books.series,
            calls=tuple(begun.driver.calls),
            generators=(health,),
            notes=(
                *self._notes,
                *caller.remarks(),
                *begun.driver.remarks(),
                *(parts.conductor.meter.remarks() if parts.conductor is not None else []),
                *(parts.sip.meter.remarks() if parts.sip is not None else []),
                *(parts.rtp_questions.remarks() if parts.rtp_questions is not None else []),
                *stood_still(total),
                *self._tools.listener.remarks(),
                *told_by(parts.ari),
            ),
            captures=self._candidates.kept(),
            evidence=self._forensics.evidence if self._forensics is not None else (),
            incidents=(*self._incidents, *(self._watch.incidents() if self._watch is not None else ())),
        )
