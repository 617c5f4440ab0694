"""The ARI session on a real Asterisk, both versions: the promises that a small server of ours cannot vouch for."""

from __future__ import annotations

import asyncio
import secrets
from socket import SHUT_RDWR
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.ari.call_state import ChannelState
from pytest_ari_sla.ari.resources import Bridge, StoredRecording
from pytest_ari_sla.ari_client import session as ari_session
from pytest_ari_sla.ari_client.removal.sweep import Sweeper
from pytest_ari_sla.ari_client.requests import AriClient
from pytest_ari_sla.ari_client.session import AriSession
from pytest_ari_sla.ari_client.tls import tls_context
from pytest_ari_sla.errors import AriAuthenticationFailed, AriRequestFailed, ChannelLost
from pytest_ari_sla.settings import TRUST_SYSTEM

if TYPE_CHECKING:
    from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk

NOWHERE = "127.0.0.1:9"  # discard; nothing is sent to it before media flows
CALLS = 500
IN_FLIGHT = 16


def session_with(asterisk: PrivateAsterisk) -> AriSession:
    """Return a session of its own with an Asterisk; not opened yet."""
    name = f"t{secrets.token_hex(4)}"
    endpoint = asterisk.endpoint
    return AriSession(
        endpoint.base_url,
        endpoint.user,
        endpoint.password,
        app=name,
        id_prefix=name,
        max_in_flight=IN_FLIGHT,
    )


async def left_behind(asterisk: PrivateAsterisk, session: AriSession) -> list[str]:
    """Return ids of this session that are still at Asterisk, asked for by another connection."""
    # Channels are read as bridges: only the id counts.
    client = AriClient(asterisk.endpoint, tls=True)
    await client.open()
    try:
        records = [
            record
            for listing in ("/channels", "/bridges")
            for record in await client.fetch(list[Bridge], "GET", listing)
        ]
    finally:
        await client.close()
    return [record.id for record in records if record.id.startswith(session.app)]


async def set_up(session: AriSession) -> str:
    """Make a channel, wait until it is in the application, and return its id."""
    channel_id = session.new_id("channel")
    await session.external_media(channel_id, NOWHERE, "ulaw")
    await session.watch(channel_id).in_stasis()
    return channel_id


async def set_up_and_tear_down(session: AriSession) -> list[str]:
    """Live one channel's life; return the types of its events."""
    channel_id = await set_up(session)
    await session.hangup(channel_id)
    watch = session.watch(channel_id)
    await watch.destroyed()
    return [event.type async for event in watch]


async def eventually_set(session: AriSession, channel_id: str, variable: str) -> str:
    """Return a variable as soon as it is set: Asterisk answers before the channel has done it."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await session.get_variable(channel_id, variable)
            except AriRequestFailed as unset:
                if unset.status != 404:
                    raise
            await asyncio.sleep(0.01)


def cut_event_stream(session: AriSession) -> None:
    """Cut the event WebSocket's TCP connection."""
    socket = session._stream._socket
    assert socket is not None
    socket._pumped._connection.shutdown(SHUT_RDWR)


async def noted(session: AriSession, kind: str) -> None:
    """Wait for a note."""
    async with asyncio.timeout(10):
        while kind not in {note.kind for note in session.notes}:
            await asyncio.sleep(0.01)


async def test_five_hundred_calls_come_and_go_without_a_trace(asterisk: PrivateAsterisk) -> None:
    """Sixteen at a time; each has exactly one StasisStart, StasisEnd and ChannelDestroyed, in this order."""
    async with session_with(asterisk) as session:
        places = asyncio.Semaphore(IN_FLIGHT)

        async def one() -> list[str]:
            async with places:
                return await set_up_and_tear_down(session)

        lives = await asyncio.gather(*(one() for _ in range(CALLS)))
        assert await left_behind(asterisk, session) == []
    milestones = ("StasisStart", "StasisEnd", "ChannelDestroyed")
    assert all(tuple(kind for kind in life if kind in milestones) == milestones for life in lives)
    assert session.unexpected_events == 0
    assert session.notes == []
    assert session.cleanup is not None
    assert (session.cleanup.removed, session.cleanup.late, session.cleanup.leaked) == ((), (), ())


async def test_a_run_cancelled_in_the_middle_leaves_nothing(
    asterisk: PrivateAsterisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests are under way, channels half made; as by Ctrl-C. No guard removes here what a busy machine leaves."""
    for limit in ("HURRIED_CLEANUP_S", "HURRIED_REQUEST_S"):
        monkeypatch.setattr(ari_session, limit, 15.0)
    session = session_with(asterisk)

    async def load() -> None:
        async with session:
            bridge_id = session.new_id("bridge")
            await session.create_bridge(bridge_id)

            async def call() -> None:
                await session.add_to_bridge(bridge_id, await set_up(session))

            await asyncio.gather(*(call() for _ in range(CALLS)))

    running = asyncio.create_task(load())
    while len(list(session._watches)) < CALLS or sum(w.state is ChannelState.IN_STASIS for w in session._watches) < 50:
        await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await left_behind(asterisk, session) == []
    assert session.cleanup is not None
    assert len(session.cleanup.removed) >= 50
    assert (session.cleanup.leaked, session.cleanup.problem) == ((), "")


async def test_calls_survive_a_cut_event_stream_and_leave_nothing(asterisk: PrivateAsterisk) -> None:
    """What was missed is found out, what is made afterwards works, and the order is not held against Asterisk."""
    async with session_with(asterisk) as session:
        old = await asyncio.gather(*(set_up(session) for _ in range(20)))
        under_way = [asyncio.create_task(set_up(session)) for _ in range(100)]
        await asyncio.sleep(0.01)
        cut_event_stream(session)
        await session.hangup(old[0])  # its end is told to nobody
        await noted(session, "reconnected")
        await session.watch(old[0]).destroyed()
        set_up_meanwhile = await asyncio.gather(*under_way, return_exceptions=True)
        new = await set_up(session)
        await session.continue_in_dialplan(old[1], "default", "echo")
        await session.hangup(new)
        await session.watch(new).destroyed()
        assert not [error for error in set_up_meanwhile if not isinstance(error, str | ChannelLost)]
        assert session.unexpected_events == 0
    assert await left_behind(asterisk, session) == []
    assert session.cleanup is not None
    assert session.cleanup.leaked == ()


async def test_a_bridge_and_its_channels_are_told_as_they_are(asterisk: PrivateAsterisk) -> None:
    """Typed results of everything that a pair of calls needs; nothing is awaited but what the session awaits."""
    async with session_with(asterisk) as session:
        one, other = (session.new_id("channel") for _ in range(2))
        bridge_id = session.new_id("bridge")
        media, _, bridge = await asyncio.gather(
            session.external_media(one, NOWHERE, "ulaw"),
            session.external_media(other, NOWHERE, "ulaw"),
            session.create_bridge(bridge_id),
        )
        assert media.id == one
        assert media.local_address == (
            await session.get_variable(one, "UNICASTRTP_LOCAL_ADDRESS"),
            int(await session.get_variable(one, "UNICASTRTP_LOCAL_PORT")),
        )
        assert bridge.bridge_type == "mixing"
        await session.add_to_bridge(bridge_id, one, other)
        assert set((await session.bridge(bridge_id)).channels) == {one, other}
        assert set((await session.application()).channel_ids) == {one, other}
        await session.remove_from_bridge(bridge_id, one)
        assert (await session.channel(one)).is_in_application(session.app)
        assert await session.destroy_bridge(bridge_id)
        assert not await session.destroy_bridge(bridge_id)
    assert await left_behind(asterisk, session) == []


async def test_a_channel_does_everything_that_it_is_told(asterisk: PrivateAsterisk) -> None:
    """Every verb once, as soon as the request before is answered."""
    async with session_with(asterisk) as session:
        channel_id = session.new_id("channel")
        await session.external_media(channel_id, NOWHERE, "ulaw")
        await session.set_variable(channel_id, "GREETING", "<ü>&'\"")
        assert await eventually_set(session, channel_id, "GREETING") == "<ü>&'\""
        await session.answer(channel_id)
        await session.ring(channel_id)
        await session.stop_ringing(channel_id)
        await session.hold(channel_id)
        await session.unhold(channel_id)
        await session.mute(channel_id)
        await session.unmute(channel_id)
        await session.send_dtmf(channel_id, "1#", duration_ms=50)
        playback = await session.play(channel_id, session.new_id("playback"), "tone:ring")
        assert playback.target_uri == f"channel:{channel_id}"
        snoop = await session.snoop(channel_id, session.new_id("snoop"), spy="in")
        assert snoop.name.startswith("Snoop/")
        await session.continue_in_dialplan(channel_id, "default", "echo")
        assert await session.hangup(channel_id, "normal")
        watch = session.watch(channel_id)
        await watch.destroyed()
        assert watch.cause == 16
        assert not await session.hangup(channel_id)
        assert all([channel_id in event.channel_ids async for event in watch])
    assert await left_behind(asterisk, session) == []


async def test_a_recording_is_removed_with_its_channel(asterisk: PrivateAsterisk) -> None:
    """Also the file that Asterisk keeps."""
    async with session_with(asterisk) as session:
        channel_id = await set_up(session)
        name = session.new_id("recording")
        recording = await session.record(channel_id, name)
        assert recording.name == name
    async with session_with(asterisk) as later:
        stored = await later.client.fetch(list[StoredRecording], "GET", "/recordings/stored")
    assert name not in {record.name for record in stored}


async def test_a_created_channel_can_be_dialled_at_once(asterisk: PrivateAsterisk) -> None:
    """Asterisk itself answers 409 in one of twenty cases, where its StasisStart is not awaited."""
    async with session_with(asterisk) as session:
        for _ in range(20):
            channel_id = session.new_id("channel")
            await session.create(
                channel_id, "Local/echo@default", other_channel_id=session.new_id("channel"), variables={"X": "1"}
            )
            await session.dial(channel_id)
            assert await session.get_variable(channel_id, "X") == "1"
            await session.hangup(channel_id)
        called = session.new_id("channel")
        await session.originate(called, "Local/echo@default", other_channel_id=session.new_id("channel"))
        await session.watch(called).in_stasis()
    assert await left_behind(asterisk, session) == []


async def test_what_a_killed_process_left_is_swept_up_without_an_event_loop(asterisk: PrivateAsterisk) -> None:
    """By its prefix only, from any other process."""
    killed, other = session_with(asterisk), session_with(asterisk)
    async with killed, other:
        await set_up(killed)
        await killed.create_bridge(killed.new_id("bridge"))
        kept = await set_up(other)
        sweeper = Sweeper(asterisk.endpoint, tls_context(TRUST_SYSTEM))
        report = await asyncio.to_thread(sweeper.until_clean, f"{killed.app}.", 5.0)
        assert (len(report.removed), report.left, report.problem) == (2, (), "")
        await killed.watch(report.removed[0]).destroyed()
        assert await left_behind(asterisk, killed) == []
        assert await left_behind(asterisk, other) == [kept]


async def test_refusals_keep_asterisks_own_words(asterisk: PrivateAsterisk) -> None:
    """A channel that is not there, a format that is not known."""
    async with session_with(asterisk) as session:
        with pytest.raises(AriRequestFailed, match="404: Channel not found"):
            await session.channel("nobody")
        with pytest.raises(AriRequestFailed) as refused:
            await session.external_media(session.new_id("channel"), NOWHERE, "no-such-format")
        assert refused.value.status in (400, 500)  # 16.28 says what is wrong, 22.10 does not


async def test_a_wrong_password_is_told_as_such(asterisk: PrivateAsterisk) -> None:
    """Before anything is made."""
    session = AriSession(asterisk.endpoint.base_url, asterisk.endpoint.user, "wrong", app="a", id_prefix="a")
    with pytest.raises(AriAuthenticationFailed, match="--ari-password-file"):
        await session.__aenter__()
