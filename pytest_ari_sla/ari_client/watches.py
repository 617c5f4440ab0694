"""The watches over all channels of a session, and what Asterisk is asked where no event has told."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from pytest_ari_sla.ari.call_state import ChannelState, Finding
from pytest_ari_sla.ari.messages import ChannelDestroyed
from pytest_ari_sla.ari_client.removal.ownership import Kind
from pytest_ari_sla.ari_client.watch import ChannelWatch
from pytest_ari_sla.errors import AriRequestFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_ari_sla.ari.messages import Event
    from pytest_ari_sla.ari.resources import Channel
    from pytest_ari_sla.ari_client.notes import Notes
    from pytest_ari_sla.ari_client.queries import AriQueries
    from pytest_ari_sla.ari_client.removal.ownership import Ledger
    from pytest_ari_sla.errors import SlaError

__all__ = ["Watches"]

#: Watches over channels that ended are kept for this many more channels, so that an event after the end is noticed.
ENDED_KEPT = 1000


class Watches:
    """What is known of each channel; finds out about those whose events do not come.

    Parameters
    ----------
    queries
        Who can ask Asterisk.
    ledger
        Where a channel that is gone is crossed out.
    notes
        Who hears of what no event had told.

    Attributes
    ----------
    out_of_order
        How many events came that a channel in its state cannot have.
    """

    def __init__(self, queries: AriQueries, ledger: Ledger, notes: Notes) -> None:
        self._queries = queries
        self._ledger = ledger
        self._notes = notes
        self._watches: dict[str, ChannelWatch] = {}
        self._ended: deque[str] = deque()
        self.out_of_order = 0

    def __iter__(self) -> Iterator[ChannelWatch]:
        return iter(list(self._watches.values()))

    def some_channel(self) -> str:
        """Return the id of a channel that exists; empty where there is none."""
        gone = (ChannelState.REQUESTED, ChannelState.DESTROYED)
        return next((watch.channel_id for watch in self._watches.values() if watch.state not in gone), "")

    def over(self, channel_id: str) -> ChannelWatch:
        """Return the watch over a channel, made at the first call."""
        watch = self._watches.get(channel_id)
        if watch is None:
            watch = self._watches[channel_id] = ChannelWatch(channel_id, self)
        return watch

    def known(self, channel_id: str) -> ChannelWatch | None:
        """Return the watch over a channel, if there is one."""
        return self._watches.get(channel_id)

    async def ensure_in_stasis(self, channel_id: str) -> None:
        """Wait for a channel's own StasisStart; channels that are not watched are their user's business."""
        watch = self.known(channel_id)
        if watch is not None:
            await watch.in_stasis()

    def retire(self, channel_id: str) -> None:
        """Let a channel that does not exist (any more) go; its watch stays for a while."""
        self._ledger.forget(Kind.CHANNEL, channel_id)
        self._ended.append(channel_id)
        if len(self._ended) > ENDED_KEPT:
            self._watches.pop(self._ended.popleft(), None)

    def expect_hangups(self) -> None:
        """Let the end of every channel be our own doing from now on."""
        for watch in self:
            watch.hangup_requested = True

    def broken(self, error: SlaError) -> None:
        """Let everything that waits for events know that none will come."""
        for watch in self:
            watch.broken(error)

    def deliver(self, event: Event, received_ns: int, lag_ns: int) -> None:
        """Deliver an event, which came up to ``lag_ns`` earlier, to the watches over its channels."""
        for channel_id in event.channel_ids:
            watch = self._watches.get(channel_id)
            if watch is not None:
                self._deliver(watch, event, received_ns, lag_ns)

    def _deliver(self, watch: ChannelWatch, event: Event, received_ns: int, lag_ns: int) -> None:
        was_over = watch.state is ChannelState.DESTROYED
        self.out_of_order += not watch.deliver(event, received_ns, lag_ns)
        # A second end must not take up a second place among the ended.
        if isinstance(event, ChannelDestroyed) and not was_over:
            self.retire(watch.channel_id)

    async def reconcile(self) -> None:
        """Ask Asterisk for all channels, and apply what it says about ours.

        Raises
        ------
        SlaError
            It cannot be asked.
        """
        # A channel that is on its way now can be missing in the answer and exist by the time that it comes.
        asked = [watch for watch in self if watch.state is not ChannelState.DESTROYED]
        on_its_way = {watch.channel_id for watch in asked if watch.state is ChannelState.REQUESTED}
        there = {channel.id: channel for channel in await self._queries.channels()}
        for watch in asked:
            if watch.channel_id in there or watch.channel_id not in on_its_way:
                self._apply(watch, there.get(watch.channel_id))

    async def find_out(self, watch: ChannelWatch) -> None:
        """Ask Asterisk about a channel whose events do not come."""
        try:
            channel = await self._queries.channel(watch.channel_id)
        except AriRequestFailed as refused:
            if refused.status != 404:
                raise
            self._apply(watch, None)
        else:
            self._apply(watch, channel)

    async def find_in_bridge(self, watch: ChannelWatch, bridge_id: str) -> None:
        """Ask Asterisk whether a channel is in a bridge of which no event told so."""
        if watch.channel_id in (await self._queries.bridge(bridge_id)).channels:
            watch.found_in_bridge(bridge_id)
            found = f"channel {watch.channel_id} was found in its bridge; no event had told so"
            self._notes.take("missed-event", found)
        else:
            await self.find_out(watch)

    def _apply(self, watch: ChannelWatch, channel: Channel | None) -> None:
        """Apply what Asterisk says about a channel; note what had been missed."""
        before = watch.state
        if channel is None:
            watch.found(Finding.GONE)
        elif channel.is_in_application(self._queries.app):
            watch.found(Finding.IN_STASIS)
        else:
            watch.found(Finding.ELSEWHERE)
        if watch.state is before:
            return
        found = f"channel {watch.channel_id} was found {watch.state.value}, not {before.value}; no event had told so"
        self._notes.take("missed-event", found)
        if watch.state is ChannelState.DESTROYED:
            self.retire(watch.channel_id)
            if watch.is_lost:
                self._notes.take("lost-channel", f"channel {watch.channel_id} vanished while no events came")
