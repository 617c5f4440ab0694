"""One call from its request to its end: built, held, retired, hung up, and told of."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_ari_sla.blame.evidence import HUNG_UP, PEER_FAULT, SCRIPT_FAILED
from pytest_ari_sla.errors import AriTimeout, NetworkError, SlaError, TargetError
from pytest_ari_sla.load.calls.first_packet import first_packet_delay_ns
from pytest_ari_sla.load.calls.load_end import set_within
from pytest_ari_sla.load.calls.truth_of_call import TruthOfCall
from pytest_ari_sla.load.planning.profile import LATE_NS
from pytest_ari_sla.load.results.outcome import CallOutcome
from pytest_ari_sla.media.call_media import LOSS_LIMIT_NS
from pytest_ari_sla.metrics.histogram import NEVER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable

    from pytest_ari_sla.callers.conductor import Conductor
    from pytest_ari_sla.hookspecs.topology import Topology
    from pytest_ari_sla.load.calls.call import LiveCall
    from pytest_ari_sla.load.calls.call_table import CallLife, CallTable
    from pytest_ari_sla.load.calls.call_tools import CallTools
    from pytest_ari_sla.load.calls.load_end import LoadEnd
    from pytest_ari_sla.load.planning.profile import PlannedCall
    from pytest_ari_sla.media.measuring.measurer import LegReport
    from pytest_ari_sla.media.transport import LegEndpoint

__all__ = ["CallRun", "CallSurroundings"]

POLL_S = 0.02
LINGER_NS = 200_000_000
"""So long is waited for packets that are on their way back from a call that was hung up in the middle."""

SETUP_PATIENCE_NS = 10_000_000_000
"""So long may the set-up of any call take; of one that is to last longer, until it should have ended."""


@dataclass(frozen=True, eq=False)
class CallSurroundings:
    """What all calls of a load have in common.

    Attributes
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
    end
        Whether the load ends.
    """

    tools: CallTools
    topology: Topology
    table: CallTable
    packet_time_ns: int
    shard: int
    end: LoadEnd

    def now_ns(self) -> int:
        """Return the time since the load's beginning."""
        return self.tools.elapsed_ns()


class CallRun:
    """Makes one call.

    Parameters
    ----------
    call
        The call, with its endpoints.
    planned
        When it shall begin and end.
    around
        What it has in common with all others.

    Attributes
    ----------
    planned
        When it shall begin and end.
    sending
        The endpoints that send; empty before the call is up, and when it has ended.
    came_up_late_ns
        How long after its planned start it came up, where that has cost it some of its time; else 0.
    outcome
        What came of it, when it is over.
    reports
        What was measured of each of its legs.
    """

    def __init__(self, call: LiveCall, planned: PlannedCall, around: CallSurroundings) -> None:
        self.call = call
        self.planned = planned
        self._around = around
        self._tools = around.tools
        self._end = around.end
        self._building: asyncio.Timeout | None = None
        self._packets = 0
        self._cause = ""
        self._fault = around.tools.caller.fault_of(call.endpoints)
        self._figures: dict[str, float] = {}
        self._truth = TruthOfCall(call, around.packet_time_ns)
        self.sending: list[LegEndpoint] = []
        self.came_up_late_ns = 0
        self.outcome: CallOutcome | None = None
        self.reports: dict[LegEndpoint, LegReport] = {}

    def look_again(self) -> None:
        """Take note that the load ends, or ends in a hurry now."""
        self.call.changed.set()
        if self._end.hurried and self._building is not None and not self._building.expired():
            self._building.reschedule(0)  # long ago by the event loop's clock: at once

    async def run(self) -> CallOutcome:
        """Make the call; what Asterisk or the network do wrong fails it, anything else ends the load."""
        self._tools.meter.enter_call()
        call, table = self.call, self._around.table
        table.mark_started(call.id, self._around.now_ns())
        failure = ""
        self._tools.listener.call_started(call)
        try:
            try:
                async with self._hung_up_in_time():
                    if await self._establish():
                        table.mark_established(call.id, self._around.now_ns())
                        failure = await self._hold()
            finally:
                failure = await self._settle(failure)
            # Also a call that has just sent its last packet: the target was gone before anyone knew.
            if self._end.lost_target is not None:
                failure, self._cause = self._end.target_loss, type(self._end.lost_target).__name__
        except (TargetError, NetworkError) as error:
            # a call that is hung up on purpose may fail by that
            failure, self._cause = "" if call.told_to_end else str(error), type(error).__name__
        except Exception as error:
            self._end.give_up(error)  # not Asterisk's fault, so this call has not failed: it is told to end
        await self._hang_up()
        if self._fault:
            call.note("media", f"peer fault {self._fault}", failure)
            failure, self._cause = "", PEER_FAULT  # it was asked for
        return self._close(failure)

    @asynccontextmanager
    async def _hung_up_in_time(self) -> AsyncIterator[None]:
        """Hang the call up when its plan says so, whatever is done with it meanwhile."""
        if self.planned.hang_up_ns is None:
            yield
            return
        hanging_up = asyncio.create_task(self.call.hang_up_after(self.planned.hang_up_ns))
        try:
            yield
        finally:
            if not self.call.told_to_end:  # else it hangs up just now, and must come to its end
                hanging_up.cancel()
            await asyncio.wait([hanging_up])
            if not hanging_up.cancelled() and (error := hanging_up.exception()) is not None:
                self.call.note("request", "DELETE", str(error))

    async def _establish(self) -> bool:
        """Build the call; return False where the load is ended in a hurry meanwhile.

        At overload most of them wait for their turn. One that is not up when it should have ended is not built any
        more: the load would take as long as all of them need, and not as long as planned.
        """
        patience_ns = max(self.planned.holding_ns + LATE_NS, SETUP_PATIENCE_NS)
        left_ns = 0 if self._end.hurried else self.planned.start_ns + patience_ns - self._around.now_ns()
        try:
            async with asyncio.timeout(left_ns / 1e9) as limit:
                self._building = limit
                await self._around.topology.establish(self.call)
        except TimeoutError:
            if not limit.expired():  # it was the topology's own time limit
                raise
            if self._end.hurried:
                return False
            raise AriTimeout(
                f"it was not set up {patience_ns / 1e9:g} s after its start, when its time was over"
            ) from None
        finally:
            self._building = None
        return True

    @property
    def _is_over(self) -> bool:
        return self._end.has_come or self.call.told_to_end

    def _sending_ns(self) -> int:
        """Return for how long the call sends from now on, and take note where it is late."""
        up_ns = self._around.now_ns()
        sending_ns = self.planned.sending_ns(up_ns)
        if sending_ns < self.planned.holding_ns:
            self.came_up_late_ns = up_ns - self.planned.start_ns
        return sending_ns

    async def _hold(self) -> str:
        """Keep the call up for as long as it is to last; return why it ended too early, or an empty string."""
        if self._tools.conductor is None:
            return await self._stream()
        return await self._follow_script(self._tools.conductor)

    async def _follow_script(self, conductor: Conductor) -> str:
        call, caller = self.call, self._tools.caller
        ((endpoint, _),) = call.caller_legs
        self._packets = 1  # not 0: a caller with a script sends, and hears, from its first moment
        answered_ns = caller.now_ns()
        if call.answered_ns is not None:
            # from the monotonic clock to that of media
            answered_ns += call.answered_ns - call.tools.clock.monotonic_ns()
        failure, self._figures = await conductor.follow(call, endpoint, caller, answered_ns, lambda: self._is_over)
        self._cause = SCRIPT_FAILED
        if not failure and not call.told_to_end:
            await caller.stop_leg(endpoint)
            await self._truth.ask()
        # A script ends with the call: what the application says from then on is nobody's business.
        await self._hang_up()
        return failure

    async def _stream(self) -> str:
        """Stream for the holding time; return why it ended too early, or an empty string."""
        packets = self._packets = self._sending_ns() // self._around.packet_time_ns
        call, caller = self.call, self._tools.caller
        if packets and not self._is_over:
            call.start_media(packets)
        call.note("media", "sending", f"{packets} packets a leg")
        end_ns = self._around.now_ns() + packets * self._around.packet_time_ns
        endpoints = self.sending = [endpoint for endpoint, _ in call.caller_legs]
        try:
            while not (self._is_over or call.why_lost() or caller.have_ended(endpoints, packets)):
                call.changed.clear()
                # Polled from the end on: the last packets leave in the turns of their slots.
                await set_within(call.changed, max((end_ns - self._around.now_ns()) / 1e9, POLL_S))
        finally:
            self.sending = []
        self._cause = HUNG_UP
        return call.why_lost()

    async def _settle(self, failure: str) -> str:
        """Stop sending, wait for what is still on its way, and take the legs' reports; return why the call failed.

        What was sent to a call that had been hung up is judged by nobody. So a call that waits in vain is asked
        for before its last packets are called lost: it may have ended, and the event that says so may be lost.
        """
        call, caller = self.call, self._tools.caller
        endpoints = [endpoint for endpoint, _ in call.caller_legs]
        for endpoint in endpoints:
            await caller.stop_leg(endpoint)
        hung_up = bool(failure) or call.told_to_end
        lived = True
        deadline_ns = self._around.now_ns() + (LINGER_NS if hung_up else LOSS_LIMIT_NS)
        while caller.outstanding(endpoints) > 0 and not self._end.hurried:
            if self._around.now_ns() >= deadline_ns:
                if not hung_up:
                    failure, lived = await self._ask()
                break
            await asyncio.sleep(POLL_S)
        hung_up = hung_up or bool(failure) or self._end.lost_target is not None
        if not hung_up and not self._end.hurried:
            await self._truth.ask()
        lived, retired_ns = lived and not self._end.hurried, self._tools.clock.monotonic_ns()
        reports = await caller.retire_legs(call.endpoints, ended_by_other=hung_up, lived=lived)
        self.reports = dict(zip(call.endpoints, reports, strict=True))
        self._truth.compare(reports, retired_ns)
        return failure

    async def _ask(self) -> tuple[str, bool]:
        """Ask Asterisk whether the call is still there; return why it is not, and whether that could be told."""
        told = True
        try:
            await self.call.find_out()
        except SlaError as problem:
            told = False
            self.call.note("request", "GET /channels", str(problem))
        self._cause = HUNG_UP
        return self.call.why_lost(), told

    async def _hang_up(self) -> None:
        """Remove the call at Asterisk; what is left of it is swept up, or told, at the load's end."""
        call = self.call
        try:
            await call.hang_up()
        except (TargetError, NetworkError) as error:
            call.note("request", "DELETE", str(error))
        except Exception as error:
            self._end.give_up(error)
        finally:
            # Also channels that never became a leg: the meter would hold on to the call for ever.
            for channel_id in call.followed:
                self._tools.meter.forget(channel_id)

    def _close(self, failure: str) -> CallOutcome:
        """Count the call under the state that it ended in, and tell what was measured of it."""
        table, now_ns = self._around.table, self._around.now_ns()
        life = table.mark_failed(self.call.id, now_ns, failure) if failure else table.mark_ended(self.call.id, now_ns)
        # The media's clock is not the load's: it counts from the Unix epoch.
        began_at_ns = self._tools.caller.now_ns() - self._around.now_ns()
        if life.established_ns is not None and not self._fault:
            self._meter_first_packet(began_at_ns + life.established_ns, failed=bool(failure))
        self.outcome = self._outcome_of(life, began_at_ns)
        self._tools.listener.call_ended(self.outcome)
        return self.outcome

    def _meter_first_packet(self, up_at_ns: int, *, failed: bool) -> None:
        """Record when the call first heard something; of one that we have ended too soon to know, nothing."""
        call, reports, tools = self.call, self.reports, self._tools
        by_place = {call.endpoints.index(end): reports[end] for end, _ in call.caller_legs if end in reports}
        if not by_place:
            return  # the media loop died, and tells nothing
        delay_ns = first_packet_delay_ns(tools.media, self._around.topology.heard_leg, by_place, up_at_ns)
        was_cut_short = self._end.hurried or call.told_to_end or not self._packets
        was_waited_for = failed or not was_cut_short or tools.caller.now_ns() - up_at_ns >= LOSS_LIMIT_NS
        if delay_ns is not None or was_waited_for:
            tools.meter.note_first_packet(up_at_ns, NEVER if delay_ns is None else delay_ns)

    def _outcome_of(self, life: CallLife, began_at_ns: int) -> CallOutcome:
        reports = self.reports.values()
        return CallOutcome(
            id=life.call,
            state=life.state.value,
            started_ns=life.started_ns,
            established_ns=life.established_ns,
            closed_ns=life.closed_ns,
            first_packet_ns=_first_packet_ns(began_at_ns + life.started_ns, reports),
            reason=life.reason,
            shard=self._around.shard,
            values=_worst_values(reports, self._tools.higher_is_better) | self._figures,
            timeline=self.call.timeline,
            delay_course=_worst_course(reports, began_at_ns),
            cause=self._cause if life.reason or self._fault else "",
        )


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
