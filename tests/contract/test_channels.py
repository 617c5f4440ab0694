"""Channels: what can be done to one, leaving for the dialplan, variables, snooping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.raw_ari import RawAri

    NewId = Callable[[str], str]

_NOT_FOUND = (404, "Channel not found")
_NOT_IN_STASIS = (409, "Channel not in Stasis application")

_COMMANDS: list[tuple[str, str, dict[str, str]]] = [
    ("POST", "answer", {}),
    ("POST", "ring", {}),
    ("DELETE", "ring", {}),
    ("POST", "hold", {}),
    ("DELETE", "hold", {}),
    ("POST", "mute", {"direction": "both"}),
    ("DELETE", "mute", {"direction": "both"}),
    ("POST", "moh", {}),
    ("DELETE", "moh", {}),
    ("POST", "silence", {}),
    ("DELETE", "silence", {}),
    ("POST", "dtmf", {"dtmf": "1"}),
    ("POST", "variable", {"variable": "X", "value": "y"}),
    ("POST", "continue", {}),
    ("POST", "play", {"media": "sound:beep"}),
    ("POST", "record", {"name": "never", "format": "wav"}),
    ("POST", "redirect", {"endpoint": "PJSIP/x"}),
    ("POST", "move", {"app": "contract"}),
    ("POST", "dial", {}),
]
_GENTLE = [
    command for command in _COMMANDS if command[1] not in ("continue", "play", "record", "redirect", "move", "dial")
]


@pytest.mark.parametrize(("method", "command", "parameters"), _COMMANDS)
async def test_commands_to_no_channel(raw_ari: RawAri, method: str, command: str, parameters: dict[str, str]) -> None:
    """Any command to a channel that does not exist answers 404."""
    reply = await raw_ari.request(method, f"/channels/nosuch/{command}", **parameters)
    assert reply.error == _NOT_FOUND


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("", _NOT_FOUND),
        ("/rtp_statistics", _NOT_FOUND),
        ("/variable?variable=x", (404, "Provided channel was not found")),
    ],
)
async def test_questions_about_no_channel(raw_ari: RawAri, path: str, error: tuple[int, str]) -> None:
    """Any question about a channel that does not exist answers 404."""
    assert (await raw_ari.get(f"/channels/nosuch{path}")).error == error


@pytest.mark.parametrize(("method", "command", "parameters"), _GENTLE)
async def test_commands_in_stasis(
    raw_ari: RawAri, new_id: NewId, method: str, command: str, parameters: dict[str, str]
) -> None:
    """A channel in Stasis takes these commands and stays in it; an answered channel has no events to tell."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    assert (await raw_ari.request(method, f"/channels/{channel}/{command}", **parameters)).status == 204
    told = ["ChannelVarset X=y"] if command == "variable" else []
    assert await log.story(channel) == told
    assert (await raw_ari.get(f"/channels/{channel}")).body["dialplan"]["app_name"] == "Stasis"


@pytest.mark.parametrize(("method", "command", "parameters"), _COMMANDS)
async def test_commands_outside_stasis(
    raw_ari: RawAri, new_id: NewId, method: str, command: str, parameters: dict[str, str]
) -> None:
    """A channel that has gone on to the dialplan takes no commands."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    await raw_ari.post(f"/channels/{channel}/continue", context="default", extension="echo", priority=1)
    await log.wait_for("ChannelDialplan", channel, count=2)
    assert (await raw_ari.request(method, f"/channels/{channel}/{command}", **parameters)).error == _NOT_IN_STASIS


@pytest.mark.parametrize(
    ("method", "command", "parameters", "error"),
    [
        ("POST", "mute", {}, (400, "Direction is required")),
        ("POST", "mute", {"direction": "up"}, (400, "Invalid direction specified")),
        ("DELETE", "mute", {}, (400, "Direction is required")),
        ("POST", "dtmf", {}, (400, "DTMF is required")),
        ("POST", "variable", {"value": "y"}, (400, "Variable name is required")),
        ("GET", "variable", {}, (400, "Variable name is required")),
        ("GET", "variable", {"variable": "NEVER"}, (404, "Provided variable was not found")),
        ("GET", "variable", {"variable": "CHANNEL(bogus)"}, (500, "Unable to read provided function")),
        ("POST", "dial", {}, (409, "Channel is not in the 'Down' state")),
        ("POST", "redirect", {}, (400, "Required parameter 'endpoint' not provided.")),
        ("POST", "redirect", {"endpoint": "x"}, (422, "Endpoint parameter 'x' does not contain tech/resource")),
        (
            "POST",
            "redirect",
            {"endpoint": "PJSIP/x"},
            (422, "Endpoint technology 'PJSIP' does not match channel technology 'UnicastRTP'"),
        ),
        ("POST", "continue", {"label": "nowhere"}, (404, "Requested label can not be found")),
        ("POST", "snoop", {"app": "contract"}, (400, "Direction must be specified for at least spy or whisper")),
        ("POST", "snoop", {"spy": "both"}, (400, "Application name is required")),
        ("POST", "snoop", {"spy": "up", "app": "contract"}, (400, "Invalid direction specified for spy")),
        ("POST", "snoop", {"whisper": "up", "app": "contract"}, (400, "Invalid direction specified for whisper")),
    ],
)
async def test_impossible_commands(
    raw_ari: RawAri, new_id: NewId, method: str, command: str, parameters: dict[str, str], error: tuple[int, str]
) -> None:
    """Commands that lack something, or name what is not there; the channel stays."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    assert (await raw_ari.request(method, f"/channels/{channel}/{command}", **parameters)).error == error
    assert (await raw_ari.get(f"/channels/{channel}")).status == 200


async def test_progress_is_new(raw_ari: RawAri, new_id: NewId) -> None:
    """Asterisk 22 can tell progress; 16 has no such resource."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    reply = await raw_ari.post(f"/channels/{channel}/progress")
    assert reply.status == (204 if raw_ari.major > 16 else 404)


async def test_ids_are_found_in_any_case_by_asterisk_22(raw_ari: RawAri, new_id: NewId) -> None:
    """Asterisk 22 finds a channel whatever the case of its id, and tells the id as it was given; 16 does not."""
    log, channel = await raw_ari.listen(), new_id("Chan")
    await raw_ari.external_media(channel, log)
    reply = await raw_ari.get(f"/channels/{channel.lower()}")
    assert reply.status == (200 if raw_ari.major > 16 else 404)
    assert raw_ari.major == 16 or reply.body["id"] == channel


async def test_the_list_holds_every_channel(raw_ari: RawAri, new_id: NewId) -> None:
    """GET /channels lists what GET of each channel tells."""
    log, channels = await raw_ari.listen(), [new_id("chan") for _ in range(3)]
    for channel in channels:
        await raw_ari.external_media(channel, log)
    listed = {channel["id"]: channel for channel in (await raw_ari.get("/channels")).body}
    assert listed == {channel: (await raw_ari.get(f"/channels/{channel}")).body for channel in channels}


async def test_continue_goes_to_the_dialplan(raw_ari: RawAri, new_id: NewId) -> None:
    """A channel leaves Stasis for Echo(); the application still sees what happens to it."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    await raw_ari.post(f"/channels/{channel}/continue", context="default", extension="echo", priority=1)
    await log.wait_for("ChannelDialplan", channel, count=2)
    assert await log.story(channel) == ["StasisEnd", "ChannelDialplan Answer", "ChannelDialplan Echo"]
    dialplan = (await raw_ari.get(f"/channels/{channel}")).body["dialplan"]
    assert dialplan == {"context": "default", "exten": "echo", "priority": 2, "app_name": "Echo", "app_data": ""}
    assert (await raw_ari.get("/applications/contract")).body["channel_ids"] == [channel]
    await log.forget()
    await raw_ari.delete(f"/channels/{channel}")
    await log.wait_for("ChannelDestroyed", channel)
    assert await log.story(channel) == [
        "ChannelHangupRequest 32 soft",
        "ChannelVarset STASISSTATUS=SUCCESS",
        "ChannelDestroyed 16",
    ]


@pytest.mark.parametrize("where", [{"context": "nope", "extension": "nope", "priority": 1}, {}])
async def test_continue_to_nowhere_ends_the_channel(raw_ari: RawAri, new_id: NewId, where: dict[str, Any]) -> None:
    """Where the dialplan has nothing, the channel ends."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    assert (await raw_ari.post(f"/channels/{channel}/continue", **where)).status == 204
    await log.wait_for("ChannelDestroyed", channel)
    story = [told for told in await log.story(channel) if told != "ChannelDialplan AppDial2"]
    assert story == ["StasisEnd", "ChannelVarset STASISSTATUS=SUCCESS", "ChannelDestroyed 0"]


async def test_move_hands_a_channel_to_another_application(raw_ari: RawAri, new_id: NewId) -> None:
    """The old application sees StasisEnd, the new one StasisStart with the arguments."""
    log, channel = await raw_ari.listen("contract,other"), new_id("chan")
    await raw_ari.external_media(channel, log)
    assert (await raw_ari.post(f"/channels/{channel}/move", app="other", appArgs="p,q")).status == 204
    started, ended = await log.wait_for("StasisStart", channel), await log.wait_for("StasisEnd", channel)
    assert (ended["application"], started["application"], started["args"]) == ("contract", "other", ["p", "q"])
    assert (await raw_ari.get("/applications/other")).body["channel_ids"] == [channel]


async def test_move_to_nobody_is_told(raw_ari: RawAri, new_id: NewId) -> None:
    """A move to an application that nobody registered is accepted and fails by an event; the channel stays."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    assert (await raw_ari.post(f"/channels/{channel}/move", app="nosuch")).status == 204
    failed = await log.wait_for("ApplicationMoveFailed", channel)
    assert failed["destination"] == "nosuch"
    assert await log.story(channel) == ["ApplicationMoveFailed"]
    assert (await raw_ari.get(f"/channels/{channel}")).status == 200


async def test_a_channel_variable_is_read_back(raw_ari: RawAri, new_id: NewId) -> None:
    """Setting a variable is told by an event; functions can be read too."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    assert (await raw_ari.post(f"/channels/{channel}/variable", variable="SIZE", value="nine")).status == 204
    await log.wait_for("ChannelVarset", channel)
    assert (await raw_ari.get(f"/channels/{channel}/variable", variable="SIZE")).body == {"value": "nine"}
    assert (await raw_ari.get(f"/channels/{channel}/variable", variable="CHANNEL(state)")).body == {"value": "Up"}
    assert await log.story(channel) == ["ChannelVarset SIZE=nine"]


async def test_a_snoop_channel_listens_in(raw_ari: RawAri, new_id: NewId) -> None:
    """A snoop channel enters the application, and ends with the channel that it listens to."""
    log, channel, snoop = await raw_ari.listen(), new_id("chan"), new_id("snoop")
    await raw_ari.external_media(channel, log)
    reply = await raw_ari.post(f"/channels/{channel}/snoop/{snoop}", spy="both", app="contract", appArgs="q")
    assert (reply.status, reply.body["state"]) == (200, "Up")
    assert reply.body["name"].startswith(f"Snoop/{channel}-")
    started = await log.wait_for("StasisStart", snoop)
    assert started["args"] == ["q"]
    again = await raw_ari.post(f"/channels/{channel}/snoop/{snoop}", spy="both", app="contract")
    assert again.error == (500, "Snoop channel could not be created")
    await raw_ari.delete(f"/channels/{channel}")
    await log.wait_for("StasisEnd", snoop)

    async def all_gone() -> bool:
        return not (await raw_ari.get("/channels")).body

    await raw_ari.until(all_gone)
