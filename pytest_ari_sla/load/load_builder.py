"""Builds what a load is made of: its ARI session, relay, media and callers, and who watches over the target."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytest_ari_sla.ari_client.session import AriSession
from pytest_ari_sla.callers.conductor import Conductor
from pytest_ari_sla.capture.kept_packets import NO_CAPTURE
from pytest_ari_sla.errors import SlaError
from pytest_ari_sla.load.calls.application import Leftovers
from pytest_ari_sla.load.calls.call_driver import CallDriver
from pytest_ari_sla.load.calls.call_tools import CallTools
from pytest_ari_sla.media.caller_worker import CallerWorker
from pytest_ari_sla.udp.host_limits import host_limit
from pytest_ari_sla.watch.forensics import Forensics, OwnAsterisk
from pytest_ari_sla.watch.rtp_questions import RtpQuestions
from pytest_ari_sla.watch.target_watch import TargetWatch

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AsyncExitStack

    from pytest_ari_sla.load.calls.call_table import CallTable
    from pytest_ari_sla.load.calls.call_tools import RelayControl
    from pytest_ari_sla.load.calls.capture_candidates import CaptureCandidates
    from pytest_ari_sla.load.load_books import LoadBooks
    from pytest_ari_sla.load.meters.control_meter import ControlMeter
    from pytest_ari_sla.load.planning.plan import LoadPlan
    from pytest_ari_sla.load.tools import LoadTools
    from pytest_ari_sla.media.call_media import MediaPlan
    from pytest_ari_sla.signalling.sip import SipCaller
    from pytest_ari_sla.watch.leak_audit import LeakAudit

__all__ = ["REQUESTS_IN_FLIGHT", "LoadBuilder", "LoadParts"]

REQUESTS_IN_FLIGHT = 16
"""Enough for Asterisk's full set-up rate; more would only queue there, and be measured as its latency."""


@dataclass(kw_only=True, eq=False)
class LoadParts:
    """What a load needs before its first call.

    Attributes
    ----------
    ari, caller
        The session at Asterisk, and who moves the media.
    relay
        None where no leg goes through one.
    audit
        What the target held before; None where nobody looks, or another shard does.
    conductor
        Lets callers say their script; None where there is none.
    leftovers
        Sees what the application under test leaves; None likewise, or where another shard does.
    sip, rtp_questions
        Makes calls by SIP, and asks Asterisk how it receives them; None where no call is made so.
    notes
        What a reader of the report must know before the first call.
    """

    ari: AriSession
    caller: CallerWorker
    relay: RelayControl | None = None
    audit: LeakAudit | None = None
    conductor: Conductor | None = None
    leftovers: Leftovers | None = None
    sip: SipCaller | None = None
    rtp_questions: RtpQuestions | None = None
    notes: list[str] = field(default_factory=list)


class LoadBuilder:
    """Builds the parts of one load.

    Parameters
    ----------
    plan, tools
        What is made, and with what.
    meter
        Measures requests and events.
    books
        Where meters that only some loads have are entered.
    """

    def __init__(self, plan: LoadPlan, tools: LoadTools, meter: ControlMeter, books: LoadBooks) -> None:
        self._plan = plan
        self._tools = tools
        self._meter = meter
        self._books = books

    async def prepare(self, stack: AsyncExitStack) -> LoadParts:
        """Check and start all that the load needs; the stack ends it.

        Raises
        ------
        SlaError
            Not even the first call can be made.
        """
        try:
            return await self._parts(stack)
        except SlaError as error:
            error.before_any_call = True
            raise
        except OSError as error:
            # Whichever part it was that could not open or start something.
            if (limit := host_limit(error)) is None:
                raise
            limit.before_any_call = True
            raise limit from error

    async def _parts(self, stack: AsyncExitStack) -> LoadParts:
        plan, tools = self._plan, self._tools
        audit = tools.leak_audit if plan.shard == 1 else None  # once for the fleet
        if audit is not None:
            await audit.begin()
        ari = await stack.enter_async_context(self._ari_session())
        notes = await tools.preflight(ari, plan)
        relay = await stack.enter_async_context(tools.open_relay()) if plan.topology.relay_legs else None
        media = plan.media_plan(tools.endpoint, keep_packets=tools.capture != NO_CAPTURE, clock=tools.clock)
        conductor = leftovers = None
        if plan.script is not None:
            conductor = Conductor(plan.script)
            self._books.add(conductor.meter)
            if plan.shard == 1:  # once for the fleet
                leftovers = Leftovers(ari)
                await leftovers.begin()
            hears_itself = tuple(plan.topology.heard_leg) == (0,)
            listener = conductor.listener(plan.codec, media.legs, hears_itself=hears_itself)
            media = replace(media, listener=listener)
        sip, rtp_questions = await self._by_sip(stack, ari) if plan.calls_by_sip else (None, None)
        return LoadParts(
            ari=ari,
            caller=await stack.enter_async_context(self._caller(media)),
            relay=relay,
            audit=audit,
            conductor=conductor,
            leftovers=leftovers,
            sip=sip,
            rtp_questions=rtp_questions,
            notes=notes,
        )

    def _ari_session(self) -> AriSession:
        tools = self._tools
        return AriSession(
            tools.endpoint.base_url,
            tools.endpoint.user,
            tools.endpoint.password,
            # of this run alone: a second connection to an application takes it over (ApplicationReplaced)
            app=tools.id_prefix,
            id_prefix=tools.id_prefix,
            trust=tools.trust,
            media_host=tools.asterisk_media,
            max_in_flight=REQUESTS_IN_FLIGHT,
            clock=tools.clock,
            is_gone=tools.is_target_gone,
            observer=self._meter,
            realtime=self._plan.realtime,
        )

    async def _by_sip(self, stack: AsyncExitStack, ari: AriSession) -> tuple[SipCaller, RtpQuestions]:
        # Only here, since it needs a library that not everybody has.
        from pytest_ari_sla.signalling.sip import SipCaller

        sip = SipCaller(self._tools.sip, self._tools.clock)
        stack.push_async_callback(sip.aclose)
        asking = RtpQuestions(ari.endpoint, ari.tls, self._tools.clock)
        rtp_questions = await stack.enter_async_context(asking)
        self._books.add(sip.meter)
        self._books.add(rtp_questions)
        return sip, rtp_questions

    def _caller(self, media: MediaPlan) -> CallerWorker:
        tools = self._tools
        return CallerWorker(media, self._plan.transport, tools.site, tools.trackers, tools.owners, tools.make_measurer)

    def driver(self, parts: LoadParts, began_ns: int, calls: CallTable, candidates: CaptureCandidates) -> CallDriver:
        """Return what makes the calls.

        Parameters
        ----------
        parts
            What they are made with.
        began_ns
            When the load began, on the clock of the tools.
        calls
            Where their states are kept.
        candidates
            Keeps the packets of the worst.
        """
        plan, tools = self._plan, self._tools
        call_tools = CallTools(
            ari=parts.ari,
            caller=parts.caller,
            meter=self._meter,
            relay=parts.relay,
            media=plan.media,
            echo_extension=tools.echo_extension,
            clock=tools.clock,
            began_ns=began_ns,
            listener=tools.listener,
            higher_is_better={
                metric.name for tracker in tools.trackers for metric in tracker.metrics if metric.better == "higher"
            },
            conductor=parts.conductor,
            sip=parts.sip,
            packet_time_ms=plan.packet_time_ms,
            rtp_questions=parts.rtp_questions,
        )
        packet_time_ns = plan.packet_time_ms * 1_000_000
        return CallDriver(call_tools, plan.topology, calls, packet_time_ns, plan.shard, candidates)

    def forensics(self, ari: AriSession, pending: Callable[[], list[tuple[str, int]]]) -> Forensics | None:
        """Return who takes the evidence where Asterisk stalls or dies; None where nobody is to.

        Parameters
        ----------
        ari
            The session at Asterisk.
        pending
            Returns all requests under way.
        """
        tools = self._tools
        if not tools.forensics:
            return None
        asterisk = OwnAsterisk.of(tools.asterisk_pid) if tools.asterisk_pid is not None else None
        return Forensics(ari.endpoint, pending, self._meter.latest_events, asterisk)

    def watch(self, ari: AriSession, forensics: Forensics | None) -> TargetWatch:
        """Return who asks whether the target answers; forensics begin where it does not."""
        clock = self._tools.clock
        if forensics is None:
            return TargetWatch(ari.endpoint, ari.tls, ari.some_channel, clock=clock)
        watch = TargetWatch(ari.endpoint, ari.tls, ari.some_channel, forensics.begin, clock)
        forensics.when_stopped = watch.note_stop
        return watch
