"""What a session made is removed when it ends, whatever happened before."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.ari_client import session as ari_http
from pytest_ari_sla.ari_client.session import AriSession
from tests.unit.ari_client.ari_server import PASSWORD, USER, FakeAri, cut, hang, refusal

if TYPE_CHECKING:
    from aiohttp import web


async def make_some(session: AriSession) -> list[str]:
    """Make two channels and a bridge."""
    channels = [session.new_id("channel") for _ in range(2)]
    for channel_id in channels:
        await session.external_media(channel_id, "127.0.0.1:5000", "ulaw")
    bridge_id = session.new_id("bridge")
    await session.create_bridge(bridge_id)
    await session.record(channels[0], session.new_id("recording"))
    return [*channels, bridge_id]


async def test_everything_is_removed_at_the_end(fake_ari: FakeAri) -> None:
    """And nothing that belongs to others."""
    fake_ari.channels["other"] = {"id": "other"}
    fake_ari.channels["run2.c0000001."] = {"id": "run2.c0000001."}
    async with AriSession(fake_ari.url, USER, PASSWORD, app="app", id_prefix="run") as session:
        made = await make_some(session)
    assert set(fake_ari.channels) == {"other", "run2.c0000001."}
    assert (fake_ari.bridges, fake_ari.recordings) == ({}, set())
    assert session.cleanup is not None
    assert set(made) <= set(session.cleanup.removed)
    assert (session.cleanup.late, session.cleanup.leaked, session.cleanup.problem) == ((), (), "")


async def test_of_an_asterisk_that_has_ended_nothing_is_left(fake_ari: FakeAri) -> None:
    """What its process held ended with it; its recordings are files, which nobody can ask for now."""
    gone: list[str] = []
    async with AriSession(
        fake_ari.url, USER, PASSWORD, app="app", id_prefix="run", is_gone=lambda: bool(gone)
    ) as session:
        await session.external_media(session.new_id("channel"), "127.0.0.1:5000", "ulaw")
        await session.create_bridge(session.new_id("bridge"))
        fake_ari.interfere = cut
        gone.append("yes")
    assert session.cleanup is not None
    assert (session.cleanup.leaked, session.cleanup.unknown, session.cleanup.problem) == ((), (), "")
    assert not [note for note in session.notes if note.kind == "clean-up"]


async def test_recordings_of_an_asterisk_that_has_ended_may_be_left(fake_ari: FakeAri) -> None:
    """They are files."""
    gone: list[str] = []
    async with AriSession(
        fake_ari.url, USER, PASSWORD, app="app", id_prefix="run", is_gone=lambda: bool(gone)
    ) as session:
        *_, _bridge = await make_some(session)
        fake_ari.interfere = cut
        gone.append("yes")
    assert session.cleanup is not None
    assert [identity.split(".")[1][0] for identity in session.cleanup.unknown] == ["r"]


async def test_everything_is_removed_after_an_error(fake_ari: FakeAri) -> None:
    """The error itself goes on."""

    async def test_body() -> None:
        async with AriSession(fake_ari.url, USER, PASSWORD, app="app", id_prefix="run") as session:
            await make_some(session)
            raise RuntimeError("test failed")

    with pytest.raises(RuntimeError, match="test failed"):
        await test_body()
    assert (fake_ari.channels, fake_ari.bridges) == ({}, {})


async def test_everything_is_removed_although_the_end_is_cancelled(fake_ari: FakeAri) -> None:
    """Ctrl-C cancels the test, and an impatient user does it again during the clean-up."""
    ready = asyncio.Event()

    async def test_body() -> None:
        async with AriSession(fake_ari.url, USER, PASSWORD, app="app", id_prefix="run") as session:
            await make_some(session)
            ready.set()
            await asyncio.Event().wait()

    body = asyncio.create_task(test_body())
    await ready.wait()
    while not body.done():
        body.cancel()
        await asyncio.sleep(0.005)
    assert body.cancelled()
    assert (fake_ari.channels, fake_ari.bridges) == ({}, {})


async def test_a_cancelled_session_whose_asterisk_hangs_gives_up_soon(
    fake_ari: FakeAri, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM has come, and SIGKILL follows after ten seconds; the guard goes on. All times are shortened here."""
    monkeypatch.setattr(ari_http, "HURRIED_REQUEST_S", 0.1)
    monkeypatch.setattr(ari_http, "HURRIED_CLEANUP_S", 0.3)
    session = AriSession(fake_ari.url, USER, PASSWORD, app="app", id_prefix="run")
    made: list[str] = []

    async def test_body() -> None:
        async with session:
            made.extend(await make_some(session))
            fake_ari.interfere = hang
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await test_body()
    assert session.cleanup is not None
    assert set(made) <= {*session.cleanup.unknown}
    assert "more than 0.3 s" in session.cleanup.problem


async def test_what_was_made_by_nobody_is_not_looked_for(fake_ari: FakeAri) -> None:
    """A session that only asked has nothing to remove, whether or not Asterisk answers."""
    async with AriSession(fake_ari.url, USER, PASSWORD, app="app", id_prefix="run") as session:
        await session.channels()
        fake_ari.requests.clear()
    assert session.cleanup is not None
    assert fake_ari.requests == []


async def test_a_channel_made_after_its_request_timed_out_is_swept_up(
    fake_ari: FakeAri, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asterisk carries the request out when the session is already cleaning up."""
    monkeypatch.setattr(ari_http, "GRACE_AFTER_UNCERTAIN_S", 0.1)
    late = ""

    async def make_late(request: web.Request) -> web.StreamResponse | None:
        if request.method == "POST":
            return await hang(request)
        if (request.method, request.path) == ("GET", "/ari/bridges"):
            fake_ari.channels[late] = {"id": late}  # too late for the first look at the channels
            fake_ari.interfere = None
        return None

    async with AriSession(fake_ari.url, USER, PASSWORD, app="app", id_prefix="run", request_timeout_s=30) as session:
        late = session.new_id("channel")
        fake_ari.interfere = make_late
        impatient = asyncio.create_task(session.external_media(late, "127.0.0.1:5000", "ulaw"))
        while not fake_ari.seen("POST", "/ari/channels/externalMedia"):
            await asyncio.sleep(0.001)
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
    assert fake_ari.channels == {}
    assert session.cleanup is not None
    assert session.cleanup.leaked == ()
    assert late in session.cleanup.late


async def test_what_cannot_be_removed_is_reported_within_the_time_limit(fake_ari: FakeAri) -> None:
    """A channel that Asterisk does not let go of is a leak, with a note."""
    fake_ari.ends_channels = False
    async with AriSession(fake_ari.url, USER, PASSWORD, app="app", id_prefix="run", cleanup_timeout_s=0.3) as session:
        channel_id = session.new_id("channel")
        await session.external_media(channel_id, "127.0.0.1:5000", "ulaw")
    assert session.cleanup is not None
    assert session.cleanup.leaked == (channel_id,)
    assert "more than 0.3 s" in session.cleanup.problem
    assert [note.kind for note in session.notes] == ["clean-up"]


async def test_one_refused_deletion_does_not_stop_the_others(fake_ari: FakeAri) -> None:
    """The refused one is tried again by the sweep."""
    refused = 0

    async def refuse_first_deletion(request: web.Request) -> web.StreamResponse | None:
        nonlocal refused
        if request.method == "DELETE" and not refused:
            refused += 1
            return refusal(500, "Internal")
        return None

    async with AriSession(fake_ari.url, USER, PASSWORD, app="app", id_prefix="run") as session:
        await make_some(session)
        fake_ari.interfere = refuse_first_deletion
    assert refused == 1
    assert (fake_ari.channels, fake_ari.bridges) == ({}, {})
    assert session.cleanup is not None
    assert (len(session.cleanup.removed), len(session.cleanup.late), session.cleanup.leaked) == (3, 1, ())


async def test_what_cannot_be_asked_at_the_end_is_unknown(fake_ari: FakeAri) -> None:
    """The first error is what the user shall see; the clean-up only reports, and does not call it left."""
    async with AriSession(fake_ari.url, USER, PASSWORD, app="app", id_prefix="run", cleanup_timeout_s=0.3) as session:
        made = await make_some(session)
        fake_ari.interfere = cut
    assert session.cleanup is not None
    assert set(made) <= set(session.cleanup.unknown)
    assert session.cleanup.leaked == ()
    assert "took more than 0.3 s" in session.cleanup.problem


async def test_a_listing_that_fails_once_leaves_nothing(fake_ari: FakeAri) -> None:
    """One 500 must not end the clean-up."""
    refused = iter([refusal(500, "Internal")])

    async def refuse_first_listing(request: web.Request) -> web.StreamResponse | None:
        return next(refused, None) if (request.method, request.path) == ("GET", "/ari/channels") else None

    async with AriSession(fake_ari.url, USER, PASSWORD, app="app", id_prefix="run") as session:
        await make_some(session)
        fake_ari.interfere = refuse_first_listing
    assert session.cleanup is not None
    assert (session.cleanup.leaked, session.cleanup.unknown, session.cleanup.problem) == ((), (), "")
    assert not fake_ari.channels


async def test_closing_twice_cleans_up_once(fake_ari: FakeAri, session: AriSession) -> None:
    """Also when both happen at the same time."""
    first, second = await asyncio.gather(session.aclose(), session.aclose())
    assert first is second is await session.aclose()
