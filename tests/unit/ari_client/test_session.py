from __future__ import annotations

import asyncio
import errno
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from pytest_ari_sla.ari.call_state import ChannelState
from pytest_ari_sla.ari.messages import ChannelDestroyed, Event, StasisStart
from pytest_ari_sla.ari_client import watches as watching
from pytest_ari_sla.ari_client.event_stream import event_thread
from pytest_ari_sla.ari_client.session import AriSession
from pytest_ari_sla.errors import (
    ApplicationTaken,
    AriRequestFailed,
    AriTimeout,
    ChannelLost,
    EventStreamLost,
    OpenFilesLimit,
    UsageError,
)
from tests.unit.ari_client.ari_server import PASSWORD, USER, FakeAri, cut, refusal

if TYPE_CHECKING:
    import socket

    from aiohttp import web


class Notebook:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, int, int, int]] = []
        self.events: list[tuple[str, int, int | None]] = []

    def on_request(
        self, method: str, route: str, duration_ns: int, status: int, *, queued_ns: int, uncertainty_ns: int
    ) -> None:
        """Remember a request."""
        self.requests.append((method, route, duration_ns, status, queued_ns))

    def on_event(self, event: Event, received_ns: int, lag_ns: int | None, *, uncertainty_ns: int) -> None:
        """Remember an event."""
        self.events.append((event.type, received_ns, lag_ns))


async def notes_of(session: AriSession, kind: str) -> list[str]:
    """Wait for notes of a kind and return their reasons."""
    async with asyncio.timeout(5):
        while not (found := [note.reason for note in session.notes if note.kind == kind]):
            await asyncio.sleep(0.001)
    return found


# --- set-up -----------------------------------------------------------------------------------------------------


async def test_the_application_is_registered_before_anything_is_made(fake_ari: FakeAri, session: AriSession) -> None:
    """The event WebSocket names the application, and comes before every POST."""
    await session.external_media(session.new_id("channel"), "127.0.0.1:5000", "ulaw")
    made = next(place for place, (method, _, _) in enumerate(fake_ari.requests) if method == "POST")
    opened = next(place for place, (_, path, _) in enumerate(fake_ari.requests) if path == "/ari/events")
    assert opened < made
    assert fake_ari.requests[opened][2]["app"] == "app,app.here"


async def test_credentials_can_stand_in_the_url(fake_ari: FakeAri) -> None:
    """As a user types it."""
    url = fake_ari.url.replace("://", f"://{USER}:{PASSWORD}@")
    async with AriSession(url, app="app", id_prefix="run") as session:
        assert (await session.info()).version == "22.0.0"


async def test_no_password_is_shown(fake_ari: FakeAri, caplog: pytest.LogCaptureFixture) -> None:
    """Not by the session, not in a note, not in a log, whatever goes wrong."""
    caplog.set_level("DEBUG")
    async with AriSession(fake_ari.url, USER, PASSWORD, app="app", id_prefix="run") as session:
        fake_ari.cut_sockets()
        await notes_of(session, "reconnected")
        shown = repr(session) + repr(session.endpoint) + repr(session.notes) + caplog.text
    assert PASSWORD not in shown


async def test_ids_of_an_unusable_prefix_are_refused_at_once(fake_ari: FakeAri) -> None:
    """Before anything is connected."""
    with pytest.raises(UsageError, match="prefix"):
        AriSession(fake_ari.url, app="app", id_prefix="Run_1")
    assert fake_ari.requests == []


async def test_a_session_that_is_closed_refuses_requests(fake_ari: FakeAri) -> None:
    """With a sentence, not with an exception from the depths."""
    async with AriSession(fake_ari.url, USER, PASSWORD, app="app", id_prefix="run") as session:
        pass
    with pytest.raises(UsageError, match="not open"):
        await session.ping()


# --- events and watches -----------------------------------------------------------------------------------------


async def test_a_stasis_start_before_the_answer_is_no_race(fake_ari: FakeAri, session: AriSession) -> None:
    """The watch is there before the request, so the event finds it while the answer is still held back."""
    channel_id = session.new_id("channel")
    watch = session.watch(channel_id)
    fake_ari.before_answer = watch.in_stasis  # the answer waits until the client has handled the event
    media = await session.external_media(channel_id, "127.0.0.1:5000", "ulaw")
    assert watch.state is ChannelState.IN_STASIS
    assert media.local_address == ("127.0.0.1", 4000)
    assert session.unexpected_events == 0


async def test_a_channels_events_come_in_order(fake_ari: FakeAri, session: AriSession) -> None:
    """From the first to its end, and only its own."""
    mine, other = session.new_id("channel"), session.new_id("channel")
    for channel_id in (mine, other):
        await session.external_media(channel_id, "127.0.0.1:5000", "ulaw")
    await session.hangup(mine)
    events = [event async for event in session.watch(mine)]
    assert [event.type for event in events] == ["ChannelVarset", "StasisStart", "StasisEnd", "ChannelDestroyed"]
    assert isinstance(events[1], StasisStart)
    assert {event.channel_ids for event in events} == {(mine,)}


async def test_setup_is_timed_from_the_request_to_the_stasis_start(session: AriSession) -> None:
    """Both on the monotonic clock."""
    watch = session.watch(session.new_id("channel"))
    await session.external_media(watch.channel_id, "127.0.0.1:5000", "ulaw")
    await watch.in_stasis()
    assert watch.requested_ns is not None
    assert watch.in_stasis_ns is not None
    assert watch.requested_ns < watch.in_stasis_ns


async def test_a_channel_is_bridged_only_after_its_own_stasis_start(fake_ari: FakeAri, session: AriSession) -> None:
    """The request waits for the event, however long the answer to the creation is back."""
    fake_ari.starts_channels = False
    channels = [session.new_id("channel") for _ in range(2)]
    for channel_id in channels:
        await session.external_media(channel_id, "127.0.0.1:5000", "ulaw")
    bridge_id = session.new_id("bridge")
    await session.create_bridge(bridge_id)
    adding = asyncio.create_task(session.add_to_bridge(bridge_id, *channels))
    await fake_ari.start(channels[1])
    await session.watch(channels[1]).in_stasis()
    assert not fake_ari.seen("POST", f"/ari/bridges/{bridge_id}/addChannel")
    await fake_ari.start(channels[0])
    await adding
    assert fake_ari.requests[-1][2] == {"channel": ",".join(channels)}


async def test_a_channel_that_dies_before_its_stasis_start_is_lost_at_once(
    fake_ari: FakeAri, session: AriSession
) -> None:
    """Whoever waits hears of it without waiting for the time-out, with Asterisk's cause."""
    fake_ari.starts_channels = False
    channel_id = session.new_id("channel")
    await session.external_media(channel_id, "127.0.0.1:5000", "ulaw")
    waiting = asyncio.create_task(session.watch(channel_id).in_stasis(60))
    await asyncio.sleep(0)
    await fake_ari.tell("ChannelDestroyed", channel_id, cause=34, cause_txt="Circuit/channel congestion")
    with pytest.raises(ChannelLost, match="cause 34: Circuit/channel congestion"):
        await waiting


@pytest.mark.parametrize(
    "event",
    [
        {"type": "StasisStart"},
        {"type": "ChannelDestroyed"},
        {"type": "ChannelVarset", "variable": "x"},
    ],
)
async def test_an_event_after_the_end_is_counted(fake_ari: FakeAri, session: AriSession, event: dict[str, Any]) -> None:
    """It is a finding about Asterisk."""
    watch = session.watch(session.new_id("channel"))
    await session.external_media(watch.channel_id, "127.0.0.1:5000", "ulaw")
    await session.hangup(watch.channel_id)
    await watch.destroyed()
    await fake_ari.send({**event, "channel": {"id": watch.channel_id}})
    await fake_ari.tell("ChannelDestroyed", marker := session.new_id("channel"))
    session.watch(marker)
    async with asyncio.timeout(5):
        while session.unexpected_events == 0:
            await asyncio.sleep(0.001)
    assert session.unexpected_events == 1
    assert watch.state is ChannelState.DESTROYED


async def test_events_of_unknown_channels_and_types_are_no_trouble(fake_ari: FakeAri, session: AriSession) -> None:
    """Others use the same Asterisk; only what cannot be read is counted."""
    await fake_ari.tell("StasisStart", "somebody-else")
    await fake_ari.send({"type": "Novelty"})
    await fake_ari.send({"type": "StasisStart", "channel": 5})
    watch = session.watch(session.new_id("channel"))
    await session.external_media(watch.channel_id, "127.0.0.1:5000", "ulaw")
    await watch.in_stasis()
    assert session.unexpected_events == 1


async def test_the_observer_hears_of_every_request_and_event(fake_ari: FakeAri) -> None:
    """Requests by route template, so that figures add up over channels."""
    notebook = Notebook()
    began_ns = time.monotonic_ns()
    async with AriSession(
        fake_ari.url, USER, PASSWORD, app="app", id_prefix="run", max_in_flight=1, observer=notebook
    ) as session:
        notebook.requests.clear()
        one, other = (session.new_id("channel") for _ in range(2))
        await asyncio.gather(*(session.external_media(each, "127.0.0.1:5000", "ulaw") for each in (one, other)))
        await session.watch(other).in_stasis()
        await session.hangup(one)
        requests = list(notebook.requests)
    assert [(method, route, status) for method, route, _, status, _ in requests] == [
        ("POST", "/channels/externalMedia", 200),
        ("POST", "/channels/externalMedia", 200),
        ("DELETE", "/channels/{channelId}", 204),
    ]
    first, second, _ = requests
    assert min(first[2], second[2]) > 0
    assert second[4] > first[2]  # one place only, so it queued for that long at least
    kind, received_ns, lag_ns = notebook.events[0]
    assert kind == "ChannelVarset"
    assert began_ns < received_ns < time.monotonic_ns()
    assert lag_ns is not None


# --- a broken event stream --------------------------------------------------------------------------------------


async def test_a_cut_event_stream_is_restored_and_noted(fake_ari: FakeAri, session: AriSession) -> None:
    """Close code 1006 is told in its own words: Asterisk cuts slow readers off."""
    fake_ari.cut_sockets()
    (reason,) = await notes_of(session, "disconnected")
    assert "1006" in reason
    assert "websocket_write_timeout" in reason
    await notes_of(session, "reconnected")
    watch = session.watch(session.new_id("channel"))
    await session.external_media(watch.channel_id, "127.0.0.1:5000", "ulaw")
    await watch.in_stasis()


async def test_a_stasis_start_missed_in_the_gap_is_found_out(fake_ari: FakeAri, session: AriSession) -> None:
    """Nobody waits for an event that was sent to nobody."""
    fake_ari.starts_channels = False
    watch = session.watch(session.new_id("channel"))
    await session.external_media(watch.channel_id, "127.0.0.1:5000", "ulaw")
    waiting = asyncio.create_task(watch.in_stasis(60))
    fake_ari.cut_sockets()
    await fake_ari.start(watch.channel_id)
    await waiting
    assert watch.in_stasis_ns is None  # when it happened is not known
    assert any("found in stasis" in note.reason for note in session.notes)


async def test_a_channel_that_vanished_in_the_gap_is_lost(fake_ari: FakeAri, session: AriSession) -> None:
    """Whoever waits for it is told."""
    fake_ari.starts_channels = False
    watch = session.watch(session.new_id("channel"))
    await session.external_media(watch.channel_id, "127.0.0.1:5000", "ulaw")
    waiting = asyncio.create_task(watch.in_stasis(60))
    fake_ari.cut_sockets()
    del fake_ari.channels[watch.channel_id]
    with pytest.raises(ChannelLost):
        await waiting
    assert watch.is_lost
    assert watch.channel_id in (await notes_of(session, "lost-channel"))[0]


async def test_a_channel_that_we_hung_up_in_the_gap_is_not_lost(fake_ari: FakeAri, session: AriSession) -> None:
    """Its end is our own doing; only the event is missing."""
    watch = session.watch(session.new_id("channel"))
    await session.external_media(watch.channel_id, "127.0.0.1:5000", "ulaw")
    await watch.in_stasis()
    fake_ari.cut_sockets()
    await session.hangup(watch.channel_id)
    await watch.destroyed()
    assert not watch.is_lost


async def test_a_lost_stasis_start_is_found_out_by_asking(fake_ari: FakeAri, session: AriSession) -> None:
    """Also where the event stream never broke."""
    fake_ari.starts_channels = False
    watch = session.watch(session.new_id("channel"))
    await session.external_media(watch.channel_id, "127.0.0.1:5000", "ulaw")
    fake_ari.channels[watch.channel_id]["dialplan"] = {"app_name": "Stasis", "app_data": "app"}
    await watch.in_stasis(0.01)
    assert [note.kind for note in session.notes] == ["missed-event"]


async def test_a_channel_that_asterisk_does_not_know_is_lost(fake_ari: FakeAri, session: AriSession) -> None:
    """None of its events ever came."""
    fake_ari.starts_channels = False
    watch = session.watch(session.new_id("channel"))
    await session.external_media(watch.channel_id, "127.0.0.1:5000", "ulaw")
    fake_ari.channels.clear()
    with pytest.raises(ChannelLost):
        await watch.in_stasis(0.01)
    assert [note.kind for note in session.notes] == ["missed-event", "lost-channel"]


async def test_a_channel_that_stays_outside_is_a_time_out(fake_ari: FakeAri, session: AriSession) -> None:
    """Asterisk was asked, and says that it is there but not in the application."""
    fake_ari.starts_channels = False
    watch = session.watch(session.new_id("channel"))
    await session.external_media(watch.channel_id, "127.0.0.1:5000", "ulaw")
    with pytest.raises(AriTimeout, match="did not enter"):
        await watch.in_stasis(0.01)
    assert session.notes == []


async def test_a_question_that_is_refused_is_asked_again(
    fake_ari: FakeAri, session: AriSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only 404 says that a channel is gone; that Asterisk cannot say it now ends no call."""
    monkeypatch.setattr("pytest_ari_sla.ari_client.watch.ASK_AFTER_S", 0.001)
    watch = session.watch(session.new_id("channel"))
    fake_ari.channels[watch.channel_id] = {
        "id": watch.channel_id,
        "dialplan": {"app_name": "Stasis", "app_data": "app"},
    }
    refusals = iter([refusal(500, "Internal")])

    async def refuse_once(_: web.Request) -> web.StreamResponse | None:
        return next(refusals, None)

    fake_ari.interfere = refuse_once
    await watch.in_stasis(60)


async def test_a_gap_that_cannot_be_asked_about_is_noted(fake_ari: FakeAri, session: AriSession) -> None:
    """Whoever waits still asks for itself when its time is up."""

    async def refuse_listing(request: web.Request) -> web.StreamResponse | None:
        return refusal(500, "Internal") if request.path == "/ari/channels" else None

    fake_ari.interfere = refuse_listing
    fake_ari.cut_sockets()
    assert "could not be asked" in (await notes_of(session, "missed-event"))[0]
    fake_ari.interfere = None


async def test_nothing_is_made_while_no_events_come(fake_ari: FakeAri, session: AriSession) -> None:
    """A channel made in the gap would start unseen, or find its application gone."""
    refused = 0

    async def refuse_sockets(request: web.Request) -> web.StreamResponse | None:
        nonlocal refused
        if request.path == "/ari/events" and refused < 2:
            refused += 1
            assert not fake_ari.seen("POST", "/ari/channels/externalMedia")
            return await cut(request)
        return None

    fake_ari.interfere = refuse_sockets
    fake_ari.cut_sockets()
    await notes_of(session, "disconnected")
    await session.external_media(session.new_id("channel"), "127.0.0.1:5000", "ulaw")
    assert refused == 2
    assert (await notes_of(session, "reconnected"))[0].startswith("after")


async def test_a_stream_that_this_machine_cannot_restore_is_not_the_networks_fault(
    fake_ari: FakeAri, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is there, but what reads it cannot be started for want of open files."""

    def refuse(connection: socket.socket, *, realtime: bool) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    fake_ari.starts_channels = False
    async with AriSession(fake_ari.url, USER, PASSWORD, app="app", id_prefix="run", restore_timeout_s=1.0) as session:
        watch = session.watch(session.new_id("channel"))
        await session.external_media(watch.channel_id, "127.0.0.1:5000", "ulaw")
        monkeypatch.setattr(event_thread, "PumpedSocket", refuse)
        fake_ari.cut_sockets()
        with pytest.raises(OpenFilesLimit, match="ulimit -n"):
            await watch.in_stasis(60)


async def test_an_event_stream_that_stays_broken_ends_every_wait(fake_ari: FakeAri) -> None:
    """With the reason, the last error and how often it was tried."""

    async def refuse_sockets(request: web.Request) -> web.StreamResponse | None:
        return await cut(request) if request.path == "/ari/events" else None

    fake_ari.starts_channels = False
    async with AriSession(fake_ari.url, USER, PASSWORD, app="app", id_prefix="run", restore_timeout_s=1.0) as session:
        watch = session.watch(session.new_id("channel"))
        await session.external_media(watch.channel_id, "127.0.0.1:5000", "ulaw")
        fake_ari.interfere = refuse_sockets
        fake_ari.cut_sockets()
        with pytest.raises(EventStreamLost, match=r"1006.*within 1 s.*attempts?.*closed the connection"):
            await watch.in_stasis(60)
        with pytest.raises(EventStreamLost):
            await session.create_bridge(session.new_id("bridge"))
        assert watch.channel_id in fake_ari.channels
    assert fake_ari.channels == {}


async def test_another_program_with_our_application_ends_every_wait(fake_ari: FakeAri, session: AriSession) -> None:
    """Asterisk sends each event to one of the two only; going on would lose calls at random."""
    fake_ari.starts_channels = False
    watch = session.watch(session.new_id("channel"))
    await session.external_media(watch.channel_id, "127.0.0.1:5000", "ulaw")
    await fake_ari.send({"type": "ApplicationReplaced", "application": "app"})
    with pytest.raises(ApplicationTaken, match="another program registered the Stasis application 'app'"):
        await watch.in_stasis(60)


# --- what is kept -----------------------------------------------------------------------------------------------


async def test_an_ended_channel_is_forgotten_after_a_while(
    fake_ari: FakeAri, session: AriSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded by the channels that live, not by time."""
    monkeypatch.setattr(watching, "ENDED_KEPT", 2)
    watches = []
    for _ in range(4):
        watch = session.watch(session.new_id("channel"))
        watches.append(watch)
        await session.external_media(watch.channel_id, "127.0.0.1:5000", "ulaw")
        await session.hangup(watch.channel_id)
        await watch.destroyed()
    kept = [session.watch(watch.channel_id) is watch for watch in watches]
    assert kept == [False, False, True, True]
    last = [event async for event in watches[0]][-1]
    assert isinstance(last, ChannelDestroyed)


async def test_a_channel_that_was_refused_or_never_made_is_forgotten_after_a_while(
    fake_ari: FakeAri, session: AriSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No event will ever tell of its end."""
    monkeypatch.setattr(watching, "ENDED_KEPT", 1)
    refused, unknown, last = (session.watch(session.new_id("channel")) for _ in range(3))

    async def refuse(_: web.Request) -> web.StreamResponse | None:
        return refusal(500, "Allocation failed")

    fake_ari.interfere = refuse
    with pytest.raises(AriRequestFailed):
        await session.external_media(refused.channel_id, "127.0.0.1:5000", "ulaw")
    fake_ari.interfere = None
    assert not await session.hangup(unknown.channel_id)
    assert not await session.hangup(last.channel_id)
    assert session.watch(refused.channel_id) is not refused
    assert session.watch(unknown.channel_id) is not unknown
    assert session.watch(last.channel_id) is last
    assert session.made_for("") == ((), ())


async def test_only_so_many_notes_are_kept(session: AriSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ones of different words; of all others it is known how many there were."""
    monkeypatch.setattr("pytest_ari_sla.ari_client.notes.NOTES_KEPT", 2)
    for word in ("one", "two", "three", "four", "five"):
        session.on_note("retried", f"attempt {word}")
    assert [note.reason for note in session.notes] == ["attempt one", "attempt two"]
    assert session.notes_left_out == 3


async def test_notes_that_say_the_same_of_other_channels_are_one(session: AriSession) -> None:
    """Eighty channels that were found gone are one finding."""
    for number in range(80):
        channel = session.new_id("channel", session.new_id("call"))
        session.on_note("missed-event", f"channel {channel} was found destroyed after {number} s")
    (note,) = session.notes
    assert note.times == 80
    assert str(note).endswith("was found destroyed after 0 s (80 times such)")
