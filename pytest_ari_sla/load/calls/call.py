"""One call: what a topology may do to build it, and how it is taken down again."""

from __future__ import annotations

import asyncio
from bisect import insort
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Unpack, cast

from pytest_ari_sla.ari.call_state import ChannelState
from pytest_ari_sla.ari.media_offer import MediaOffer
from pytest_ari_sla.errors import CallNotAnswered, UsageError
from pytest_ari_sla.load.calls.application import why_unanswered, why_unserved
from pytest_ari_sla.load.results.outcome import TimelineEvent
from pytest_ari_sla.metrics.units import counted
from pytest_ari_sla.rtp.dtmf import EVENTS_TYPE
from pytest_ari_sla.signalling.external_media import make_external_media
from pytest_ari_sla.signalling.local import dial_local, make_local
from pytest_ari_sla.signalling.signalled import STEP_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.ari.media_offer import OfferChanges
    from pytest_ari_sla.ari_client.session import AriSession
    from pytest_ari_sla.ari_client.watch import ChannelWatch
    from pytest_ari_sla.hookspecs.topology import Leg
    from pytest_ari_sla.load.calls.call_tools import CallTools
    from pytest_ari_sla.media.transport import LegEndpoint
    from pytest_ari_sla.signalling.sip import SipCall

__all__ = ["CONTINUED", "CallLeg", "LiveCall"]

CONTINUED = "POST /channels/continue"
"""How a call's story tells that a channel was sent to the dialplan."""

TIMELINE_EVENTS = 100

ENDLESS = 1 << 31
"""More packets than any call sends: a script ends when it is over."""


@dataclass(frozen=True)
class CallLeg:
    """A leg of a call: its channel, where its media goes, its endpoint at the caller, and whether that is the relay.

    A leg by SIP has no channel that we know: its id is empty.
    """

    channel_id: str
    remote: object
    endpoint: LegEndpoint | None
    is_relayed: bool = False


@dataclass(eq=False)
class LiveCall:
    """A call while it lasts; the :class:`~pytest_ari_sla.hookspecs.topology.Call` that topologies get.

    Attributes
    ----------
    changed
        Set when one of its channels has ended, or it shall end itself: whoever holds it looks again.
    told_to_end
        Whether it is being hung up, whatever it was about.
    answered_ns
        When the other side answered, on the monotonic clock; None where that is when it is established.
    media_began_ns
        When its media began at our end, likewise; None before that.
    """

    id: str
    tools: CallTools
    legs: list[CallLeg] = field(default_factory=list)
    timeline: list[TimelineEvent] = field(default_factory=list)
    endpoints: list[LegEndpoint] = field(default_factory=list)
    followed: list[str] = field(default_factory=list)
    sip_calls: list[SipCall] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    told_to_end: bool = False
    answered_ns: int | None = None
    media_began_ns: int | None = None
    _followed_one: asyncio.Event = field(default_factory=asyncio.Event)
    _free: list[LegEndpoint] = field(default_factory=list)
    _creating: set[asyncio.Future[None]] = field(default_factory=set)

    @property
    def ari(self) -> AriSession:
        """The ARI session."""
        return self.tools.ari

    @property
    def caller_legs(self) -> list[tuple[LegEndpoint, object]]:
        """The legs whose media ends at the caller, in the order of their endpoints."""
        legs = {leg.endpoint: leg.remote for leg in self.legs if leg.endpoint is not None}
        return [(endpoint, legs[endpoint]) for endpoint in self.endpoints if endpoint in legs]

    def take_endpoints(self, endpoints: list[LegEndpoint]) -> None:
        """Give the call its endpoints at the caller; its legs take them in order."""
        self.endpoints = list(endpoints)
        self._free = list(endpoints)

    async def external_media(self, *, asterisk_format: str | None = None, **offer: Unpack[OfferChanges]) -> CallLeg:
        """Create the next leg: an ExternalMedia channel joined to the load generator, in Stasis when this returns."""
        endpoint, place = self._next_endpoint()
        return await self._create(endpoint.offer.changed(**offer), endpoint, asterisk_format or self._format(place))

    def _next_endpoint(self) -> tuple[LegEndpoint, int]:
        """Return the endpoint of the next leg, and its place in the call."""
        if not self._free:
            raise UsageError(f"this topology makes more legs than its heard_leg says ({len(self.endpoints)})")
        endpoint = self._free.pop(0)
        return endpoint, self.endpoints.index(endpoint)

    def _format(self, place: int) -> str:
        return self.tools.media.voice(place).codec.asterisk_format

    async def relay_media(self) -> CallLeg:
        """Create a leg whose media goes to the relay instead of the load generator."""
        relay = self.tools.relay
        if relay is None:
            raise UsageError("this topology uses the relay, but its relay_legs is 0")
        host, port = await relay.reserve(self.id)
        leg = await self._create(MediaOffer(f"{host}:{port}"), None, self._format(0))
        # Only Asterisk's answer has told where its media comes from.
        await relay.connect(self.id, cast("Address", leg.remote))
        return leg

    async def _create(self, offer: MediaOffer, endpoint: LegEndpoint | None, asterisk_format: str) -> CallLeg:
        with self._being_made():
            channel_id, remote = await make_external_media(
                self,
                offer,
                asterisk_format,
                lambda media: media.local_address if endpoint is None else self.tools.caller.remote_of(endpoint, media),
            )
            leg = CallLeg(channel_id, remote, endpoint, is_relayed=endpoint is None)
            self._add(leg)
            return leg

    def _add(self, leg: CallLeg) -> None:
        self.legs.append(leg)
        if leg.channel_id:
            self.ari.watch(leg.channel_id).when_over(self.changed.set)
        if self.tools.conductor is not None and leg.endpoint is not None:
            # A caller with a script hears from the first moment, and is silent until it has something to say.
            self.tools.conductor.begin(leg.endpoint)
            self.start_media(ENDLESS)

    def start_media(self, packets: int) -> None:
        """Let all legs that end at the caller send so many packets from now on, and hear."""
        self.media_began_ns = self.tools.clock.monotonic_ns()
        for endpoint, remote in self.caller_legs:
            self.tools.caller.start_leg(endpoint, remote, packets)

    @contextmanager
    def _being_made(self) -> Iterator[None]:
        """Let :meth:`hang_up` wait for what Asterisk is about to make."""
        done = asyncio.get_running_loop().create_future()
        self._creating.add(done)
        try:
            yield
        finally:
            self._creating.remove(done)
            done.set_result(None)

    def follow(self, channel_id: str) -> ChannelWatch:
        """Let a channel's events enter the call's time line; before the channel is asked for."""
        self.followed.append(channel_id)
        self.tools.meter.follow(channel_id, self)
        self._followed_one.set()
        return self.ari.watch(channel_id)

    def measure_setup(self, duration_ns: int, lag_ns: int) -> None:
        """Record how long a channel took to be set up, and how much of that may be our own lateness."""
        self.tools.meter.note_setup(duration_ns, lag_ns)

    async def bridge(self, *legs: Leg, bridge_type: str = "mixing") -> str:
        """Join legs in a new bridge and return its id; all of them are in it when this returns."""
        ari = self.tools.ari
        bridge_id = ari.new_id("bridge", self.id)
        await ari.create_bridge(bridge_id, bridge_type)
        channels = [leg.channel_id for leg in legs]
        await ari.add_to_bridge(bridge_id, *channels)
        await asyncio.gather(*(ari.watch(channel).in_bridge(bridge_id, STEP_TIMEOUT_S) for channel in channels))
        self.note("request", "POST /bridges/addChannel", counted(len(channels), "channel"))
        return bridge_id

    async def continue_to_echo(self, leg: Leg) -> None:
        """Send a leg's channel to the dialplan's ``Echo()`` extension."""
        await self.continue_in_dialplan(leg, *self.tools.echo_extension)

    async def continue_in_dialplan(self, leg: Leg, context: str, extension: str, priority: int = 1) -> None:
        """Send a leg's channel to any extension; it has left Stasis, and media can flow, when this returns."""
        await self.tools.ari.continue_in_dialplan(leg.channel_id, context, extension, priority)
        # Until it has left Stasis, the channel's thread throws away what it reads; from then on the kernel keeps it.
        await self.tools.ari.watch(leg.channel_id).left_stasis(STEP_TIMEOUT_S)
        self.note("request", CONTINUED, f"to {extension}@{context}")

    async def dial_local(
        self, leg: Leg, extension: str, context: str, *, caller_id: str = "", variables: Mapping[str, str] | None = None
    ) -> Leg:
        """Call an extension as a caller who comes in, with a leg as the caller's voice; answered when this returns."""
        with self._being_made():
            near = await make_local(self, extension, context, self._format(0), caller_id, variables or {})
            dialled = CallLeg(near, None, None, is_relayed=False)
            self._add(dialled)
        await self.bridge(leg, dialled)
        try:
            self.answered_ns = await dial_local(self, near)
        except CallNotAnswered as problem:
            why = await why_unanswered(self.ari, leg.channel_id, extension, context)
            raise CallNotAnswered(f"{why} ({problem})" if why else str(problem)) from None
        return dialled

    async def invite(
        self,
        to: str,
        *,
        caller_id: tuple[str, str] = ("", ""),
        account: tuple[str, str] = ("", ""),
        headers: Mapping[str, str] | None = None,
    ) -> CallLeg:
        """Create the next leg by an INVITE; answered when this returns."""
        sip = self.tools.sip
        if sip is None:
            raise UsageError("this topology calls by SIP, but its calls_by_sip is not set")
        endpoint, place = self._next_endpoint()
        host, _, port = endpoint.offer.external_host.rpartition(":")
        call = await sip.call(
            to,
            (host, int(port)),
            self.tools.media.voice(place).codec,
            self.tools.packet_time_ms,
            # Who shows no name is called as we call it: an application's log and the report tell of the same call then.
            caller_id=(caller_id[0] or self.id.rstrip("."), caller_id[1]),
            account=account,
            headers=headers,
            changed=self.changed.set,
            name=self.id,
        )
        self.sip_calls.append(call)
        self._followed_one.set()
        self.note("request", "INVITE", f"to {to}")
        try:
            remote, self.answered_ns = await sip.answered(call, lambda there: self._add(CallLeg("", there, endpoint)))
        except CallNotAnswered as problem:
            why = await why_unserved(self.ari)
            raise CallNotAnswered(f"{problem} ({why})" if why else str(problem)) from None
        conductor, theirs = self.tools.conductor, call.held.call.theirs
        if conductor is not None and conductor.presses_keys and (theirs is None or theirs.events_type != EVENTS_TYPE):
            raise CallNotAnswered("it was answered without telephone events (RFC 4733), which dial() needs")
        self.note("sip", "answered", f"media goes to {remote[0]}:{remote[1]}")
        self.measure_setup(self.answered_ns - call.held.call.began_ns, 0)  # the kernel dates the answer
        return self.legs[-1]

    def end_reason(self) -> str | None:
        """Return why the other side has ended the call; None while it has not."""
        lost = self.lost_channel()
        if lost is not None:
            return f"cause {lost.cause} {lost.cause_text}".rstrip()
        return next((call.end_reason for call in self.sip_calls if call.end_reason), None)

    def why_lost(self) -> str:
        """Return in words that the other side has ended the call; empty while it has not."""
        lost = self.lost_channel()
        if lost is not None:
            return f"channel {lost.channel_id} was hung up by Asterisk: cause {lost.cause} {lost.cause_text}"
        reason = self.end_reason()
        return f"the other side hung up: {reason}" if reason else ""

    def note(self, source: str, what: str, detail: str = "", at_ns: int | None = None) -> None:
        """Add to the call's time line, at its place; only the beginning is kept."""
        if len(self.timeline) >= TIMELINE_EVENTS:
            return
        now_ns = self.tools.clock.monotonic_ns()
        happened_ns = now_ns if at_ns is None else at_ns - (self.tools.caller.now_ns() - now_ns)
        event = TimelineEvent(happened_ns - self.tools.began_ns, source, what, detail)
        # What is told later may have happened earlier, and is dated then (``at_ns``).
        insort(self.timeline, event, key=lambda other: other.at_ns)

    def lost_channel(self) -> ChannelWatch | None:
        """Return the watch over a channel of this call that has ended without being told to."""
        watches = (self.tools.ari.watch(leg.channel_id) for leg in self.legs if leg.channel_id)
        return next((watch for watch in watches if watch.is_lost), None)

    async def hang_up_after(self, delay_ns: int) -> None:
        """Hang up what there is of the call so long after its first request was sent, answered or not."""
        await self._followed_one.wait()
        if self.followed:  # a call by SIP has no channel of ours
            await self.ari.watch(self.followed[0]).asked_for()
        await asyncio.sleep(delay_ns / 1e9)
        self.told_to_end = True
        self.changed.set()
        self.note("request", "DELETE", f"{delay_ns / 1e6:.1f} ms after the first request")
        await asyncio.gather(
            *(self.ari.hangup(channel) for channel in self.followed), *(call.hang_up() for call in self.sip_calls)
        )

    async def find_out(self) -> None:
        """Ask Asterisk about the channels of which no event has told an end.

        Raises
        ------
        SlaError
            It cannot be asked.
        """
        watches = [self.tools.ari.watch(leg.channel_id) for leg in self.legs if leg.channel_id]
        living = [watch for watch in watches if watch.state is not ChannelState.DESTROYED]
        await asyncio.gather(*(self.tools.ari.find_out(watch) for watch in living))

    async def hang_up(self) -> None:
        """Remove all channels and bridges whose ids begin with the call's, and wait until they are gone.

        Raises
        ------
        AriTimeout
            A channel still exists.
        """
        ari = self.tools.ari
        if self._creating:
            # One leg has failed while another is on its way: that one is going to be there, and must not stay.
            await asyncio.wait(self._creating)
        # A topology may have made more of them through ARI itself than there are legs.
        channels, bridges = ari.made_for(self.id)
        await asyncio.gather(*(call.hang_up() for call in self.sip_calls))
        existed = await asyncio.gather(*(ari.hangup(channel) for channel in channels))
        await asyncio.gather(*(ari.destroy_bridge(bridge) for bridge in bridges))
        if self.tools.relay is not None and any(leg.is_relayed for leg in self.legs):
            await self.tools.relay.release(self.id)
        # Of what was not there any more no event would come.
        ending = [channel for channel, was_there in zip(channels, existed, strict=True) if was_there]
        await asyncio.gather(*(ari.watch(channel).destroyed(STEP_TIMEOUT_S) for channel in ending))
