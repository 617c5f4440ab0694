from __future__ import annotations

import asyncio

import pytest

from pytest_ari_sla.ari.call_state import ChannelState, Finding
from pytest_ari_sla.ari.messages import (
    ChannelDestroyed,
    ChannelEnteredBridge,
    ChannelLeftBridge,
    ChannelStateChange,
    ChannelVarset,
    Event,
    StasisEnd,
    StasisStart,
)
from pytest_ari_sla.ari.resources import Bridge, Channel
from pytest_ari_sla.ari_client import watch as ari_watch
from pytest_ari_sla.ari_client.watch import ChannelWatch
from pytest_ari_sla.errors import AriTimeout, ChannelLost, EventStreamLost

CHANNEL = Channel("c")
START = StasisStart(channel=CHANNEL)
END = StasisEnd(channel=CHANNEL)
RINGING, UP = (ChannelStateChange(channel=Channel("c", state=state)) for state in ("Ringing", "Up"))
DESTROYED = ChannelDestroyed(channel=CHANNEL, cause=17, cause_txt="User busy")


class Asker:
    """Answers every question with the same finding."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        self.asked = 0

    async def find_out(self, watch: ChannelWatch) -> None:
        """Apply the finding."""
        self.asked += 1
        watch.found(self.finding)

    async def find_in_bridge(self, watch: ChannelWatch, bridge_id: str) -> None:
        """It is in any bridge that is asked for."""
        watch.found_in_bridge(bridge_id)


def watch_after(*events: Event, finding: Finding = Finding.GONE) -> ChannelWatch:
    """Return a watch whose channel was asked for, and that was told these events."""
    watch = ChannelWatch("c", Asker(finding))
    watch.requested(1)
    for number, event in enumerate(events, 2):
        watch.deliver(event, number)
    return watch


async def test_waiting_ends_with_the_event() -> None:
    """For every waiter."""
    watch = watch_after()
    waiting = [asyncio.create_task(watch.in_stasis(60)) for _ in range(2)]
    await asyncio.sleep(0)
    watch.deliver(START, 7)
    await asyncio.gather(*waiting)
    assert (watch.requested_ns, watch.in_stasis_ns, watch.destroyed_ns) == (1, 7, None)


async def test_what_has_happened_is_not_waited_for() -> None:
    """Events may come before anybody waits."""
    await watch_after(START).in_stasis(0)
    await watch_after(START, END, DESTROYED).destroyed(0)


async def test_the_first_stasis_start_is_the_one_that_counts() -> None:
    """A channel can come back from the dialplan; its set-up is over by then."""
    assert watch_after(START, END, START).in_stasis_ns == 2


def test_what_was_sent_or_read_late_by_us_is_the_lag_of_the_set_up() -> None:
    """Of the request and of the event that ends it; other events are no part of it."""
    watch = ChannelWatch("c", Asker(Finding.GONE))
    watch.requested(1, 3)
    watch.deliver(RINGING, 2, 50)
    watch.deliver(START, 7, 20)
    watch.deliver(START, 9, 50)
    assert watch.setup_lag_ns == 23


def test_a_channel_that_is_dialled_is_set_up_when_it_is_up() -> None:
    """As the wire has it, not when somebody came round to reading that."""
    watch = ChannelWatch("c", Asker(Finding.GONE))
    watch.requested(1, 3)
    watch.deliver(START, 7, 20)
    watch.deliver(RINGING, 40, 50)
    watch.deliver(UP, 90, 4)
    watch.deliver(UP, 99, 50)
    watch.dialled(30, 2)  # known when the request has been answered, which may be later
    assert (watch.dialled_ns, watch.up_ns, watch.setup_lag_ns) == (30, 90, 6)


@pytest.mark.parametrize("events", [(START, END), (START, END, DESTROYED), (DESTROYED,)])
async def test_a_channel_that_is_out_again_is_lost(events: tuple[Event, ...]) -> None:
    """Waiting for it to come in would be in vain."""
    with pytest.raises(ChannelLost, match="channel c"):
        await watch_after(*events).in_stasis(60)


async def test_a_lost_channel_is_told_with_its_cause() -> None:
    """Q.850 number and text as Asterisk gave them."""
    watch = watch_after(DESTROYED)
    assert (watch.cause, watch.cause_text, watch.is_lost) == (17, "User busy", True)
    with pytest.raises(ChannelLost, match="cause 17: User busy"):
        await watch.in_stasis()


def test_a_channel_that_we_hung_up_is_not_lost() -> None:
    """Its end is our own doing."""
    watch = watch_after(START, END)
    watch.hangup_requested = True
    watch.deliver(DESTROYED, 9)
    assert not watch.is_lost


async def test_a_missed_stasis_start_is_asked_for_when_the_time_is_up() -> None:
    """So a lost event is no lost call."""
    watch = watch_after(finding=Finding.IN_STASIS)
    await watch.in_stasis(0.001)
    assert watch.state is ChannelState.IN_STASIS


async def test_a_channel_that_does_not_come_in_is_a_time_out() -> None:
    """The sentence says where the channel is instead."""
    with pytest.raises(AriTimeout, match=r"within 0\.001 s \(it is created\)"):
        await watch_after(finding=Finding.ELSEWHERE).in_stasis(0.001)


async def test_a_missed_end_is_asked_for_when_the_time_is_up() -> None:
    """Nobody waits for ever."""
    await watch_after(START, finding=Finding.GONE).destroyed(0.001)


async def test_a_channel_that_does_not_end_is_a_time_out() -> None:
    """It still exists."""
    with pytest.raises(AriTimeout, match="still exists"):
        await watch_after(START, finding=Finding.IN_STASIS).destroyed(0.001)


async def test_a_channel_that_left_is_asked_for_before_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a channel that Asterisk did not create for us no ChannelDestroyed comes."""
    monkeypatch.setattr(ari_watch, "ASK_AFTER_S", 0.001)
    await watch_after(START, END, finding=Finding.GONE).destroyed(60)


async def test_a_channel_whose_events_come_is_not_asked_for() -> None:
    """Asterisk has enough to do."""
    asker = Asker(Finding.GONE)
    watch = ChannelWatch("c", asker)
    watch.deliver(START, 1)
    waiting = asyncio.create_task(watch.destroyed(60))
    await asyncio.sleep(0)
    watch.deliver(END, 2)
    watch.deliver(DESTROYED, 3)
    await waiting
    assert asker.asked == 0


async def test_a_bridge_that_no_event_tells_of_is_asked_for() -> None:
    """What counts is the state, not the event."""
    watch = watch_after(START)
    await watch.in_bridge("b", 0.001)
    assert watch.bridge_id == "b"


async def test_a_bridge_is_entered_and_left_by_events() -> None:
    """Another bridge than the one that is waited for does not count."""
    watch = watch_after(START, ChannelEnteredBridge(channel=CHANNEL, bridge=Bridge("b")))
    await watch.in_bridge("b", 60)
    watch.deliver(ChannelLeftBridge(channel=CHANNEL, bridge=Bridge("b")), 9)
    assert watch.bridge_id == ""


async def test_whoever_wants_to_know_of_the_end_is_told_once() -> None:
    """At the event, or at once where it has been."""
    told: list[str] = []
    watch = watch_after(START)
    watch.when_over(lambda: told.append("first"))
    assert told == []
    watch.deliver(DESTROYED, 9)
    watch.when_over(lambda: told.append("second"))
    assert told == ["first", "second"]


async def test_iteration_gives_all_events_and_ends_with_the_channel() -> None:
    """Those before it began, too."""
    watch = watch_after(START)
    reading = asyncio.create_task(collect(watch))
    await asyncio.sleep(0)
    watch.deliver(END, 3)
    await asyncio.sleep(0)
    watch.deliver(DESTROYED, 4)
    assert await reading == [START, END, DESTROYED]


async def collect(watch: ChannelWatch) -> list[Event]:
    """Return all events of a channel."""
    return [event async for event in watch]


async def test_iteration_over_a_channel_that_vanished_ends() -> None:
    """There is no last event then."""
    watch = watch_after(START)
    watch.found(Finding.GONE)
    assert await collect(watch) == [START]


async def test_unread_events_make_room_and_are_counted() -> None:
    """Most watches are never iterated over; their memory is bounded."""
    watch = watch_after()
    events = [ChannelVarset(channel=CHANNEL, variable=str(n)) for n in range(ari_watch.EVENTS_KEPT + 3)]
    for event in events:
        watch.deliver(event, 1)
    watch.found(Finding.GONE)
    assert watch.events_dropped == 3
    assert await collect(watch) == events[3:]


@pytest.mark.parametrize("wait", ["in_stasis", "destroyed", "iterate"])
async def test_a_lost_event_stream_ends_every_wait(wait: str) -> None:
    """With its reason, and an exception of its own for each waiter."""
    watch = watch_after()
    waits = {"in_stasis": lambda: watch.in_stasis(60), "destroyed": lambda: watch.destroyed(60)}
    waiting = [asyncio.ensure_future(waits.get(wait, lambda: collect(watch))()) for _ in range(2)]
    await asyncio.sleep(0)
    watch.broken(EventStreamLost("cut off"))
    one, other = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(one, EventStreamLost)
    assert str(one) == str(other) == "cut off"
    assert one is not other


def test_a_watch_is_shown_with_its_state() -> None:
    """For logs and debuggers."""
    assert repr(watch_after(START)) == "<ChannelWatch 'c' in stasis>"
