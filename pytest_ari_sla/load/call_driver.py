"""Starts calls when the plan says so, holds them, and ends them: one task a call."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import AriTimeout, AriUnreachable, AsteriskCrashed, NetworkError, SlaError, TargetError
from pytest_ari_sla.load.call import LiveCall
from pytest_ari_sla.load.first_packet import first_packet_delay_ns
from pytest_ari_sla.load.outcome import CallOutcome
from pytest_ari_sla.load.profile import LATE_NS
from pytest_ari_sla.media.call_media import LOSS_LIMIT_NS
from pytest_ari_sla.metrics.histogram import NEVER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pytest_ari_sla.hookspecs import Topology
    from pytest_ari_sla.load.call import CallTools
    from pytest_ari_sla.load.capture_shelf import CaptureShelf
    from pytest_ari_sla.load.profile import PlannedCall
    from pytest_ari_sla.media.measurer import LegReport
    from pytest_ari_sla.media.transport import LegEndpoint
    from pytest_ari_sla.metrics.channel_metrics import CallLedger

__all__ = ["CallDriver"]

POLL_S = 0.02
LINGER_NS = 200_000_000
"""So long is waited for packets that are on their way back from a call that the other side has ended."""

SILENT_NS = 1_000_000_000
"""A call on which nothing has come back for so long may have ended, and the event that says so may be lost."""

UNREACHABLE_NS = 3_000_000_000
"""An Asterisk that sends no packet, and whose ARI cannot be reached for so long, has gone."""

START_TOLERANCE_NS = 1_000_000_000
"""A call that could not be started for so long is not started at all: that would be another load than planned."""

SETUP_PATIENCE_NS = 10_000_000_000
"""So long may the set-up of any call take; of one that is to last longer, until it should have ended."""

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
    ledger
        Where they are counted.
    packet_time_ns
        To turn holding times into packets.
    shard
        Who we are, from 1.
    shelf
        Where packets of calls are kept as evidence.
    """

    def __init__(
        self,
        tools: CallTools,
        topology: Topology,
        ledger: CallLedger,
        packet_time_ns: int,
        shard: int,
        shelf: CaptureShelf,
    ) -> None:
        self._tools = tools
        self._topology = topology
        self._ledger = ledger
        self._packet_time_ns = packet_time_ns
        self._shard = shard
        self._shelf = shelf
        self._ending = asyncio.Event()
        self._hurried = False
        self._broken_by: BaseException | None = None
        self._lost_target: SlaError | None = None
        self._up: dict[LiveCall, list[LegEndpoint]] = {}
        self._asking: asyncio.Task[None] | None = None
        self._unreachable_since_ns: int | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._building: set[asyncio.Timeout] = set()
        self._shortened = 0
        self._latest_ns = 0
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
                await self._until(planned.start_ns)
                if self._ending.is_set():
                    break
                self._start(planned)
            while self._running:
                await asyncio.wait(self._running)
        except asyncio.CancelledError:
            self._hurried = True
            raise
        finally:
            self.end_early()
            if self._running:
                await asyncio.wait(self._running)
            if self._asking is not None:
                self._asking.cancel()
        if self._broken_by is not None:
            raise self._broken_by

    def end_early(self, *, hurried: bool = False) -> None:
        """Start no more calls, and end those that are up; hurried: without waiting for what is still on its way."""
        self._hurried |= hurried
        self._ending.set()
        for call in self._up:
            call.changed.set()
        if self._hurried:
            self._tools.ari.hurry()
            for limit in self._building:
                if not limit.expired():
                    limit.reschedule(0)

    def remarks(self) -> list[str]:
        """Return what a reader of the report must know."""
        if not self._shortened:
            return []
        return [
            f"{self._shortened:,} calls came up late, {self._latest_ns / 1e9:.1f} s after their start at most, "
            "and ended by their plan: they sent for less than their holding time"
        ]

    @property
    def is_ending(self) -> bool:
        """Whether no more calls are started."""
        return self._ending.is_set()

    def guard(self, task: asyncio.Task[None]) -> None:
        """End the whole load when a task of it fails, by whatever exception: pytest-timeout raises where it likes."""
        task.add_done_callback(self._look_at)

    def _look_at(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.give_up(error)

    def give_up(self, error: BaseException) -> str:
        """End the whole load because of this, which :meth:`run` then raises; return it in words."""
        self._broken_by = self._broken_by or error
        self.end_early(hurried=True)
        return str(error) or type(error).__name__

    def lose_target(self, error: SlaError) -> None:
        """End the whole load, since there is nothing any more that could hold its calls: all of them are dropped."""
        self._lost_target = self._lost_target or error
        self.give_up(error)

    def look(self) -> None:
        """Have calls looked into on which nothing is heard any more; called once a second."""
        packets = SILENT_NS // self._packet_time_ns
        silent = self._tools.caller.silent_legs(packets) if self._up else set()
        deaf = [
            call
            for call, endpoints in self._up.items()
            if endpoints and all(endpoint.leg in silent for endpoint in endpoints)
        ]
        if not deaf:
            self._unreachable_since_ns = None
        elif self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(all_deaf=len(deaf) == len(self._up)), name="ask for calls")

    async def _ask(self, *, all_deaf: bool) -> None:
        """Ask Asterisk which channels it still has; one that neither answers nor sends a packet has gone."""
        asked_ns = self._now_ns()
        try:
            await self._tools.ari.reconcile()
        except (AriUnreachable, AriTimeout) as problem:
            since_ns = self._unreachable_since_ns = self._unreachable_since_ns or asked_ns
            if all_deaf and self._now_ns() - since_ns >= UNREACHABLE_NS:
                gone_s = (self._now_ns() - since_ns) / 1e9
                self.lose_target(
                    AsteriskCrashed(f"no packet comes back, and ARI cannot be reached since {gone_s:.0f} s: {problem}")
                )
        except SlaError:
            return  # it answers, so it is there
        else:
            self._unreachable_since_ns = None

    def _now_ns(self) -> int:
        return time.monotonic_ns() - self._tools.began_ns

    async def _until(self, at_ns: int) -> None:
        """Wait for a time of the load; cut short when the load is ended early."""
        left_ns = at_ns - self._now_ns()
        if left_ns > 0:
            await _set_within(self._ending, left_ns / 1e9)

    def _start(self, planned: PlannedCall) -> None:
        call = LiveCall(self._tools.ari.new_id("call"), self._tools)
        late_ns = self._now_ns() - planned.start_ns
        if not self._tools.caller.free_calls or late_ns > START_TOLERANCE_NS:
            self.not_started += 1
            return
        call.take_endpoints(self._tools.caller.take_call())
        task = asyncio.create_task(self._drive(call, planned), name=f"call {call.id}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        self.guard(task)

    async def _drive(self, call: LiveCall, planned: PlannedCall) -> None:
        self._tools.meter.enter_call()
        started_ns = self._now_ns()
        self._ledger.mark_channel_started(call.id, started_ns)
        reports: dict[LegEndpoint, LegReport] = {}
        failure = ""
        established_ns = None
        self._tools.listener.call_started(call)
        try:
            try:
                if await self._establish(call, planned):
                    established_ns = self._now_ns()
                    self._ledger.mark_channel_established(call.id, established_ns)
                    failure = await self._hold(call, self._sending_ns(planned, established_ns) // self._packet_time_ns)
            finally:
                reports = await self._retire(call, ended_by_other=bool(failure))
            # Also a call that has just sent its last packet: the target was gone before anyone knew.
            failure = self._target_loss() or failure
        except (TargetError, NetworkError) as error:
            failure = str(error)
        except Exception as error:
            self.give_up(error)  # not Asterisk's fault, so this call has not failed: it is told to end
        await self._hang_up(call)
        started_at = self._tools.caller.now_ns() - self._now_ns() + started_ns
        first_packet_ns = _first_packet_ns(started_at, reports.values())
        if established_ns is not None:
            self._meter_first_packet(call, reports, started_at + established_ns - started_ns, failed=bool(failure))
        self._close(call, failure)
        self._remember(call, (started_ns, established_ns, first_packet_ns), failure, reports)

    async def _establish(self, call: LiveCall, planned: PlannedCall) -> bool:
        """Build the call; return False where the load is ended in a hurry meanwhile.

        At overload most of them wait for their turn. One that is not up when it should have ended is not built any
        more: the load would take as long as all of them need, and not as long as planned.
        """
        patience_ns = max(planned.holding_ns + LATE_NS, SETUP_PATIENCE_NS)
        left_ns = 0 if self._hurried else planned.start_ns + patience_ns - self._now_ns()
        try:
            async with asyncio.timeout(left_ns / 1e9) as limit:
                self._building.add(limit)
                await self._topology.establish(call)
        except TimeoutError:
            if not limit.expired():
                raise
            if self._hurried:
                return False
            raise AriTimeout(
                f"it was not set up {patience_ns / 1e9:g} s after its start, when its time was over"
            ) from None
        finally:
            self._building.discard(limit)
        return True

    def _sending_ns(self, planned: PlannedCall, up_ns: int) -> int:
        """Return for how long a call sends, and take note of one that is late."""
        sending_ns = planned.sending_ns(up_ns)
        if sending_ns < planned.holding_ns:
            self._shortened += 1
            self._latest_ns = max(self._latest_ns, up_ns - planned.start_ns)
        return sending_ns

    async def _hold(self, call: LiveCall, packets: int) -> str:
        """Stream for the holding time; return why it ended too early, or an empty string."""
        caller = self._tools.caller
        for endpoint, remote in call.caller_legs:
            caller.start_leg(endpoint, remote, packets)
        call.note("media", "sending", f"{packets} packets a leg")
        end_ns = self._now_ns() + packets * self._packet_time_ns
        endpoints = self._up[call] = [endpoint for endpoint, _ in call.caller_legs]
        try:
            while not (self._ending.is_set() or call.lost_channel() or caller.have_ended(endpoints, packets)):
                call.changed.clear()
                await _set_within(call.changed, max((end_ns - self._now_ns()) / 1e9, POLL_S))
        finally:
            del self._up[call]
        lost = call.lost_channel()
        if lost is None:
            return ""
        return f"channel {lost.channel_id} was hung up by Asterisk: cause {lost.cause} {lost.cause_text}"

    async def _retire(self, call: LiveCall, *, ended_by_other: bool) -> dict[LegEndpoint, LegReport]:
        """Stop sending, wait for what is still on its way, and take the legs' reports.

        What was sent to a call that the other side had ended is judged by nobody.
        """
        caller = self._tools.caller
        endpoints = [endpoint for endpoint, _ in call.caller_legs]
        for endpoint in endpoints:
            await caller.stop_leg(endpoint)
        deadline_ns = self._now_ns() + (LINGER_NS if ended_by_other else LOSS_LIMIT_NS)
        while caller.outstanding(endpoints) > 0 and self._now_ns() < deadline_ns and not self._hurried:
            await asyncio.sleep(POLL_S)
        ended_by_other = ended_by_other or self._lost_target is not None
        reports = await caller.retire_legs(call.endpoints, ended_by_other=ended_by_other)
        return dict(zip(call.endpoints, reports, strict=True))

    def _target_loss(self) -> str:
        """Return how the target was lost; empty as long as it is there."""
        return str(self._lost_target).splitlines()[0] if self._lost_target is not None else ""

    async def _hang_up(self, call: LiveCall) -> None:
        """Remove the call at Asterisk; what is left of it is swept up, or told, at the load's end."""
        try:
            await call.hang_up()
        except (TargetError, NetworkError) as error:
            call.note("request", "DELETE", str(error))
        except Exception as error:
            self.give_up(error)
        finally:
            # Also channels that never became a leg: the meter would hold on to the call for ever.
            for channel_id in call.followed:
                self._tools.meter.forget(channel_id)

    def _meter_first_packet(
        self, call: LiveCall, reports: dict[LegEndpoint, LegReport], up_at_ns: int, *, failed: bool
    ) -> None:
        """Record when the call first heard something; of one that we have ended too soon to know, nothing."""
        by_place = {call.endpoints.index(end): reports[end] for end, _ in call.caller_legs if end in reports}
        if not by_place:
            return  # the media loop died, and tells nothing
        delay_ns = first_packet_delay_ns(self._tools.media, self._topology.heard_leg, by_place, up_at_ns)
        was_waited_for = failed or not self._hurried or self._tools.caller.now_ns() - up_at_ns >= LOSS_LIMIT_NS
        if delay_ns is not None or was_waited_for:
            self._tools.meter.first_packet.record_one(NEVER if delay_ns is None else delay_ns)

    def _close(self, call: LiveCall, failure: str) -> None:
        now_ns = self._now_ns()
        if failure:
            self._ledger.mark_channel_failed(call.id, now_ns, failure)
        else:
            self._ledger.mark_channel_ended(call.id, now_ns)

    def _remember(
        self,
        call: LiveCall,
        times_ns: tuple[int, int | None, int | None],
        failure: str,
        reports: dict[LegEndpoint, LegReport],
    ) -> None:
        started_ns, established_ns, first_packet_ns = times_ns
        states = ("cancelled", "failed") if established_ns is None else ("ended", "dropped")
        state = states[bool(failure)]
        outcome = CallOutcome(
            id=call.id,
            state=state,
            started_ns=started_ns,
            established_ns=established_ns,
            closed_ns=self._now_ns(),
            first_packet_ns=first_packet_ns,
            reason=failure,
            shard=self._shard,
            values=_worst_values(reports.values(), self._tools.higher_is_better),
            timeline=call.timeline,
            delay_course=_worst_course(reports.values(), self._tools.caller.now_ns() - self._now_ns()),
        )
        self._tools.listener.call_ended(outcome)
        is_bad = bool(failure)
        if self._kept[is_bad] >= CALLS_KEPT:
            return
        self._kept[is_bad] += 1
        self.calls.append(outcome)
        self._shelf.offer(outcome, (stream for report in reports.values() for stream in report.streams))


def _first_packet_ns(started_at_ns: int, reports: Iterable[LegReport]) -> int | None:
    """Return how long after its start a call's first packet came, on its slowest leg; None if a leg heard nothing."""
    arrivals = [report.first_arrival_ns for report in reports]
    return max(arrivals) - started_at_ns if arrivals and all(arrivals) else None


def _worst_course(reports: Iterable[LegReport], began_at_ns: int) -> list[tuple[int, int, float]]:
    """Return a call's delay over time, of the leg on which it is longest; times count from ``began_at_ns``."""
    course: dict[tuple[int, int], float] = {}
    for report in reports:
        for start_ns, end_ns, delay_ns in report.delay_course:
            course[start_ns, end_ns] = max(course.get((start_ns, end_ns), 0.0), delay_ns)
    return [
        (start - began_at_ns, end - began_at_ns, delay_ns / 1e9) for (start, end), delay_ns in sorted(course.items())
    ]


def _worst_values(reports: Iterable[LegReport], higher_is_better: Collection[str]) -> dict[str, float]:
    """Return a call's figures: those of the leg on which each is worst; a stat (``rtt.p50``) is as its metric."""
    values: dict[str, float] = {}
    for report in reports:
        for name, value in report.values.items():
            choose = min if {name, name.rpartition(".")[0]} & set(higher_is_better) else max
            values[name] = choose(values.get(name, value), value)
    return values


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, but not for longer than so many seconds; return whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
