from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.ari.call_state import ChannelState
from pytest_ari_sla.ari.resources import AsteriskPing
from pytest_ari_sla.ari_client.session import AriSession
from pytest_ari_sla.errors import AriRequestFailed, TargetIncomplete
from tests.unit.ari_client.ari_server import PASSWORD, USER, FakeAri, cut, refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    Verb = Callable[[AriSession, str], Awaitable[object]]

CHANNEL = "/ari/channels/c"


async def made(session: AriSession) -> str:
    """Make the channel "c"."""
    await session.external_media("c", "127.0.0.1:5000", "ulaw")
    return "c"


@pytest.mark.parametrize(
    ("verb", "method", "path", "query"),
    [
        (lambda s, c: s.answer(c), "POST", CHANNEL + "/answer", {}),
        (lambda s, c: s.ring(c), "POST", CHANNEL + "/ring", {}),
        (lambda s, c: s.stop_ringing(c), "DELETE", CHANNEL + "/ring", {}),
        (lambda s, c: s.hold(c), "POST", CHANNEL + "/hold", {}),
        (lambda s, c: s.unhold(c), "DELETE", CHANNEL + "/hold", {}),
        (lambda s, c: s.mute(c), "POST", CHANNEL + "/mute", {"direction": "both"}),
        (lambda s, c: s.unmute(c, "in"), "DELETE", CHANNEL + "/mute", {"direction": "in"}),
        (lambda s, c: s.dial(c, timeout_s=5), "POST", CHANNEL + "/dial", {"timeout": "5"}),
        (
            lambda s, c: s.send_dtmf(c, "1#", duration_ms=80),
            "POST",
            CHANNEL + "/dtmf",
            {"dtmf": "1#", "duration": "80"},
        ),
        (
            lambda s, c: s.continue_in_dialplan(c, "default", "echo"),
            "POST",
            CHANNEL + "/continue",
            {"context": "default", "extension": "echo", "priority": "1"},
        ),
        (lambda s, c: s.set_variable(c, "X", "y"), "POST", CHANNEL + "/variable", {"variable": "X", "value": "y"}),
        (
            lambda s, c: s.play(c, "p", ["sound:a", "sound:b"]),
            "POST",
            CHANNEL + "/play/p",
            {"media": "sound:a,sound:b"},
        ),
        (
            lambda s, c: s.record(c, "r", beep=True, max_duration_s=3),
            "POST",
            CHANNEL + "/record",
            {"name": "r", "format": "wav", "beep": "true", "maxDurationSeconds": "3"},
        ),
        (
            lambda s, c: s.snoop(c, "s", spy="in"),
            "POST",
            CHANNEL + "/snoop/s",
            {"app": "app", "spy": "in", "whisper": "none"},
        ),
        (lambda s, c: s.remove_from_bridge("b", c), "POST", "/ari/bridges/b/removeChannel", {"channel": "c"}),
        (lambda s, c: s.hangup(c, "busy"), "DELETE", CHANNEL, {"reason": "busy"}),
    ],
)
async def test_a_verb_is_the_request_that_ari_describes(
    fake_ari: FakeAri, session: AriSession, verb: Verb, method: str, path: str, query: dict[str, str]
) -> None:
    """Method, path and parameters as in rest-api/*.json; what is not given is left to Asterisk."""
    await verb(session, await made(session))
    assert fake_ari.requests[-1] == (method, path, query)


@pytest.mark.parametrize(
    "verb",
    [
        lambda s, c: s.dial(c),
        lambda s, c: s.play(c, "p", "sound:a"),
        lambda s, c: s.record(c, "r"),
        lambda s, c: s.snoop(c, "s"),
        lambda s, c: s.add_to_bridge("b", c),
    ],
    ids=["dial", "play", "record", "snoop", "add"],
)
async def test_what_needs_a_channel_in_the_application_waits_for_it(
    fake_ari: FakeAri, session: AriSession, verb: Verb
) -> None:
    """Asterisk would answer 409 in one case of twenty."""
    fake_ari.starts_channels = False
    channel_id = await made(session)
    before = len(fake_ari.requests)
    using = asyncio.ensure_future(verb(session, channel_id))
    await asyncio.sleep(0.01)
    assert len(fake_ari.requests) == before
    await fake_ari.start(channel_id)
    await using
    assert len(fake_ari.requests) == before + 1


async def test_a_channel_that_went_on_to_the_dialplan_can_be_snooped_on(fake_ari: FakeAri, session: AriSession) -> None:
    """Listening to it needs no application."""
    channel_id = await made(session)
    await session.continue_in_dialplan(channel_id, "default", "echo")
    await fake_ari.tell("StasisEnd", channel_id)
    await session.snoop(channel_id, "s")
    assert "s" in fake_ari.channels


async def test_channels_of_others_are_used_without_waiting(fake_ari: FakeAri, session: AriSession) -> None:
    """Whether they are in the application is their user's business."""
    await session.answer("stranger")
    assert fake_ari.seen("POST", "/ari/channels/stranger/answer")


async def test_external_media_asks_for_an_address_that_the_answer_lacks(fake_ari: FakeAri, session: AriSession) -> None:
    """Some versions do not answer with channelvars."""
    fake_ari.shows_channelvars = False
    media = await session.external_media("c", "127.0.0.1:5000", "ulaw")
    assert media.local_address == ("127.0.0.1", 4000)
    assert fake_ari.seen("GET", CHANNEL + "/variable") == 2


async def test_an_address_without_a_port_is_asterisks_fault(fake_ari: FakeAri, session: AriSession) -> None:
    """Not a ValueError somewhere below."""
    fake_ari.variables["UNICASTRTP_LOCAL_PORT"] = "none"
    with pytest.raises(AriRequestFailed, match="no address that takes RTP"):
        await session.external_media("c", "127.0.0.1:5000", "ulaw")


async def test_an_ipv6_address_of_media_is_explained_or_replaced(fake_ari: FakeAri, session: AriSession) -> None:
    """Packets could not be sent there; the address that the user knows stands for it."""
    fake_ari.variables["UNICASTRTP_LOCAL_ADDRESS"] = "fd00::7"
    with pytest.raises(TargetIncomplete, match=r"IPv6 address fd00::7.*--ari-asterisk-media"):
        await session.external_media("c", "127.0.0.1:5000", "ulaw")
    async with AriSession(fake_ari.url, USER, PASSWORD, app="app", id_prefix="other", media_host="192.0.2.7") as told:
        media = await told.external_media("d", "127.0.0.1:5000", "ulaw")
    assert media.local_address == ("192.0.2.7", 4000)


async def test_media_that_is_not_rtp_has_no_rtp_address(fake_ari: FakeAri, session: AriSession) -> None:
    """So none is asked for."""
    fake_ari.variables.clear()
    media = await session.external_media(
        "c", "127.0.0.1:5000", "slin16", encapsulation="audiosocket", transport="tcp", data="uuid"
    )
    assert media.local_address == ("", 0)


async def test_originate_names_our_application_or_an_extension(fake_ari: FakeAri, session: AriSession) -> None:
    """Asterisk refuses both at once."""
    await session.originate("c", "PJSIP/alice", caller_id="sla", timeout_s=5)
    assert fake_ari.requests[-1][2] == {
        "channelId": "c",
        "endpoint": "PJSIP/alice",
        "app": "app",
        "callerId": "sla",
        "timeout": "5",
    }
    await session.originate("d", "PJSIP/alice", context="default", extension="echo", priority=1)
    assert "app" not in fake_ari.requests[-1][2]


async def test_variables_go_in_the_body(fake_ari: FakeAri, session: AriSession) -> None:
    """As JSON."""
    bodies: list[object] = []

    async def keep(request: web.Request) -> web.StreamResponse | None:
        if request.method == "POST":
            bodies.append(await request.json())
        return None

    fake_ari.interfere = keep
    await session.create("c", "Local/echo@default", variables={"X": "ü"})
    assert bodies == [{"variables": {"X": "ü"}}]


@pytest.mark.parametrize("status", [400, 409, 500])
async def test_a_refused_channel_is_not_ours_to_remove(fake_ari: FakeAri, session: AriSession, status: int) -> None:
    """The id may be another's: deleting it would end a stranger's call."""

    async def refuse(request: web.Request) -> web.StreamResponse | None:
        return refusal(status, "already in use") if request.method == "POST" else None

    fake_ari.interfere = refuse
    with pytest.raises(AriRequestFailed, match="already in use"):
        await session.originate("c", "PJSIP/alice")
    fake_ari.interfere = None
    await session.aclose()
    assert not fake_ari.seen("DELETE", CHANNEL)


async def test_a_channel_whose_request_broke_may_exist_and_is_removed(fake_ari: FakeAri, session: AriSession) -> None:
    """Whether it was carried out is not known."""
    fake_ari.interfere = cut
    with pytest.raises(Exception, match="closed the connection"):
        await session.originate("c", "PJSIP/alice")
    fake_ari.interfere = None
    await session.aclose()
    assert fake_ari.seen("DELETE", CHANNEL)


async def test_hanging_up_what_is_gone_is_told_and_no_error(session: AriSession) -> None:
    """Both ends may hang up at the same time."""
    channel_id = await made(session)
    assert await session.hangup(channel_id)
    await session.watch(channel_id).destroyed()
    assert session.watch(channel_id).state is ChannelState.DESTROYED
    assert not await session.hangup(channel_id)


async def test_questions_have_typed_answers(fake_ari: FakeAri, session: AriSession) -> None:
    """One of each."""
    channel_id = await made(session)
    await session.create_bridge("b", "mixing,dtmf_events")
    assert await session.ping() == AsteriskPing("pong")
    assert [channel.id for channel in await session.channels()] == [channel_id]
    assert [bridge.bridge_type for bridge in await session.bridges()] == ["mixing,dtmf_events"]
    assert (await session.bridge("b")).id == "b"
    assert (await session.channel(channel_id)).id == channel_id
    assert (await session.application()).name == "app"
    assert (await session.application("other")).name == "other"
    assert await session.request("GET", "/asterisk/ping") == b'{"ping": "pong"}'
    assert await session.destroy_bridge("b")
    assert not await session.destroy_bridge("b")
