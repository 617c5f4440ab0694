"""Watching one channel: its events in order, and waiting for what happens to it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

from pytest_ari_sla.ari.call_state import ChannelInput, ChannelLife, ChannelState, Finding
from pytest_ari_sla.ari.messages import ChannelDestroyed, Event
from pytest_ari_sla.errors import AriTimeout, ChannelLost, EventStreamLost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["ChannelAsker", "ChannelWatch"]

#: Events that wait to be read by an iteration over them; the oldest make room, so that nobody needs to iterate.
EVENTS_KEPT = 256

#: A channel that left the application may be told no further events of (one that Asterisk did not create for us, or a
#: snoop channel), so its end is asked for after this time.
ASK_AFTER_S = 1.0


class ChannelAsker(Protocol):
    """Who finds out about a channel whose events do not come."""

    async def find_out(self, watch: ChannelWatch) -> None:
        """Ask Asterisk about the channel and apply the finding."""


class ChannelWatch:
    """What is known about one channel; made before the channel is asked for, so that no event is missed.

    Attributes
    ----------
    channel_id
        The channel's id.
    life
        Its place in the table of states, and how often it broke the order.
    requested_ns, in_stasis_ns, destroyed_ns
        When the request for it was sent (not when it queued up at our end), when it entered the application and when it
        ended, by the session's monotonic clock; None where that has not happened, or was found out by asking only.
    hangup_requested
        Whether its end is our own doing.
    cause, cause_text
        Q.850 cause from ChannelDestroyed.
    events_dropped
        Events that nobody read in time (see iteration).
    """

    def __init__(self, channel_id: str, asker: ChannelAsker) -> None:
        self.channel_id = channel_id
        self.life = ChannelLife()
        self.requested_ns: int | None = None
        self.in_stasis_ns: int | None = None
        self.destroyed_ns: int | None = None
        self.hangup_requested = False
        self.cause = 0
        self.cause_text = ""
        self.events_dropped = 0
        self._asker = asker
        self._events: deque[Event] = deque()
        self._waiters: list[asyncio.Future[None]] = []
        self._broken = ""

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

    # --- fed by the session ---

    def deliver(self, event: Event, received_ns: int) -> bool:
        """Take the channel's next event; return whether it was in order."""
        told = ChannelInput.of_event(event.type)
        expected = self.life.apply(told)
        if told is ChannelInput.STASIS_START and self.in_stasis_ns is None:
            self.in_stasis_ns = received_ns
        if isinstance(event, ChannelDestroyed):
            self.destroyed_ns = received_ns
            self.cause, self.cause_text = event.cause, event.cause_txt
        if len(self._events) == EVENTS_KEPT:
            self._events.popleft()
            self.events_dropped += 1
        self._events.append(event)
        self._wake()
        return expected

    def requested(self, sent_ns: int) -> None:
        """Take note that the request for the channel was sent."""
        self.requested_ns = sent_ns

    def answered(self) -> None:
        """Take note that Asterisk answered the request for the channel."""
        self.life.apply(ChannelInput.ANSWERED)
        self._wake()

    def found(self, finding: Finding) -> None:
        """Take what came out when Asterisk was asked."""
        self.life.find(finding)
        self._wake()

    def broken(self, reason: str) -> None:
        """Take note that nothing will be told any more; every wait ends with EventStreamLost."""
        self._broken = reason
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    # --- used by whoever made the call ---

    async def in_stasis(self, timeout_s: float = 10.0) -> None:
        """Wait until the channel has entered the application.

        When the time is up Asterisk is asked about the channel, so that a lost event is no lost call.

        Raises
        ------
        ChannelLost
            It ended, or left the application.
        AriTimeout
            It exists but did not enter in time.
        EventStreamLost
            The event stream is gone.
        """
        try:
            await self._until(lambda: self._has_entered, timeout_s)
        except TimeoutError:
            await self._asker.find_out(self)
        if self.state in (ChannelState.LEFT, ChannelState.DESTROYED):
            raise ChannelLost(self._lost_words())
        if self.state is not ChannelState.IN_STASIS:
            raise AriTimeout(
                f"channel {self.channel_id} did not enter the Stasis application within {timeout_s:g} s "
                f"(it is {self.state.value}); Asterisk is overloaded, or the channel was sent elsewhere"
            )

    async def destroyed(self, timeout_s: float = 10.0) -> None:
        """Wait until the channel does not exist any more.

        Raises
        ------
        AriTimeout
            It still exists when the time is up.
        EventStreamLost
            The event stream is gone.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._until_destroyed()
        except TimeoutError:
            await self._asker.find_out(self)
        if self.state is not ChannelState.DESTROYED:
            raise AriTimeout(f"channel {self.channel_id} still exists after {timeout_s:g} s (it is {self.state.value})")

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Iterate over the channel's events in order, from the first one after the watch was made to its end.

        For one reader. The last `EVENTS_KEPT` unread events are kept.

        Raises
        ------
        EventStreamLost
            The event stream is gone.
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

    async def _until_destroyed(self) -> None:
        while self.state is not ChannelState.DESTROYED:
            try:
                await self._until(lambda: self.state is ChannelState.DESTROYED, ASK_AFTER_S)
            except TimeoutError:
                if self.state is ChannelState.LEFT:
                    await self._asker.find_out(self)

    async def _until(self, condition: Callable[[], bool], timeout_s: float | None) -> None:
        """Wait until a condition holds; it is looked at whenever something is told."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                if self._broken:
                    raise EventStreamLost(self._broken)
                waiter = asyncio.get_running_loop().create_future()
                self._waiters.append(waiter)
                await waiter

    def _lost_words(self) -> str:
        ended = "ended" if self.state is ChannelState.DESTROYED else "left the Stasis application"
        cause = f" (cause {self.cause}: {self.cause_text})" if self.cause else ""
        return f"channel {self.channel_id} {ended} before it could be used{cause}; look into Asterisk's log"
