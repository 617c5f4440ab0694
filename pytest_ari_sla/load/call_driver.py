"""Starts calls when the plan says so, holds them, and ends them: one task a call."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import NetworkError, TargetError
from pytest_ari_sla.load.call import LiveCall
from pytest_ari_sla.load.outcome import CallOutcome
from pytest_ari_sla.media.caller_worker import LOSS_LIMIT_NS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pytest_ari_sla.hookspecs import Topology
    from pytest_ari_sla.load.call import CallTools
    from pytest_ari_sla.load.capture_shelf import CaptureShelf
    from pytest_ari_sla.load.profile import PlannedCall
    from pytest_ari_sla.media.caller_worker import LegSeat
    from pytest_ari_sla.media.measurer import LegReport
    from pytest_ari_sla.metrics.channel_metrics import CallLedger

__all__ = ["CallDriver"]

POLL_S = 0.02
START_TOLERANCE_NS = 1_000_000_000
"""A call that could not be started for so long is not started at all: that would be another load than planned."""

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
        self._broken_by: Exception | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._kept: Counter[bool] = Counter()
        self.not_started = 0
        self.calls: list[CallOutcome] = []

    async def run(self, plan: Iterable[PlannedCall]) -> None:
        """Start the plan's calls in their time; return when the last one is gone.

        When this is cancelled all calls are ended first. What Asterisk or the network do wrong fails single calls;
        anything else (the media loop died, the relay is gone, a topology has a bug) would only be blamed on them: it
        ends all calls and is raised.
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
        if self._broken_by is not None:
            raise self._broken_by

    def end_early(self, *, hurried: bool = False) -> None:
        """Start no more calls, and end those that are up; hurried: without waiting for what is still on its way."""
        self._hurried |= hurried
        self._ending.set()

    def give_up(self, error: Exception) -> str:
        """End the whole load because of this, which :meth:`run` then raises; return it in words."""
        self._broken_by = self._broken_by or error
        self.end_early(hurried=True)
        return str(error) or type(error).__name__

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
        call.seat_legs(self._tools.caller.take_call())
        task = asyncio.create_task(self._drive(call, planned), name=f"call {call.id}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _drive(self, call: LiveCall, planned: PlannedCall) -> None:
        started_ns, started_at = self._now_ns(), time.time_ns()
        self._ledger.mark_channel_started(call.id, started_ns)
        reports: dict[LegSeat, LegReport] = {}
        failure = ""
        established_ns = None
        self._tools.listener.call_started(call)
        try:
            try:
                await self._topology.establish(call)
                established_ns = self._now_ns()
                self._ledger.mark_channel_established(call.id, established_ns)
                failure = await self._hold(call, planned.holding_ns // self._packet_time_ns)
            finally:
                reports = await self._retire(call)
        except (TargetError, NetworkError) as error:
            failure = str(error)
        except Exception as error:
            failure = self.give_up(error)
        leftover = await self._hang_up(call)
        first_packet_ns = _first_packet_ns(started_at, reports.values())
        if first_packet_ns is not None:
            self._tools.meter.first_packet.record_one(first_packet_ns)
        self._close(call, failure, leftover)
        self._remember(call, (started_ns, established_ns, first_packet_ns), failure, reports)

    async def _hold(self, call: LiveCall, packets: int) -> str:
        """Stream for the holding time; return why it ended too early, or an empty string."""
        caller = self._tools.caller
        for seat, remote in call.caller_legs:
            caller.start_leg(seat, remote, packets)
        call.note("media", "sending", f"{packets} packets a leg")
        end_ns = self._now_ns() + packets * self._packet_time_ns
        seats = [seat for seat, _ in call.caller_legs]
        while not (lost := call.lost_channel()) and not caller.have_ended(seats, packets):
            left_s = (end_ns - self._now_ns()) / 1e9
            if await _set_within(self._ending, min(max(left_s, POLL_S), 1.0)):
                break
        if lost is None:
            return ""
        return f"channel {lost.channel_id} was hung up by Asterisk: cause {lost.cause} {lost.cause_text}"

    async def _retire(self, call: LiveCall) -> dict[LegSeat, LegReport]:
        """Stop sending, wait for what is still on its way, and take the legs' reports."""
        caller = self._tools.caller
        seats = [seat for seat, _ in call.caller_legs]
        for seat in seats:
            await caller.stop_leg(seat)
        deadline_ns = self._now_ns() + LOSS_LIMIT_NS
        while caller.outstanding(seats) > 0 and self._now_ns() < deadline_ns and not self._hurried:
            await asyncio.sleep(POLL_S)
        return dict(zip(call.seats, await caller.retire_legs(call.seats), strict=True))

    async def _hang_up(self, call: LiveCall) -> str:
        """Remove the call at Asterisk; return what is left of it, if anything."""
        try:
            await call.hang_up()
        except (TargetError, NetworkError) as error:
            call.note("request", "DELETE", str(error))
            return str(error)
        except Exception as error:
            self.give_up(error)
        finally:
            # Also channels that never became a leg: the meter would hold on to the call for ever.
            for channel_id in call.followed:
                self._tools.meter.forget(channel_id)
        return ""

    def _close(self, call: LiveCall, failure: str, leftover: str) -> None:
        now_ns = self._now_ns()
        if failure:
            self._ledger.mark_channel_failed(call.id, now_ns, failure)
        else:
            self._ledger.mark_channel_ended(call.id, now_ns)
        if leftover:
            self._ledger.mark_channel_leaked(call.id)

    def _remember(
        self,
        call: LiveCall,
        times_ns: tuple[int, int | None, int | None],
        failure: str,
        reports: dict[LegSeat, LegReport],
    ) -> None:
        started_ns, established_ns, first_packet_ns = times_ns
        state = ("failed" if established_ns is None else "dropped") if failure else "ended"
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
            rtt_course=_worst_course(reports.values(), time.time_ns() - self._now_ns()),
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
    """Return a call's RTT over time, of the leg on which it is longest; times count from ``began_at_ns``."""
    course: dict[tuple[int, int], float] = {}
    for report in reports:
        for start_ns, end_ns, rtt_ns in report.rtt_course:
            course[start_ns, end_ns] = max(course.get((start_ns, end_ns), 0.0), rtt_ns)
    return [(start - began_at_ns, end - began_at_ns, rtt_ns / 1e9) for (start, end), rtt_ns in sorted(course.items())]


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
