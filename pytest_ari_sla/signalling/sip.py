"""Callers who come by SIP: an INVITE to wherever the application is reached, media as both sides agree on it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from aiosipua import SipDigestAuth

from pytest_ari_sla.errors import CallNotAnswered, UsageError
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.units import counted
from pytest_ari_sla.signalling.sip_agent import SipAgent
from pytest_ari_sla.sip.destination import parse_destination
from pytest_ari_sla.sip.dialog import CallState
from pytest_ari_sla.sip.sdp import OwnStream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.clock import Clock
    from pytest_ari_sla.hookspecs.codec import Codec
    from pytest_ari_sla.signalling.sip_account import SipAccount
    from pytest_ari_sla.signalling.sip_agent import AgentCall
    from pytest_ari_sla.sip.destination import SipDestination
    from pytest_ari_sla.sip.dialog import OutgoingCall

__all__ = ["SipCall", "SipCaller", "SipMeter"]

ANSWER_TIMEOUT_S = 30.0
RESPONSE_TIMEOUT_S = 6.0
"""An INVITE has been sent four times by then (0, 0.5, 1.5 and 3.5 s): who has not responded is not there."""

ENDING_TIMEOUT_S = 10.0


@dataclass
class SipMeter:
    """What calls by SIP measure; one writer, the event loop that runs the load."""

    pdd: Histogram = field(default_factory=Histogram)
    setup: Histogram = field(default_factory=Histogram)
    failed: Counter[str] = field(default_factory=Counter)

    def take(self, call: OutgoingCall) -> None:
        """Take in a call that has been answered, or has not."""
        first_ns = call.provisional_ns if call.provisional_ns is not None else call.answered_ns
        if first_ns is not None:
            self.pdd.record_one(first_ns - call.began_ns)
        if call.answered_ns is not None:
            self.setup.record_one(call.answered_ns - call.began_ns)
        elif call.failure:
            self.failed[call.failure] += 1

    def values(self) -> dict[str, Histogram | int]:
        """Return all values since the beginning, by metric name."""
        return {"sip.pdd": self.pdd, "sip.setup": self.setup, "sip.failed": self.failed.total()}

    def remarks(self) -> list[str]:
        """Return what a reader must know: with which codes calls were refused."""
        told = ", ".join(f"{counted(count, 'time')} {why}" for why, count in self.failed.most_common())
        return [f"SIP calls that were not answered: {told}"] if told else []


@dataclass(frozen=True)
class SipCall:
    """A call by SIP, while it lasts."""

    agent: SipAgent
    held: AgentCall

    @property
    def end_reason(self) -> str | None:
        """Why the other side has ended it; None while it has not."""
        return self.held.call.hung_up or None

    async def hang_up(self) -> None:
        """End it; it has ended on both sides when this returns, or nobody responds.

        A host that has not responded at all knows of no call.
        """
        self.agent.hang_up(self.held)
        timeout_s = ENDING_TIMEOUT_S if self.held.call.was_heard_of else 0
        try:
            async with asyncio.timeout(timeout_s):
                await self.held.until(lambda call: call.state is CallState.ENDED)
        except TimeoutError:
            return


class SipCaller:
    """Makes the calls of a load that come by SIP; opens what they need with the first of them.

    Parameters
    ----------
    target
        Where callers go who name no host.
    clock
        The time.
    """

    def __init__(self, target: SipAccount, clock: Clock = time) -> None:
        self._target = target
        self._clock = clock
        self._agents: dict[SipDestination, asyncio.Task[SipAgent]] = {}
        self.meter = SipMeter()

    async def call(
        self,
        to: str,
        local: Address,
        codec: Codec,
        packet_time_ms: int,
        *,
        caller_id: tuple[str, str] = ("", ""),
        account: tuple[str, str] = ("", ""),
        headers: Mapping[str, str] | None = None,
        changed: Callable[[], None],
        name: str = "",
    ) -> SipCall:
        """Send an INVITE.

        Parameters
        ----------
        to
            Whom: see :func:`~pytest_ari_sla.sip.destination.parse_destination`.
        local, codec, packet_time_ms
            Where our media ends, and what it is.
        caller_id
            Name and number that are shown.
        account
            User and password; empty ones are the target's.
        headers
            More headers of the INVITE.
        changed
            Called when something happens to the call.
        name
            Begins its Call-ID: an id of ours there lets the channel be found when this process is dead.
        """
        target, wanted = self._target, parse_destination(to)
        if not wanted.host:
            if target.port is None:
                raise UsageError(f"to={to!r}: name the host as well: nothing tells where the target takes SIP")
            wanted = replace(wanted, host=target.host, port=wanted.port or target.port)
        user, password = account if account[0] else (target.user, target.password)
        # One socket serves all whom we call at one host and port by one protocol.
        agent = await self._agent(replace(wanted, user=""))
        party = agent.party(caller_id[1] or user, caller_id[0], SipDigestAuth(user, password) if user else None)
        stream = OwnStream(local, codec.payload_type, _encoding(codec), packet_time_ms, secrets.randbits(31))
        return SipCall(agent, agent.invite(party, wanted.uri, stream, dict(headers or {}), changed, name))

    async def _agent(self, where: SipDestination) -> SipAgent:
        opening = self._agents.get(where)
        # A host that could not be reached a moment ago may be there again for the next call.
        if opening is None or (opening.done() and (opening.cancelled() or opening.exception() is not None)):
            opening = self._agents[where] = asyncio.create_task(self._open(where))
        # Other calls wait for the same socket: one that is given up must not end its opening.
        return await asyncio.shield(opening)

    async def _open(self, where: SipDestination) -> SipAgent:
        agent = SipAgent(where, self._clock)
        await agent.open()
        return agent

    async def answered(self, call: SipCall, early: Callable[[Address], None]) -> tuple[Address, int]:
        """Wait for the answer; return where media goes, and when it came (monotonic).

        Parameters
        ----------
        call
            The call.
        early
            Called with where media goes as soon as that is known.

        Raises
        ------
        CallNotAnswered
            It was refused, nobody responded, or it rang in vain.
        """
        outgoing = call.held.call
        try:
            async with asyncio.timeout(RESPONSE_TIMEOUT_S):
                await call.held.until(lambda it: it.was_heard_of or it.state is CallState.ENDED)
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await call.held.until(lambda it: it.theirs is not None or bool(it.failure))
                if outgoing.theirs is not None:
                    # A description that comes before the answer brings early media: it is heard from then on.
                    early(outgoing.theirs.address)
                await call.held.until(lambda it: it.answered_ns is not None or bool(it.failure))
        except TimeoutError:
            host, port = call.agent.remote
            if not outgoing.was_heard_of:  # the call itself gives up, and says so, only after 32 s
                self.meter.failed["nobody responded to INVITE"] += 1
            raise CallNotAnswered(
                f"it rang for {ANSWER_TIMEOUT_S:g} s, and nobody answered"
                if outgoing.was_heard_of
                else f"nobody responds to SIP at {host}:{port}"
            ) from None
        finally:
            self.meter.take(outgoing)
        if outgoing.answered_ns is None or outgoing.theirs is None:
            raise CallNotAnswered(f"the INVITE was refused: {outgoing.failure}")
        return outgoing.theirs.address, outgoing.answered_ns

    async def aclose(self) -> None:
        """Close all sockets."""
        for opening in self._agents.values():
            if opening.done() and not opening.cancelled() and opening.exception() is None:
                await opening.result().aclose()
            else:
                opening.cancel()


def _encoding(codec: Codec) -> str:
    """Return a codec as SDP names it: L16 with its rate, Opus with the two channels that it always has (RFC 7587)."""
    name = codec.name.partition("/")[0]
    return f"{name}/{codec.clock_rate_hz}" + ("/2" if name.lower() == "opus" else "")
