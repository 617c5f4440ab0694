"""The caller: makes the legs of calls speak by a media transport, and measures what comes back."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_ari_sla.capture.kept_packets import PACKET_BYTES, PacketKeeper
from pytest_ari_sla.errors import MediaLoopFailed
from pytest_ari_sla.hookspecs.tracker import TrackerContext
from pytest_ari_sla.media.call_media import LOSS_LIMIT_NS
from pytest_ari_sla.media.legs import LegAllocator
from pytest_ari_sla.media.measuring.measurer import Measurer
from pytest_ari_sla.media.measuring.tracker_group import TrackerGroup
from pytest_ari_sla.media.said_frames import VoiceOrders, said_frames
from pytest_ari_sla.media.transport import FaultyTransport, RtcpTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytest_ari_sla.ari.resources import ExternalMedia
    from pytest_ari_sla.capture.kept_packets import KeptPackets
    from pytest_ari_sla.hookspecs.tracker import Tracker
    from pytest_ari_sla.media.call_media import MediaPlan
    from pytest_ari_sla.media.measuring.measurer import LegReport
    from pytest_ari_sla.media.transport import LegEndpoint, MediaSite, MediaTransport
    from pytest_ari_sla.metrics.snapshot import Snapshot

__all__ = ["CallerWorker"]

POLL_S = 0.2
AUDIO_S = 30
"""So much audio is kept of each call that follows a script: what a person would listen to."""

AUDIO_BYTES = 1 << 27
"""For the audio of all legs together; with more of them, less is kept of each."""

_NEVER_NS = 1 << 62


class CallerWorker:
    """One load's media: a transport, and the thread that measures what it receives.

    Use as an asynchronous context manager. All methods belong to one event loop.

    Parameters
    ----------
    plan
        What to send.
    transport
        How it travels.
    site
        Where it ends on this machine.
    trackers, owners
        Prototypes, which are copied, and the plug-in that each came from, by its name.
    make_measurer
        Makes what runs the trackers: a thread, unless a test plays it.
    """

    def __init__(
        self,
        plan: MediaPlan,
        transport: MediaTransport,
        site: MediaSite,
        trackers: Iterable[Tracker],
        owners: Mapping[str, str] | None = None,
        make_measurer: Callable[..., Measurer] = Measurer,
    ) -> None:
        self._plan = plan
        self._opening = transport.open(plan, site)
        self._legs = LegAllocator(plan.calls, len(plan.media))
        self._trackers = TrackerGroup(trackers, owners or {}, plan.clock)
        self._make_measurer = make_measurer
        self._started: set[int] = set()
        # Legs of calls with misbehaving peers that are not measured, and when they would have ended; all, by name.
        self._unmeasured: dict[int, int] = {}
        self._faults: dict[int, str] = {}
        self._orders: dict[int, VoiceOrders] = {}

    async def __aenter__(self) -> CallerWorker:
        async with AsyncExitStack() as stack:
            self._transport = await stack.enter_async_context(self._opening)
            self._measurer = self._begin_to_measure()
            # Before the transport is closed, which it still reads; in a thread, as it waits for another one.
            stack.push_async_callback(asyncio.to_thread, self._measurer.stop)
            self._opened = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    def _begin_to_measure(self) -> Measurer:
        plan, transport = self._plan, self._transport
        context = TrackerContext(
            legs=plan.legs,
            heard_leg=plan.media.heard_legs(plan.calls),
            voices=plan.media.voices,
            voice_of_leg=plan.media.voices_of_legs(plan.calls),
            packet_time_ns=plan.packet_time_ns,
            send_log=transport.send_log,
            probe_window=transport.probe_window,
            loss_limit_ns=LOSS_LIMIT_NS,
            audio_legs=plan.media.audible_legs(plan.calls),
            ari=plan.ari,
            receive_drops=lambda: transport.health().receive_drops,
            shard=plan.shard,
            began_ns=lambda: self._measurer.begin_ns,
            alive_ns=lambda: self._measurer.life.known_ns(),
            events_clock_hz=plan.events_clock_hz,
        )
        self._trackers.begin(context)
        keeper = _make_keeper(plan) if plan.keep_packets else None
        self._keeps_audio = keeper is not None and keeper.payload_bytes > 0
        measurer = self._make_measurer(transport, self._trackers, plan.legs, keeper, plan.listener, len(plan.media))
        measurer.start()
        return measurer

    def now_ns(self) -> int:
        """Return the time by which media is dated: ns since the Unix epoch, on a clock that nobody sets."""
        return self._transport.now_ns()

    def begin_at(self, moment_ns: int) -> None:
        """Count seconds from this time on: see :meth:`take_dated`."""
        self._measurer.begin_at(moment_ns)

    def take_dated(self) -> list[tuple[int, Snapshot]]:
        """Return what has been measured since the last time, with the times that it belongs to (as :meth:`now_ns`)."""
        return self._measurer.take_dated()

    def media_cpu_ns(self) -> int:
        """Return the processor time that moving packets has taken: to the second while it goes on, then exactly."""
        return self._transport.health().cpu_ns

    @property
    def packets_sent(self) -> int:
        """Packets sent so far."""
        return self._measurer.packets_sent

    @property
    def free_calls(self) -> int:
        """Calls that can still be taken."""
        return self._legs.free_calls

    def take_call(self) -> list[LegEndpoint]:
        """Reserve the legs of a call, in their order; the call is free again when all of them have retired.

        Raises
        ------
        MediaLoopFailed
            When all calls of the plan are in use.
        """
        *others, last = self._legs.take_call()
        fault = self._plan.faults.draw() if self._plan.faults is not None else None
        endpoints = [self._transport.take_leg(leg) for leg in others]
        if fault is None or not isinstance(self._transport, FaultyTransport):
            return [*endpoints, self._transport.take_leg(last)]
        faulty = [*endpoints, self._transport.take_faulty_leg(last, fault)]
        if not fault.is_measured:
            # until they are started, nobody knows when they end
            self._unmeasured.update(dict.fromkeys((endpoint.leg for endpoint in faulty), _NEVER_NS))
        self._faults.update(dict.fromkeys((endpoint.leg for endpoint in faulty), fault.name))
        return faulty

    def fault_of(self, endpoints: Sequence[LegEndpoint]) -> str:
        """Return how the peer of a call misbehaves on purpose, where its media and end are judged by nobody."""
        legs = [endpoint.leg for endpoint in endpoints if endpoint.leg in self._unmeasured]
        return self._faults[legs[0]] if legs else ""

    def remote_of(self, endpoint: LegEndpoint, media: ExternalMedia) -> object:
        """Return where a leg's frames go, by what Asterisk answered."""
        return self._transport.remote_of(endpoint, media)

    def start_leg(self, endpoint: LegEndpoint, remote: object, packets: int) -> None:
        """Send so many packets to ``remote`` from now on, and take what comes from there as this leg's.

        With the transport ``rtp`` that is an address (host and port).
        """
        if endpoint.leg in self._unmeasured:
            self._unmeasured[endpoint.leg] = self.now_ns() + packets * self._plan.packet_time_ns
            return
        self._transport.start(endpoint, remote, packets)
        self._started.add(endpoint.leg)

    def play(self, endpoint: LegEndpoint, voice: int) -> None:
        """Let a leg that has been started say another of the load's voices, from its beginning."""
        orders = self._orders.setdefault(endpoint.leg, VoiceOrders())
        orders.order(voice, self._transport.voice_began_ns(endpoint), self._transport.now_ns())
        self._transport.play(endpoint, voice)

    def voice_began_ns(self, endpoint: LegEndpoint) -> int:
        """Return when a leg began to say what it was last told to play; see :class:`OpenTransport`."""
        return self._transport.voice_began_ns(endpoint)

    async def stop_leg(self, endpoint: LegEndpoint) -> None:
        """Send nothing more for a leg; return when that is certain."""
        await self._transport.stop(endpoint)

    def have_ended(self, endpoints: Sequence[LegEndpoint], packets: int) -> bool:
        """Whether all of these legs' packets have had their turn."""
        now_ns = self.now_ns()
        measured = [end.leg for end in endpoints if end.leg not in self._unmeasured]
        others_end = all(self._unmeasured[end.leg] <= now_ns for end in endpoints if end.leg in self._unmeasured)
        return others_end and bool((self._transport.send_log.due_by(measured) >= packets).all())

    def outstanding(self, endpoints: Sequence[LegEndpoint]) -> int:
        """Return how many packets these legs have sent and not got back yet, all together."""
        legs = [endpoint.leg for endpoint in endpoints]
        probed = [leg for leg in legs if self._plan.has_probes(leg)]
        # What nobody of ours hears does not come back.
        others = [leg for leg in legs if not self._plan.has_probes(leg) and self._plan.is_heard(leg)]
        missing = int(self._transport.send_log.sent_by(others).sum()) - self._measurer.received(others)
        # A mixing bridge may send more packets than it gets.
        return sum(map(self._measurer.outstanding, probed)) + max(missing, 0)

    def silent_legs(self, packets: int) -> set[int]:
        """Return the legs that have sent so many packets, or more, since the last one that came back.

        Of a leg that sends no probes, but hears one of ours, that is for how long it has heard nothing.
        """
        plan = self._plan
        silent = {leg for leg in self._measurer.silent_legs(packets).tolist() if plan.has_probes(leg)}
        deaf = self._measurer.deaf_legs(packets * plan.packet_time_ns).tolist()
        return silent | {leg for leg in deaf if not plan.has_probes(leg) and plan.media.sources(leg % len(plan.media))}

    def vouch(self, endpoints: Sequence[LegEndpoint], until_ns: int) -> None:
        """Take note that a call existed at a time (as :meth:`now_ns`): what it had sent by then can be lost."""
        self._measurer.life.vouch([endpoint.leg for endpoint in endpoints], until_ns)

    async def retire_legs(
        self, endpoints: Sequence[LegEndpoint], *, ended_by_other: bool = False, lived: bool = True
    ) -> list[LegReport]:
        """Give the stopped legs of a call back, and return what was measured of each.

        Parameters
        ----------
        endpoints
            All legs of the call.
        ended_by_other
            Whether the other side ended the call: what was sent after the last packet that came back is judged by
            nobody then.
        lived
            Whether the call is known to have been there to its end; else nothing is known of what was sent since its
            last sign of life.

        Raises
        ------
        MediaLoopFailed
            When nothing is measured any more.
        """
        loop = asyncio.get_running_loop()
        reported: asyncio.Future[list[LegReport]] = loop.create_future()

        def done(reports: list[LegReport]) -> None:
            reports = [self._with_record(end, report) for end, report in zip(endpoints, reports, strict=True)]
            # In the measuring thread, so that no packet of this call can be taken for one of the legs' next call.
            for endpoint in endpoints:
                self._transport.ignore(endpoint)
            loop.call_soon_threadsafe(reported.set_result, reports)

        for endpoint in endpoints:
            if endpoint.leg in self._orders:
                self._orders[endpoint.leg].settle(self._transport.voice_began_ns(endpoint))
        self._measurer.retire([endpoint.leg for endpoint in endpoints], done, withdraw=ended_by_other, lived=lived)
        # With a time limit: a loop or a measurer that has died will never report.
        while not (await asyncio.wait([reported], timeout=POLL_S))[0]:
            self._transport.ensure_alive()
            self._check_measurer()
        reports = [self._with_streams(end, report) for end, report in zip(endpoints, reported.result(), strict=True)]
        # Behind the streams, which are made of what the transport knows of its legs.
        await self._transport.give_back(endpoints)
        for endpoint in endpoints:
            self._started.discard(endpoint.leg)
            self._unmeasured.pop(endpoint.leg, None)
            self._faults.pop(endpoint.leg, None)
            self._orders.pop(endpoint.leg, None)
            self._legs.give_back(endpoint.leg)
        return reports

    def _with_record(self, endpoint: LegEndpoint, report: LegReport) -> LegReport:
        """Return a report with what its leg and the leg's peer told each other."""
        transport = self._transport
        return replace(report, rtcp=transport.rtcp_record(endpoint)) if isinstance(transport, RtcpTransport) else report

    def _with_streams(self, endpoint: LegEndpoint, report: LegReport) -> LegReport:
        """Return a report with what its leg sent and received, where packets were kept."""
        if report.kept is None or endpoint.leg not in self._started:
            return report
        kept = self._with_audio(endpoint, report.kept) if self._keeps_audio else report.kept
        return replace(report, streams=self._transport.captured(endpoint, kept))

    def _with_audio(self, endpoint: LegEndpoint, kept: KeptPackets) -> KeptPackets:
        """Return what was kept of a leg with what it has said."""
        plan, begun = self._plan, self._orders.get(endpoint.leg, VoiceOrders()).begun
        first, voices = plan.voice(endpoint.leg), plan.media.voices
        said = said_frames(kept.due_ns, kept.first_turn, plan.packet_time_ns, first, begun, voices)
        return replace(kept, said=said)

    def snapshot(self) -> Snapshot:
        """Return the cumulative numbers; at most a second old while the worker runs, final afterwards.

        Raises
        ------
        MediaLoopFailed
            When nothing is measured any more.
        """
        self._transport.ensure_alive()
        self._check_measurer()
        return self._measurer.latest()

    def last_snapshot(self) -> Snapshot:
        """Return the last cumulative numbers that there are, also where nothing is measured any more."""
        return self._measurer.latest()

    def remarks(self) -> list[str]:
        """Return what a reader of the report must know of the trackers: failures, and undue cost."""
        faults = self._plan.faults.remarks() if self._plan.faults is not None else []
        return [*self._trackers.remarks(), *faults]

    def _check_measurer(self) -> None:
        error = self._measurer.error
        if error is not None:
            raise MediaLoopFailed(f"nothing is measured any more: {error}") from error

    @property
    def packets_received(self) -> int:
        """Packets that came, from anywhere, and were measured."""
        return self._transport.frames_received()

    def strangers(self, most: int) -> list[tuple[str, int]]:
        """Return who sent most of the packets that no leg expects, and how many."""
        return Counter(self._transport.health().strangers).most_common(most)

    @property
    def media_pid(self) -> int:
        """Process id of what moves packets."""
        return self._transport.pid

    def stall(self, duration_ns: int) -> None:
        """Let what moves packets stand still for a while: a fault on purpose, to see that the run notices."""
        self._transport.stall(duration_ns)

    @property
    def has_realtime_priority(self) -> bool:
        """Whether packets are moved under SCHED_FIFO."""
        return self._transport.has_realtime_priority

    @property
    def receive_buffer_bytes(self) -> int:
        """What the kernel granted to each socket."""
        return self._transport.receive_buffer_bytes


def _make_keeper(plan: MediaPlan) -> PacketKeeper:
    """Return what keeps packets: of calls that follow a script also what is said, as far as there is room for it."""
    headers_only = PacketKeeper(plan.legs)
    if plan.listener is None:
        return headers_only
    payload_bytes = max(voice.frames.shape[1] for voice in plan.media.voices)
    affordable = AUDIO_BYTES // (plan.legs * (payload_bytes + PACKET_BYTES))
    depth = min(AUDIO_S * 1000 // plan.packet_time_ms, affordable)
    return PacketKeeper(plan.legs, depth, payload_bytes) if depth >= headers_only.depth else headers_only
