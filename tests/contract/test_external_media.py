"""ExternalMedia: the channel that carries a load's RTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.raw_ari import RawAri

    NewId = Callable[[str], str]

_INTERNAL = "An internal error prevented this request from being handled"
_UNSUPPORTED = "The encapsulation and/or transport is not supported"


async def test_the_reply_holds_the_channel_and_where_to_send(raw_ari: RawAri, new_id: NewId) -> None:
    """The reply is the channel before it was answered, with address and even port for RTP in its variables."""
    await raw_ari.listen()
    channel = new_id("chan")
    body = (await raw_ari.external_media(channel, external_host="127.0.0.1:4000")).body
    variables = body.pop("channelvars")
    # Asterisk's own thread may have begun with the channel by then, which leaves a variable too.
    assert set(variables) - {"STASISSTATUS"} == {"UNICASTRTP_LOCAL_ADDRESS", "UNICASTRTP_LOCAL_PORT"}
    assert variables["UNICASTRTP_LOCAL_ADDRESS"] == "127.0.0.1"
    assert int(variables["UNICASTRTP_LOCAL_PORT"]) % 2 == 0
    assert body.pop("name").startswith("UnicastRTP/127.0.0.1:4000-0x")
    del body["creationtime"]
    assert body == {
        "id": channel,
        "state": "Down",
        "protocol_id": "",
        "caller": {"name": "", "number": ""},
        "connected": {"name": "", "number": ""},
        "accountcode": "",
        "dialplan": {
            "context": "default",
            "exten": "s",
            "priority": 1,
            "app_name": "AppDial2",
            "app_data": "(Outgoing Line)",
        },
        "language": "en",
    }


async def test_it_is_answered_at_once_and_enters_stasis(raw_ari: RawAri, new_id: NewId) -> None:
    """A channel's way into the application, event by event."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, external_host="127.0.0.1:4000")
    started = await log.wait_for("StasisStart", channel)
    assert await log.story(channel) == [
        "Dial",
        "ChannelStateChange Up",
        "Dial ANSWER",
        "ChannelVarset STASISSTATUS=",
        "StasisStart",
    ]
    assert started["args"] == []
    assert started["channel"]["state"] == "Up"
    assert started["channel"]["dialplan"]["app_name"] == "Stasis"
    assert started["channel"]["dialplan"]["app_data"] == "contract"
    assert "channelvars" not in started["channel"]
    assert (await raw_ari.get(f"/channels/{channel}")).body == started["channel"]
    dialled = "127.0.0.1:4000/c(ulaw)" if raw_ari.major > 16 else "127.0.0.1:4000"
    assert {event["dialstring"] for event in log.events if event["type"] == "Dial"} == {dialled}


async def test_it_leaves_when_it_is_hung_up(raw_ari: RawAri, new_id: NewId) -> None:
    """A channel's way out, event by event."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    assert (await raw_ari.delete(f"/channels/{channel}")).status == 204
    ended = await log.wait_for("ChannelDestroyed", channel)
    assert await log.story(channel) == [
        "ChannelHangupRequest 32 soft",
        "StasisEnd",
        "ChannelVarset STASISSTATUS=SUCCESS",
        "ChannelDestroyed 16",
    ]
    assert ended["cause_txt"] == "Normal Clearing"
    assert ended["channel"]["dialplan"]["app_name"] == "AppDial2"
    assert (await raw_ari.get(f"/channels/{channel}")).error == (404, "Channel not found")


async def test_every_channel_has_ports_of_its_own(raw_ari: RawAri, new_id: NewId) -> None:
    """No two living channels share a port."""
    await raw_ari.listen()
    replies = [await raw_ari.external_media(new_id("chan")) for _ in range(10)]
    assert len({reply.body["channelvars"]["UNICASTRTP_LOCAL_PORT"] for reply in replies}) == 10


async def test_variables_and_functions_are_set_from_the_body(raw_ari: RawAri, new_id: NewId) -> None:
    """The body's variables are set before the channel starts; a function acts on it."""
    log, channel = await raw_ari.listen(), new_id("chan")
    body = {"variables": {"COLOUR": "blue", "CHANNEL(language)": "de"}}
    options = {"app": "contract", "external_host": "127.0.0.1:9", "format": "ulaw"}
    reply = await raw_ari.post("/channels/externalMedia", body, channelId=channel, **options)
    assert reply.body["channelvars"]["COLOUR"] == "blue"
    assert reply.body["language"] == "de"
    await log.wait_for("StasisStart", channel)
    assert (await raw_ari.get(f"/channels/{channel}/variable", variable="COLOUR")).body == {"value": "blue"}


async def test_without_an_id_it_gets_one(raw_ari: RawAri) -> None:
    """A channel without a wish gets an id with a time in it."""
    await raw_ari.listen()
    options = {"app": "contract", "external_host": "127.0.0.1:9", "format": "ulaw"}
    body = (await raw_ari.post("/channels/externalMedia", **options)).body
    assert float(body["id"].rpartition("-")[2]) > 1e9


@pytest.mark.parametrize(
    ("change", "error_22", "error_16"),
    [
        ({"app": None}, (400, "app cannot be empty"), None),
        (
            {"external_host": None},
            (400, "external_host is required for all but websocket server connections"),
            (400, "external_host cannot be empty"),
        ),
        ({"format": None}, (400, "format cannot be empty"), None),
        (
            {"external_host": "nohost"},
            (400, "external_host must be <host>:<port> for all transports other than websocket"),
            (400, "external_host must be <host>:<port>"),
        ),
        ({"format": "bogus"}, (500, _INTERNAL), (400, "Provided format (bogus) was not found")),
        ({"encapsulation": "bogus"}, (501, _UNSUPPORTED), None),
        (
            {"encapsulation": "audiosocket", "transport": "tcp"},
            (400, "data can not be empty"),
            (501, _UNSUPPORTED),
        ),
        (
            {"encapsulation": "none", "transport": "websocket"},
            (400, "external_host must be a valid websocket_client connection id."),
            (501, _UNSUPPORTED),
        ),
        (
            {"transport": "tcp"},
            (400, "transport must be 'udp' for rtp encapsulation"),
            (501, _UNSUPPORTED),
        ),
    ],
)
async def test_impossible_requests(
    raw_ari: RawAri,
    new_id: NewId,
    change: dict[str, Any],
    error_22: tuple[int, str],
    error_16: tuple[int, str] | None,
) -> None:
    """What is missing or unknown is refused; versions differ in words, and for a bad format in the status."""
    await raw_ari.listen()
    options = {"app": "contract", "external_host": "127.0.0.1:9", "format": "ulaw", **change}
    given = {name: value for name, value in options.items() if value is not None}
    reply = await raw_ari.post("/channels/externalMedia", channelId=new_id("chan"), **given)
    assert reply.error == ((raw_ari.major == 16 and error_16) or error_22)


async def test_an_application_that_nobody_registered_ends_the_channel(raw_ari: RawAri, new_id: NewId) -> None:
    """The request is accepted; the channel dies when it finds no application."""
    watcher, channel = await raw_ari.listen("witness", subscribeAll="true"), new_id("chan")
    await raw_ari.external_media(channel, app="nosuch")
    await watcher.wait_for("ChannelDestroyed", channel)
    story = await watcher.story(channel)
    assert story[-2:] == ["ChannelVarset STASISSTATUS=FAILED", "ChannelDestroyed 0"]


async def test_a_taken_id_is_refused(raw_ari: RawAri, new_id: NewId) -> None:
    """An id in use, in whatever case: 500 in Asterisk 22, 409 in 16. The living channel is left in peace."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    options = {"app": "contract", "external_host": "127.0.0.1:9", "format": "ulaw"}
    refused = (500, _INTERNAL) if raw_ari.major > 16 else (409, "Channel with given unique ID already exists")
    for taken in (channel, channel.upper()):
        assert (await raw_ari.post("/channels/externalMedia", channelId=taken, **options)).error == refused
    assert await log.story(channel) == []
    assert (await raw_ari.get(f"/channels/{channel}")).status == 200


async def test_the_beginning_of_a_living_id_is_taken_too(raw_ari: RawAri, new_id: NewId) -> None:
    """Asterisk 22 refuses an id that a living one begins with; 16 does not. A longer id is fine in both."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    options = {"app": "contract", "external_host": "127.0.0.1:9", "format": "ulaw"}
    shorter = await raw_ari.post("/channels/externalMedia", channelId=channel[:-1], **options)
    assert shorter.status == (500 if raw_ari.major > 16 else 200)
    longer = await raw_ari.post("/channels/externalMedia", channelId=channel + "-more", **options)
    assert longer.status == 200
    created = await raw_ari.post(
        "/channels/create", endpoint="Local/echo@default", app="contract", channelId=channel[:-1]
    )
    assert created.status == 409


async def test_an_id_can_be_used_again(raw_ari: RawAri, new_id: NewId) -> None:
    """An id is free once its channel is destroyed."""
    log, channel = await raw_ari.listen(), new_id("chan")
    for _ in range(2):
        await raw_ari.external_media(channel, log)
        await raw_ari.delete(f"/channels/{channel}")
        await log.wait_for("ChannelDestroyed", channel)
        await log.forget()


async def test_it_has_no_rtp_statistics(raw_ari: RawAri, new_id: NewId) -> None:
    """Asterisk keeps no statistics for UnicastRTP: 404 in 22, 403 in 16."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    expected = (404, "RTP info not found") if raw_ari.major > 16 else (403, "Unsupported channel type")
    assert (await raw_ari.get(f"/channels/{channel}/rtp_statistics")).error == expected
