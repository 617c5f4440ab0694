"""Starts calls when the plan says so, looks after those that are up, and ends them all."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import AriTimeout, AriUnreachable, AsteriskCrashed, SlaError
from pytest_ari_sla.load.calls.call import LiveCall
from pytest_ari_sla.load.calls.call_run import CallRun, CallSurroundings
from pytest_ari_sla.load.calls.load_end import LoadEnd
from pytest_ari_sla.metrics.units import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_ari_sla.hookspecs.topology import Topology
    from pytest_ari_sla.load.calls.call_table import CallTable
    from pytest_ari_sla.load.calls.call_tools import CallTools
    from pytest_ari_sla.load.calls.capture_candidates import CaptureCandidates
    from pytest_ari_sla.load.planning.profile import PlannedCall
    from pytest_ari_sla.load.results.outcome import CallOutcome

__all__ = ["CallDriver"]

SILENT_NS = 1_000_000_000
"""A call on which nothing has come back for so long may have ended, and the event that says so may be lost."""

UNREACHABLE_NS = 3_000_000_000
"""An Asterisk that sends no packet, and whose ARI cannot be reached for so long, has gone."""

START_TOLERANCE_NS = 1_000_000_000
"""A call that could not be started for so long is not started at all: that would be another load than planned."""

PAUSE_AFTER_FAILURE_NS = 1_000_000_000
"""So long a caller whose script failed stays away: the next one would fail at once, again and again."""

CALLS_KEPT = 2_000
"""Calls that are remembered one by one: that many good ones, and that many bad ones. The totals cover all."""


class CallDriver:
    """Carries out a plan.

    Parameters
    ----------
    tools
        What calls are made with.
    topology
        How they are built.
    table
        Where they are counted.
    packet_time_ns
        To turn holding times into packets.
    shard
        Who we are, from 1.
    candidates
        Where packets of calls are kept as evidence.

    Attributes
    ----------
    not_started
        Calls that could not be started in time.
    calls
        What came of calls, one by one.
    """

    def __init__(
        self,
        tools: CallTools,
        topology: Topology,
        table: CallTable,
        packet_time_ns: int,
        shard: int,
        candidates: CaptureCandidates,
    ) -> None:
        self._tools = tools
        self._end = LoadEnd(self._tell_calls)
        self._around = CallSurroundings(tools, topology, table, packet_time_ns, shard, self._end)
        self._candidates = candidates
        self._runs: set[CallRun] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking: asyncio.Task[None] | None = None
        self._unreachable_since_ns: int | None = None
        self._late_ns: list[int] = []
        self._kept: Counter[bool] = Counter()
        self.not_started = 0
        self.calls: list[CallOutcome] = []

    async def run(self, plan: Iterable[PlannedCall]) -> None:
        """Start the plan's calls in their time; return when the last one is gone.

        When this is cancelled all calls are ended first. What Asterisk or the network do wrong fails single calls;
        anything else (the media loop died, the relay is gone, a topology has a bug) would only be blamed on them: it
        ends all calls, which are told to end and have not failed, and is raised. So does the loss of the target, which
        drops all calls.
        """
        try:
            for planned in plan:
                if await self._end.within((planned.start_ns - self._around.now_ns()) / 1e9):
                    break
                self._start(planned)
            while self._tasks:  # a caller with a script may be followed by the next one meanwhile
                await asyncio.wait(self._tasks)
        except asyncio.CancelledError:
            self._end.hurried = True  # a session that ends does not wait for packets on their way
            raise
        finally:
            self.end_early()
            if self._tasks:
                await asyncio.wait(self._tasks)
            if self._asking is not None:
                self._asking.cancel()
        if self._end.broken_by is not None:
            raise self._end.broken_by

    def end_early(self, *, hurried: bool = False) -> None:
        """Start no more calls, and end those that are up; hurried: without waiting for what is still on its way."""
        self._end.ask(hurried=hurried)

    def _tell_calls(self) -> None:
        if self._end.hurried:
            self._tools.ari.hurry()
        for run in self._runs:
            run.look_again()

    def remarks(self) -> list[str]:
        """Return what a reader of the report must know."""
        if not self._late_ns:
            return []
        return [
            f"{counted(len(self._late_ns), 'call')} came up late, {max(self._late_ns) / 1e9:.1f} s after their start "
            "at most, and ended by their plan: they sent for less than their holding time"
        ]

    @property
    def is_ending(self) -> bool:
        """Whether no more calls are started."""
        return self._end.has_come

    @property
    def is_hurried(self) -> bool:
        """Whether nothing is waited for any more."""
        return self._end.hurried

    def guard(self, task: asyncio.Task[None]) -> None:
        """End the whole load when a task of it fails, by whatever exception: pytest-timeout raises where it likes."""
        task.add_done_callback(self._look_at)

    def _look_at(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.give_up(error)

    def give_up(self, error: BaseException) -> None:
        """End the whole load because of this, which :meth:`run` then raises."""
        self._end.give_up(error)

    def lose_target(self, error: SlaError) -> None:
        """End the whole load, since there is nothing any more that could hold its calls: all of them are dropped."""
        self._end.lose_target(error)

    def look(self) -> None:
        """Have calls looked into on which nothing is heard any more; called once a second."""
        up = [run.sending for run in self._runs if run.sending]
        silent = self._tools.caller.silent_legs(SILENT_NS // self._around.packet_time_ns) if up else set()
        deaf = [endpoints for endpoints in up if all(endpoint.leg in silent for endpoint in endpoints)]
        if not deaf:
            self._unreachable_since_ns = None
        elif self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(all_deaf=len(deaf) == len(up)), name="ask for calls")

    async def _ask(self, *, all_deaf: bool) -> None:
        """Ask Asterisk which channels it still has; one that neither answers nor sends a packet has gone."""
        # Before the request: what the answer shows is true of then at the least.
        asked_ns, asked_at_ns = self._around.now_ns(), self._tools.caller.now_ns()
        try:
            await self._tools.ari.reconcile()
        except (AriUnreachable, AriTimeout) as problem:
            since_ns = self._unreachable_since_ns = self._unreachable_since_ns or asked_ns
            # as long as one call hears something Asterisk is there
            if all_deaf and self._around.now_ns() - since_ns >= UNREACHABLE_NS:
                gone_s = (self._around.now_ns() - since_ns) / 1e9
                self.lose_target(
                    AsteriskCrashed(f"no packet comes back, and ARI cannot be reached since {gone_s:.0f} s: {problem}")
                )
        except SlaError:
            return  # it answers, so it is there
        else:
            self._unreachable_since_ns = None
            for run in self._runs:
                if run.sending and not run.call.why_lost():
                    self._tools.caller.vouch(run.sending, asked_at_ns)

    def _start(self, planned: PlannedCall) -> None:
        late_ns = self._around.now_ns() - planned.start_ns
        if not self._tools.caller.free_calls or late_ns > START_TOLERANCE_NS:
            self.not_started += 1
            return
        call = LiveCall(self._tools.ari.new_id("call"), self._tools)
        call.take_endpoints(self._tools.caller.take_call())
        task = asyncio.create_task(self._drive(CallRun(call, planned, self._around)), name=f"call {call.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.guard(task)

    async def _drive(self, run: CallRun) -> None:
        self._runs.add(run)
        try:
            outcome = await run.run()
        finally:
            self._runs.discard(run)
        if run.came_up_late_ns:
            self._late_ns.append(run.came_up_late_ns)
        self._remember(run, outcome)
        if self._tools.conductor is not None and run.planned.is_seated:
            await self._call_again(run.planned, outcome)

    async def _call_again(self, planned: PlannedCall, outcome: CallOutcome) -> None:
        """Let the next caller follow where a script has ended, as long as there is time for one more."""
        now_ns = self._around.now_ns()
        begins_ns = now_ns + (PAUSE_AFTER_FAILURE_NS if outcome.reason else 0)
        ends_ns = planned.start_ns + planned.holding_ns
        if begins_ns + now_ns - outcome.started_ns > ends_ns:  # one as long as this would be cut off
            return
        if not await self._end.within((begins_ns - now_ns) / 1e9):
            self._start(planned._replace(start_ns=begins_ns, holding_ns=ends_ns - begins_ns))

    def _remember(self, run: CallRun, outcome: CallOutcome) -> None:
        """Keep what came of a call, as long as there is room for more of its kind."""
        is_bad = bool(outcome.reason)
        if self._kept[is_bad] >= CALLS_KEPT:
            return
        self._kept[is_bad] += 1
        self.calls.append(outcome)
        self._candidates.offer(outcome, (stream for report in run.reports.values() for stream in report.streams))
