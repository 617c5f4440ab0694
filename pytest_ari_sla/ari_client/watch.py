"""Watching one channel: its events in order, and waiting for what happens to it."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections import deque
from typing import TYPE_CHECKING, Protocol

from pytest_ari_sla.ari.call_state import ChannelInput, ChannelLife, ChannelState, Finding
from pytest_ari_sla.ari.messages import (
    ChannelDestroyed,
    ChannelEnteredBridge,
    ChannelLeftBridge,
    ChannelStateChange,
    Event,
)
from pytest_ari_sla.errors import AriTimeout, ChannelLost, SlaError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = ["ChannelAsker", "ChannelWatch"]

#: Events that wait to be read by an iteration over them; the oldest make room, so that nobody needs to iterate.
EVENTS_KEPT = 256

#: What no event has told after this time is asked for, then after twice this time, and so on: events get lost with a
#: broken WebSocket, and some are never sent (the end of a snoop channel, or of one that Asterisk did not make for us).
ASK_AFTER_S = 1.0


class ChannelAsker(Protocol):
    """Who finds out about a channel whose events do not come."""

    async def find_out(self, watch: ChannelWatch) -> None:
        """Ask Asterisk about the channel and apply the finding."""

    async def find_in_bridge(self, watch: ChannelWatch, bridge_id: str) -> None:
        """Ask Asterisk whether the channel is in the bridge and apply the finding."""


class ChannelWatch:
    """What is known about one channel; made before the channel is asked for, so that no event is missed.

    Attributes
    ----------
    channel_id
        The channel's id.
    life
        Its place in the table of states, and how often it broke the order.
    requested_ns, in_stasis_ns, dialled_ns, up_ns, destroyed_ns
        When the request for it was sent (not when it queued up at our end), when it entered the application, when the
        request to dial it was sent, when it was up and when it ended, by the session's monotonic clock; None where that
        has not happened, or was found out by asking only.
    hangup_requested
        Whether its end is our own doing.
    is_pending
        Whether the request for it has not been answered.
    cause, cause_text
        Q.850 cause from ChannelDestroyed.
    events_dropped
        Events that nobody read in time (see iteration).
    bridge_id
        The bridge that it is in; empty where it is in none.
    """

    def __init__(self, channel_id: str, asker: ChannelAsker) -> None:
        self.channel_id = channel_id
        self.life = ChannelLife()
        self.requested_ns: int | None = None
        self.in_stasis_ns: int | None = None
        self.dialled_ns: int | None = None
        self.up_ns: int | None = None
        self.destroyed_ns: int | None = None
        self.hangup_requested = False
        self.is_pending = False
        self.cause = 0
        self.cause_text = ""
        self.events_dropped = 0
        self.bridge_id = ""
        # How much too early what was sent may be, and too late what was told.
        self._requested_lag_ns = self._in_stasis_lag_ns = self._dialled_lag_ns = self._up_lag_ns = 0
        self._asker = asker
        self._events: deque[Event] = deque()
        self._waiters: list[asyncio.Future[None]] = []
        self._end_listeners: list[Callable[[], None]] = []
        self._broken: SlaError | None = None

    def __repr__(self) -> str:
        return f"<ChannelWatch {self.channel_id!r} {self.state.value}>"

    @property
    def state(self) -> ChannelState:
        """Where in its life the channel is."""
        return self.life.state

    @property
    def is_lost(self) -> bool:
        """Whether the channel ended without having been told to."""
        return self.state is ChannelState.DESTROYED and not self.hangup_requested

    @property
    def setup_lag_ns(self) -> int:
        """How much too long its set-up may seem: from when it was asked for, or dialled, until it was there, or up."""
        if self.dialled_ns is None:
            return self._requested_lag_ns + self._in_stasis_lag_ns
        return self._dialled_lag_ns + self._up_lag_ns

    # --- fed by the session ---

    def deliver(self, event: Event, received_ns: int, lag_ns: int = 0) -> bool:
        """Take the channel's next event, which came up to ``lag_ns`` earlier; return whether it was in order."""
        told = ChannelInput.of_event(event.type)
        expected = self.life.apply(told)
        if told is ChannelInput.STASIS_START and self.in_stasis_ns is None:
            self.in_stasis_ns = received_ns
            self._in_stasis_lag_ns = lag_ns
        if isinstance(event, ChannelStateChange) and event.channel.state == "Up" and self.up_ns is None:
            self.up_ns, self._up_lag_ns = received_ns, lag_ns
        if isinstance(event, ChannelDestroyed):
            self.destroyed_ns = received_ns
            self.cause, self.cause_text = event.cause, event.cause_txt
        elif isinstance(event, ChannelEnteredBridge):
            self.bridge_id = event.bridge.id
        elif isinstance(event, ChannelLeftBridge):
            self.bridge_id = ""
        if len(self._events) == EVENTS_KEPT:
            self._events.popleft()
            self.events_dropped += 1
        self._events.append(event)
        self._wake()
        return expected

    def requested(self, sent_ns: int, lag_ns: int = 0) -> None:
        """Take note that the request for the channel was sent, up to ``lag_ns`` later than that."""
        self.requested_ns, self._requested_lag_ns = sent_ns, lag_ns
        self._wake()

    def dialled(self, sent_ns: int, lag_ns: int = 0) -> None:
        """Take note that the request to dial the channel was sent, up to ``lag_ns`` later than that."""
        self.dialled_ns, self._dialled_lag_ns = sent_ns, lag_ns

    def answered(self) -> None:
        """Take note that Asterisk answered the request for the channel."""
        self.life.apply(ChannelInput.ANSWERED)
        self._wake()

    def found(self, finding: Finding) -> None:
        """Take what came out when Asterisk was asked."""
        self.life.find(finding)
        self._wake()

    def found_in_bridge(self, bridge_id: str) -> None:
        """Take it from Asterisk's answer that the channel is in a bridge."""
        self.bridge_id = bridge_id
        self._wake()

    def broken(self, error: SlaError) -> None:
        """Take note that nothing will be told any more; every wait ends with this error."""
        self._broken = error
        self._wake()

    def when_over(self, listener: Callable[[], None]) -> None:
        """Have a function called when the channel has ended; at once, if it has."""
        self._end_listeners.append(listener)
        self._wake()

    def _wake(self) -> None:
        if self.state is ChannelState.DESTROYED:
            for listener in self._end_listeners:
                listener()
            self._end_listeners.clear()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    # --- used by whoever made the call ---

    async def asked_for(self) -> None:
        """Wait until the request for the channel has been sent."""
        await self._until(lambda: self.requested_ns is not None, None)

    async def in_stasis(self, timeout_s: float = 10.0) -> None:
        """Wait until the channel has entered the application.

        Where no event tells, Asterisk is asked, so that a lost event is no lost call.

        Raises
        ------
        ChannelLost
            It ended, or left the application.
        AriTimeout
            It exists but did not enter in time.
        SlaError
            The event stream is gone: the error that ended it.
        """
        await self._reach(lambda: self._has_entered, lambda: self._asker.find_out(self), timeout_s)
        if self.state in (ChannelState.LEFT, ChannelState.DESTROYED):
            raise ChannelLost(self._lost_words())
        if self.state is not ChannelState.IN_STASIS:
            raise AriTimeout(
                f"channel {self.channel_id} did not enter the Stasis application within {timeout_s:g} s "
                f"(it is {self.state.value}); Asterisk is overloaded, or the channel was sent elsewhere"
            )

    async def left_stasis(self, timeout_s: float = 10.0) -> None:
        """Wait until the channel has left the application, for the dialplan or for good; raises as `destroyed` does."""
        await self._reach(
            lambda: self.state in (ChannelState.LEFT, ChannelState.DESTROYED),
            lambda: self._asker.find_out(self),
            timeout_s,
        )
        if self.state not in (ChannelState.LEFT, ChannelState.DESTROYED):
            raise AriTimeout(f"channel {self.channel_id} did not leave the Stasis application within {timeout_s:g} s")

    async def in_bridge(self, bridge_id: str, timeout_s: float = 10.0) -> None:
        """Wait until the channel is in a bridge; raises as `in_stasis` does."""

        def is_in() -> bool:
            return self.bridge_id == bridge_id

        await self._reach(
            lambda: is_in() or self.state is ChannelState.DESTROYED,
            lambda: self._asker.find_in_bridge(self, bridge_id),
            timeout_s,
        )
        if self.state is ChannelState.DESTROYED:
            raise ChannelLost(f"channel {self.channel_id} ended before it was in its bridge{self._cause_words()}")
        if not is_in():
            raise AriTimeout(f"channel {self.channel_id} was not in its bridge within {timeout_s:g} s")

    async def destroyed(self, timeout_s: float = 10.0) -> None:
        """Wait until the channel does not exist any more.

        Raises
        ------
        AriTimeout
            It still exists when the time is up.
        SlaError
            The event stream is gone: the error that ended it.
        """
        await self._reach(lambda: self.state is ChannelState.DESTROYED, lambda: self._asker.find_out(self), timeout_s)
        if self.state is not ChannelState.DESTROYED:
            raise AriTimeout(f"channel {self.channel_id} still exists after {timeout_s:g} s (it is {self.state.value})")

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Iterate over the channel's events in order, from the first one after the watch was made to its end.

        For one reader. The last `EVENTS_KEPT` unread events are kept.

        Raises
        ------
        SlaError
            The event stream is gone: the error that ended it.
        """
        while True:
            while self._events:
                yield self._events.popleft()
            if self.state is ChannelState.DESTROYED:
                return
            await self._until(lambda: bool(self._events) or self.state is ChannelState.DESTROYED, None)

    @property
    def _has_entered(self) -> bool:
        return self.state in (ChannelState.IN_STASIS, ChannelState.LEFT, ChannelState.DESTROYED)

    async def _reach(self, reached: Callable[[], bool], ask: Callable[[], Awaitable[None]], timeout_s: float) -> None:
        """Wait for a state that events tell of, and ask for it where they do not, until the time is up."""
        pause_s = min(ASK_AFTER_S, timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                while not reached():
                    try:
                        await self._until(reached, pause_s)
                    except TimeoutError:
                        await self._ask(ask)
                        pause_s *= 2
        except TimeoutError:
            if not reached():
                await self._ask(ask)

    async def _ask(self, ask: Callable[[], Awaitable[None]]) -> None:
        """Ask; what cannot be asked now is asked again, or told as a time-out."""
        with contextlib.suppress(SlaError):
            await ask()

    async def _until(self, condition: Callable[[], bool], timeout_s: float | None) -> None:
        """Wait until a condition holds; it is looked at whenever something is told."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                if self._broken is not None:
                    # Raised for each who waits: one object would collect all their tracebacks.
                    raise copy.copy(self._broken)
                waiter = asyncio.get_running_loop().create_future()
                self._waiters.append(waiter)
                await waiter

    def _lost_words(self) -> str:
        ended = "ended" if self.state is ChannelState.DESTROYED else "left the Stasis application"
        return (
            f"channel {self.channel_id} {ended} before it could be used{self._cause_words()}; look into Asterisk's log"
        )

    def _cause_words(self) -> str:
        return f" (cause {self.cause}: {self.cause_text})" if self.cause else ""
