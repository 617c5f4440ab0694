"""Channels that are called: originated into an application or the dialplan, or created and then dialled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.raw_ari import RawAri

    NewId = Callable[[str], str]

_TAKEN = (409, "Channel with given unique ID already exists")


async def test_originate_into_the_application(raw_ari: RawAri, new_id: NewId) -> None:
    """A Local channel's near half enters Stasis when the far half has answered in the dialplan."""
    log, near, far = await raw_ari.listen(), new_id("near"), new_id("far_")
    reply = await raw_ari.post(
        "/channels",
        {"variables": {"COLOUR": "blue"}},
        endpoint="Local/echo@default",
        app="contract",
        appArgs="x,y",
        channelId=near,
        otherChannelId=far,
        callerId="Bob <123>",
    )
    assert reply.status == 200
    assert reply.body["name"].startswith("Local/echo@default-")
    assert reply.body["name"].endswith(";1")
    assert reply.body["caller"] == reply.body["connected"] == {"name": "Bob", "number": "123"}
    assert (reply.body["state"], reply.body["dialplan"]["exten"]) == ("Down", "echo")
    started = await log.wait_for("StasisStart", near)
    await log.wait_for("ChannelDialplan", far, count=2)
    assert started["args"] == ["x", "y"]
    assert started["channel"]["dialplan"]["app_data"] == "contract,x,y"
    assert await log.story(near) == [
        "Dial",
        "ChannelStateChange Up",
        "Dial ANSWER",
        "ChannelVarset STASISSTATUS=",
        "StasisStart",
    ]
    assert await log.story(far) == [
        "ChannelVarset COLOUR=blue",
        "ChannelCallerId",
        "ChannelConnectedLine",
        "ChannelDialplan Answer",
        "ChannelStateChange Up",
        "ChannelDialplan Echo",
    ]
    await log.forget()
    await raw_ari.delete(f"/channels/{near}")
    await log.wait_for("ChannelDestroyed", far)
    assert await log.story(near) == [
        "ChannelHangupRequest 32 soft",
        "StasisEnd",
        "ChannelVarset STASISSTATUS=SUCCESS",
        "ChannelDestroyed 16",
    ]
    assert await log.story(far) == [
        "ChannelHangupRequest 16 hard",
        "ChannelHangupRequest 16 soft",
        "ChannelDestroyed 16",
    ]


async def test_the_far_half_is_named_after_the_near_one(raw_ari: RawAri, new_id: NewId) -> None:
    """Without otherChannelId the far half of a Local channel has the near one's id and ;2."""
    log, near = await raw_ari.listen(), new_id("near")
    body = {"endpoint": "Local/echo@default", "app": "contract", "channelId": near}
    assert (await raw_ari.post("/channels", body)).status == 200
    await log.wait_for("StasisStart", near)
    assert {channel["id"] for channel in (await raw_ari.get("/channels")).body} == {near, f"{near};2"}


async def test_originate_into_the_dialplan(raw_ari: RawAri, new_id: NewId) -> None:
    """An answered channel goes to an extension, unseen by applications."""
    log, near = await raw_ari.listen(), new_id("near")
    target = {"context": "default", "extension": "echo", "priority": 1}
    assert (await raw_ari.post("/channels", endpoint="Local/echo@default", channelId=near, **target)).status == 200

    async def in_echo() -> bool:
        apps = [channel["dialplan"]["app_name"] for channel in (await raw_ari.get("/channels")).body]
        return apps == ["Echo", "Echo"]

    await raw_ari.until(in_echo)
    assert await log.settle() == []


async def test_originate_to_no_extension_fails_later(raw_ari: RawAri, new_id: NewId) -> None:
    """The request is accepted; both halves end."""
    log, near = await raw_ari.listen(), new_id("near")
    reply = await raw_ari.post("/channels", endpoint="Local/none@default", app="contract", channelId=near)
    assert reply.status == 200
    ended = await log.wait_for("ChannelDestroyed", near)
    assert ended["cause"] == 0
    assert (await raw_ari.get("/channels")).body == []


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({}, (400, "Endpoint must be specified")),
        ({"endpoint": "Local/echo@default"}, (400, "Application or extension must be specified")),
        ({"endpoint": "nothing", "app": "contract"}, (400, "Invalid endpoint specified")),
        (
            {"endpoint": "Local/echo@default", "app": "contract", "formats": "bogus"},
            (400, "Provided format (bogus) was not found"),
        ),
        (
            {"endpoint": "Local/echo@default", "app": "contract", "originator": "nosuch"},
            (400, "Provided originator channel was not found"),
        ),
        (
            {"endpoint": "Local/echo@default", "app": "contract", "originator": "nosuch", "formats": "ulaw"},
            (400, "Originator and formats can't both be specified"),
        ),
        (
            {"endpoint": "Local/echo@default", "app": "contract", "channelId": "same", "otherChannelId": "same"},
            _TAKEN,
        ),
    ],
)
async def test_impossible_originates(raw_ari: RawAri, parameters: dict[str, str], error: tuple[int, str]) -> None:
    """What originate refuses at once."""
    await raw_ari.listen()
    assert (await raw_ari.post("/channels", **parameters)).error == error


@pytest.mark.parametrize("path", ["/channels", "/channels/create"])
async def test_an_unknown_technology(raw_ari: RawAri, path: str) -> None:
    """Asterisk answers by the last error number of its thread: 500, or 409 as if an id were taken."""
    await raw_ari.listen()
    reply = await raw_ari.post(path, endpoint="Nothing/x", app="contract")
    assert (reply.status, reply.body) in ((500, {"error": "Allocation failed"}), (409, {"message": _TAKEN[1]}))


async def test_originate_with_a_taken_id(raw_ari: RawAri, new_id: NewId) -> None:
    """A taken id answers 409, in the query and in the path."""
    log, near = await raw_ari.listen(), new_id("near")
    options = {"endpoint": "Local/echo@default", "app": "contract"}
    assert (await raw_ari.post(f"/channels/{near}", **options)).status == 200
    assert (await raw_ari.post("/channels", channelId=near, **options)).error == _TAKEN
    assert (await raw_ari.post(f"/channels/{near}", **options)).error == _TAKEN
    await log.wait_for("StasisStart", near)


def check_dial(story: list[str]) -> None:
    """Fail unless a channel was dialled and answered; another thread may tell of the beginning last."""
    assert sorted(story) == ["ChannelStateChange Up", "Dial", "Dial ANSWER"]
    assert story.index("ChannelStateChange Up") < story.index("Dial ANSWER")


async def test_create_then_dial(raw_ari: RawAri, new_id: NewId) -> None:
    """A created channel is in Stasis before it is dialled, and is answered there."""
    log, near, far = await raw_ari.listen(), new_id("near"), new_id("far_")
    options = {"endpoint": "Local/echo@default", "app": "contract"}
    reply = await raw_ari.post("/channels/create", channelId=near, otherChannelId=far, **options)
    assert (reply.status, reply.body["state"]) == (200, "Down")
    await log.wait_for("StasisStart", near)
    assert await log.story(near) == ["ChannelDialplan Stasis", "ChannelVarset STASISSTATUS=", "StasisStart"]
    await log.forget()
    assert (await raw_ari.post(f"/channels/{near}/dial", timeout=5)).status == 204
    await log.wait_for("Dial", near, count=2)
    check_dial(await log.story(near))
    assert (await raw_ari.post(f"/channels/{near}/dial")).error == (409, "Channel is not in the 'Down' state")


async def test_dialling_for_a_caller_that_does_not_exist(raw_ari: RawAri, new_id: NewId) -> None:
    """Nobody asks whether the caller lives."""
    log, near = await raw_ari.listen(), new_id("near")
    await raw_ari.post("/channels/create", endpoint="Local/echo@default", app="contract", channelId=near)
    await log.wait_for("StasisStart", near)
    assert (await raw_ari.post(f"/channels/{near}/dial", caller="nosuch")).status == 204
    await log.wait_for("Dial", near, count=2)


async def test_create_then_dial_external_media(raw_ari: RawAri, new_id: NewId) -> None:
    """UnicastRTP can be created and dialled in two steps as well."""
    log, channel = await raw_ari.listen(), new_id("chan")
    reply = await raw_ari.post(
        "/channels/create", endpoint="UnicastRTP/127.0.0.1:9/c(ulaw)", app="contract", channelId=channel
    )
    assert reply.status == 200
    await log.wait_for("StasisStart", channel)
    await log.forget()
    assert (await raw_ari.post(f"/channels/{channel}/dial")).status == 204
    await log.wait_for("Dial", channel, count=2)
    check_dial(await log.story(channel))


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"app": "contract"}, (400, "Endpoint must be specified")),
        (
            {"endpoint": "Local/echo@default", "app": "contract", "formats": "bogus"},
            (400, "Provided format (bogus) was not found"),
        ),
    ],
)
async def test_impossible_creates(raw_ari: RawAri, parameters: dict[str, str], error: tuple[int, str]) -> None:
    """What create refuses."""
    await raw_ari.listen()
    assert (await raw_ari.post("/channels/create", **parameters)).error == error
