"""WebSocket media, connected by Asterisk: binary messages are media, texts are control. Since 20.16 and 22.6."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.rtp_endpoint import pattern
from tests.contract.stream_peers import MediaConnection, MediaPeer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.contract.raw_ari import EventLog, RawAri, Reply

    NewId = Callable[[str], str]

FRAME = 160
JSON = "f(json)"
SECTIONS = "/asterisk/config/dynamic/res_websocket_client/websocket_client"


@pytest.fixture(params=["simulator", "asterisk-22"])
def target_name(request: pytest.FixtureRequest) -> str:
    """Run the test once for each target that has WebSocket media."""
    return str(request.param)


@pytest.fixture
async def peer(raw_ari: RawAri) -> AsyncIterator[MediaPeer]:
    """Return a server that Asterisk knows as ``bot``."""
    async with MediaPeer() as server:
        await write_section(raw_ari, "bot", server.uri)
        yield server
        await raw_ari.delete(f"{SECTIONS}/bot")


async def write_section(ari: RawAri, name: str, uri: str) -> Reply:
    """Write a section of websocket_client.conf."""
    values = {"connection_type": "per_call_config", "uri": uri, "protocols": "media"}
    fields = [{"attribute": attribute, "value": value} for attribute, value in values.items()]
    return await ari.put(f"{SECTIONS}/{name}", {"fields": fields})


async def ask(ari: RawAri, channel: str, **changes: object) -> Reply:
    """Ask for a WebSocket channel."""
    options: dict[str, object] = {
        "app": "contract",
        "external_host": "bot",
        "format": "ulaw",
        "encapsulation": "none",
        "transport": "websocket",
        "transport_data": JSON,
        **changes,
    }
    given = {name: value for name, value in options.items() if value is not None}
    return await ari.post("/channels/externalMedia", channelId=channel, **given)


async def call(ari: RawAri, log: EventLog, channel: str, peer: MediaPeer, **changes: object) -> MediaConnection:
    """Make a channel, and wait until it is in Stasis; return its connection."""
    number = len(peer.connections)
    reply = await ask(ari, channel, **changes)
    assert reply.status == 200, reply.body
    await log.wait_for("StasisStart", channel)
    return await peer.connection(number)


async def echo(ari: RawAri, log: EventLog, channel: str) -> None:
    """Send a channel to Echo()."""
    await ari.post(f"/channels/{channel}/continue", context="default", extension="echo")
    await log.wait_for("StasisEnd", channel)


async def echoing(ari: RawAri, channel: str, peer: MediaPeer, **changes: object) -> MediaConnection:
    """Make a channel that runs Echo()."""
    log = await ari.listen()
    connection = await call(ari, log, channel, peer, **changes)
    await echo(ari, log, channel)
    return connection


async def queue_length(connection: MediaConnection) -> int:
    """Ask for the state of the queue, and return its length."""
    number = 1 + sum('"STATUS"' in text for text in connection.texts)
    await connection.command("GET_STATUS")
    return int((await connection.event("STATUS", number))["queue_length"])


async def test_the_reply_proves_nothing_about_the_peer(raw_ari: RawAri, new_id: NewId, peer: MediaPeer) -> None:
    """The connection is made afterwards; the variables are those of the driver."""
    await raw_ari.listen()
    body = (await ask(raw_ari, new_id("chan"))).body
    assert body["name"].startswith("WebSocket/bot/0x")
    assert body["state"] == "Down"
    variables = body["channelvars"]
    assert variables["MEDIA_WEBSOCKET_CONNECTION_ID"] == "bot"
    assert variables["MEDIA_WEBSOCKET_OPTIMAL_FRAME_SIZE"] == "160"
    await peer.connection(0)  # one that came while the server ends would never be closed, as the next test would tell


async def test_it_is_answered_when_the_peer_has_taken_the_connection(
    raw_ari: RawAri, new_id: NewId, peer: MediaPeer
) -> None:
    """Then it enters the application."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await ask(raw_ari, channel)
    await log.wait_for("StasisStart", channel)
    assert await log.story(channel) == [
        "Dial",
        "ChannelStateChange Up",
        "Dial ANSWER",
        "ChannelVarset STASISSTATUS=",
        "StasisStart",
    ]
    assert {event["dialstring"] for event in log.events if event["type"] == "Dial"} == {f"bot/{JSON}"}


async def test_media_start_tells_whose_connection_it_is(raw_ari: RawAri, new_id: NewId, peer: MediaPeer) -> None:
    """In JSON with the channel's variables; the connection's id is the section's name, the same for all calls."""
    log, channel = await raw_ari.listen(), new_id("chan")
    connection = await call(raw_ari, log, channel, peer, format="slin16", transport_data="f(json)v(leg=7,who=me)")
    start = await connection.event("MEDIA_START")
    variables = start.pop("channel_variables")
    assert variables["MEDIA_WEBSOCKET_OPTIMAL_FRAME_SIZE"] == "640"
    assert start.pop("channel").startswith("WebSocket/bot/0x")
    assert start == {
        "event": "MEDIA_START",
        "connection_id": "bot",
        "channel_id": channel,
        "format": "slin16",
        "optimal_frame_size": 640,
        "ptime": 20,
    }
    assert connection.path == "/bot?leg=7&who=me"


async def test_plain_text_is_the_default(raw_ari: RawAri, new_id: NewId, peer: MediaPeer) -> None:
    """Members with a colon each, blanks between them."""
    log, channel = await raw_ari.listen(), new_id("chan")
    connection = await call(raw_ari, log, channel, peer, transport_data=None)
    words = (await connection.said("MEDIA_START")).split()
    assert words[0] == "MEDIA_START"
    assert {f"channel_id:{channel}", "connection_id:bot", "format:ulaw", "optimal_frame_size:160"} <= set(words)
    await connection.socket.send_str("MARK_MEDIA here")
    assert await connection.said("PROCESSED") == "MEDIA_MARK_PROCESSED here"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"external_host": "nobody"}, (400, "external_host must be a valid websocket_client connection id.")),
        (
            {"external_host": None},
            (400, "external_host is required for all but websocket server connections"),
        ),
        ({"encapsulation": None}, (400, "encapsulation must be 'none' for websocket transport")),
        ({"direction": "sideways"}, (400, "Invalid direction specified")),
    ],
)
async def test_impossible_requests(
    raw_ari: RawAri, new_id: NewId, peer: MediaPeer, changes: dict[str, Any], error: tuple[int, str]
) -> None:
    """None of them reaches the peer."""
    await raw_ari.listen()
    assert (await ask(raw_ari, new_id("chan"), **changes)).error == error
    assert peer.requests == 0


async def test_a_peer_that_refuses_is_asked_four_times_and_the_channel_ends(
    raw_ari: RawAri, new_id: NewId, peer: MediaPeer
) -> None:
    """Cause 3, no route to the destination: the only sign of it."""
    log, channel = await raw_ari.listen("contract", subscribeAll="true"), new_id("chan")
    peer.refuses = True
    assert (await ask(raw_ari, channel)).status == 200
    ended = await log.wait_for("ChannelDestroyed", channel)
    assert ended["cause"] == 3
    assert peer.requests == 4


async def test_a_channel_that_is_hung_up_closes_its_connection(raw_ari: RawAri, new_id: NewId, peer: MediaPeer) -> None:
    """Code 1000, normal closure."""
    log, channel = await raw_ari.listen(), new_id("chan")
    connection = await call(raw_ari, log, channel, peer)
    await raw_ari.delete(f"/channels/{channel}")
    assert await connection.over() == 1000


async def test_a_peer_that_closes_ends_the_call(raw_ari: RawAri, new_id: NewId, peer: MediaPeer) -> None:
    """The request to hang up has a cause, the channel's end has none."""
    log, channel = await raw_ari.listen(), new_id("chan")
    connection = await call(raw_ari, log, channel, peer)
    await log.forget()
    await connection.socket.close()
    await log.wait_for("ChannelDestroyed", channel)
    assert await log.story(channel) == [
        "ChannelHangupRequest 16 hard",
        "StasisEnd",
        "ChannelVarset STASISSTATUS=SUCCESS",
        "ChannelDestroyed 0",
    ]


async def test_a_peer_can_hang_up(raw_ari: RawAri, new_id: NewId, peer: MediaPeer) -> None:
    """HANGUP closes the connection too."""
    log, channel = await raw_ari.listen(), new_id("chan")
    connection = await call(raw_ari, log, channel, peer)
    await connection.command("HANGUP")
    ended = await log.wait_for("ChannelDestroyed", channel)
    assert ended["cause"] == 0
    assert await connection.over() == 1000


async def test_without_auto_answer_the_peer_answers(raw_ari: RawAri, new_id: NewId, peer: MediaPeer) -> None:
    """Option ``n``; until then the application does not hear of the channel."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await ask(raw_ari, channel, transport_data="f(json)n")
    connection = await peer.connection()
    await connection.event("MEDIA_START")
    await log.settle()
    assert "StasisStart" not in {event["type"] for event in log.events}
    await connection.command("ANSWER")
    await log.wait_for("StasisStart", channel)


async def test_a_digit_is_told_at_its_end(raw_ari: RawAri, new_id: NewId, peer: MediaPeer) -> None:
    """As an event of the control connection."""
    log, channel = await raw_ari.listen(), new_id("chan")
    connection = await call(raw_ari, log, channel, peer)
    await raw_ari.post(f"/channels/{channel}/dtmf", dtmf="5")
    assert await connection.event("DTMF_END") == {"event": "DTMF_END", "channel_id": channel, "digit": "5"}


# Media to Asterisk: a queue of frames, from which a timer takes one every 20 ms.


async def test_media_comes_back_untouched_in_frames(raw_ari: RawAri, new_id: NewId, peer: MediaPeer) -> None:
    """A message of three frames is three frames."""
    connection = await echoing(raw_ari, new_id("chan"), peer)
    sent = [pattern(number, FRAME) for number in range(3)]
    await connection.socket.send_bytes(b"".join(sent))
    await connection.heard(sent[-1])
    assert connection.media == sent


async def test_a_burst_waits_in_the_queue(raw_ari: RawAri, new_id: NewId, peer: MediaPeer) -> None:
    """400 frames are eight seconds of latency, which GET_STATUS tells at once; FLUSH_MEDIA takes it back."""
    connection = await echoing(raw_ari, new_id("chan"), peer)
    await connection.socket.send_bytes(b"\x7f" * FRAME * 400)
    assert 0 < await queue_length(connection) <= 400
    await connection.command("FLUSH_MEDIA")
    assert await queue_length(connection) == 0


async def test_a_paused_queue_keeps_its_length(raw_ari: RawAri, new_id: NewId, peer: MediaPeer) -> None:
    """PAUSE_MEDIA and CONTINUE_MEDIA; STATUS tells which."""
    connection = await echoing(raw_ari, new_id("chan"), peer)
    await connection.command("PAUSE_MEDIA")
    await connection.socket.send_bytes(b"\x7f" * FRAME * 3)
    await connection.command("GET_STATUS")
    status = await connection.event("STATUS")
    assert status == {
        "event": "STATUS",
        "channel_id": status["channel_id"],
        "queue_length": 3,
        "xon_level": 800,
        "xoff_level": 900,
        "queue_full": False,
        "bulk_media": False,
        "media_paused": True,
    }
    assert connection.media == []
    await connection.command("CONTINUE_MEDIA")
    await connection.until(lambda: len(connection.media) == 3)


async def test_a_full_queue_asks_to_stop_and_then_to_go_on(raw_ari: RawAri, new_id: NewId, peer: MediaPeer) -> None:
    """XOFF at 900 frames, XON at the first tick below 800; the queue of a paused channel stays full."""
    connection = await echoing(raw_ari, new_id("chan"), peer)
    await connection.command("PAUSE_MEDIA")
    for _ in range(3):
        await connection.socket.send_bytes(b"\x7f" * FRAME * 300)
    assert await queue_length(connection) == 900
    await connection.event("MEDIA_XOFF")
    await connection.command("FLUSH_MEDIA")
    await connection.command("CONTINUE_MEDIA")
    await connection.event("MEDIA_XON")


async def test_a_message_that_comes_at_a_thousand_frames_is_dropped_whole(
    raw_ari: RawAri, new_id: NewId, peer: MediaPeer
) -> None:
    """Without a word. It is looked at before a message is taken, so that the last one may go beyond."""
    connection = await echoing(raw_ari, new_id("chan"), peer)
    await connection.command("PAUSE_MEDIA")
    for _ in range(5):
        await connection.socket.send_bytes(b"\x7f" * FRAME * 300)
    assert await queue_length(connection) == 1200


async def test_the_rest_of_a_message_is_thrown_away(raw_ari: RawAri, new_id: NewId, peer: MediaPeer) -> None:
    """What is shorter than a frame is lost altogether."""
    connection = await echoing(raw_ari, new_id("chan"), peer)
    await connection.command("PAUSE_MEDIA")
    await connection.socket.send_bytes(b"\x11" * (FRAME - 1))
    await connection.socket.send_bytes(b"\x22" * (2 * FRAME - 1))
    assert await queue_length(connection) == 1
    await connection.command("CONTINUE_MEDIA")
    await connection.heard(b"\x22" * FRAME)


async def test_buffering_joins_what_messages_tear_apart(raw_ari: RawAri, new_id: NewId, peer: MediaPeer) -> None:
    """Between START_ and STOP_MEDIA_BUFFERING rests are kept; the last one goes out as a short frame."""
    connection = await echoing(raw_ari, new_id("chan"), peer)
    sent = pattern(1, 2 * FRAME + 40)
    await connection.command("START_MEDIA_BUFFERING")
    for at in range(0, len(sent), 50):
        await connection.socket.send_bytes(sent[at : at + 50])
    await connection.command("STOP_MEDIA_BUFFERING", correlation_id="all")
    done = await connection.event("MEDIA_BUFFERING_COMPLETED")
    assert done["correlation_id"] == "all"
    await connection.until(lambda: sum(map(len, connection.media)) >= len(sent))
    assert b"".join(connection.media) == sent
    assert [len(message) for message in connection.media] == [FRAME, FRAME, 40]


async def test_marks_are_told_when_the_queue_reaches_them(raw_ari: RawAri, new_id: NewId, peer: MediaPeer) -> None:
    """In their order, and not while the queue is paused."""
    connection = await echoing(raw_ari, new_id("chan"), peer)
    await connection.command("PAUSE_MEDIA")
    await connection.command("MARK_MEDIA", correlation_id="first")
    await connection.socket.send_bytes(b"\x7f" * FRAME * 2)
    await connection.command("MARK_MEDIA", correlation_id="second")
    assert await queue_length(connection) == 2
    assert not [text for text in connection.texts if "MEDIA_MARK_PROCESSED" in text]
    await connection.command("CONTINUE_MEDIA")
    assert (await connection.event("MEDIA_MARK_PROCESSED"))["correlation_id"] == "first"
    assert (await connection.event("MEDIA_MARK_PROCESSED", 2))["correlation_id"] == "second"


async def test_a_flush_takes_marks_with_it(raw_ari: RawAri, new_id: NewId, peer: MediaPeer) -> None:
    """They are never told; a mark that is set later is."""
    connection = await echoing(raw_ari, new_id("chan"), peer)
    await connection.command("PAUSE_MEDIA")
    await connection.command("MARK_MEDIA", correlation_id="lost")
    await connection.command("FLUSH_MEDIA")
    await connection.command("CONTINUE_MEDIA")
    await connection.command("MARK_MEDIA", correlation_id="kept")
    assert (await connection.event("MEDIA_MARK_PROCESSED"))["correlation_id"] == "kept"


async def test_an_empty_queue_is_told_once_where_that_was_asked_for(
    raw_ari: RawAri, new_id: NewId, peer: MediaPeer
) -> None:
    """At the next tick that finds nothing."""
    connection = await echoing(raw_ari, new_id("chan"), peer)
    for number in (1, 2):
        await connection.command("REPORT_QUEUE_DRAINED")
        await connection.event("QUEUE_DRAINED", number)
    await queue_length(connection)
    assert sum("QUEUE_DRAINED" in text for text in connection.texts) == 2


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        pytest.param('{"command":"GET_STATUS","more":"' + "x" * 100 + '"}', None, id="longer than 128 bytes"),
        pytest.param('{"command":"get_status"}', None, id="in lower case"),
        pytest.param('{"command":"NO_SUCH"}', None, id="unknown"),
        pytest.param("GET_STATUS", "Unable to parse JSON command", id="no JSON"),
        pytest.param(
            '{"command":"SET_MEDIA_DIRECTION","direction":"up"}',
            "'up' is not a valid direction for SET_MEDIA_DIRECTION.\n",
            id="a direction that there is not",
        ),
    ],
)
async def test_commands_that_are_not_carried_out(
    raw_ari: RawAri, new_id: NewId, peer: MediaPeer, text: str, answer: str | None
) -> None:
    """Some are answered by ERROR, most not at all; the call goes on."""
    connection = await echoing(raw_ari, new_id("chan"), peer)
    await connection.socket.send_str(text)
    await queue_length(connection)
    assert sum('"STATUS"' in one for one in connection.texts) == 1
    if answer is None:
        assert not [one for one in connection.texts if '"ERROR"' in one]
    else:
        assert (await connection.event("ERROR"))["error_text"] == answer


async def test_a_message_that_does_not_fit_into_asterisks_buffer_ends_the_call(
    raw_ari: RawAri, new_id: NewId, peer: MediaPeer
) -> None:
    """65,535 bytes with the frame's header, which has four here; closed as too big (1009)."""
    log, channel = await raw_ari.listen(), new_id("chan")
    connection = await call(raw_ari, log, channel, peer)
    await echo(raw_ari, log, channel)
    await connection.command("PAUSE_MEDIA")
    await connection.socket.send_bytes(b"\x7f" * 65_531)
    assert await queue_length(connection) == 65_531 // FRAME
    await connection.socket.send_bytes(b"\x7f" * 65_532)
    await log.wait_for("ChannelDestroyed", channel)
    assert await connection.over() == 1009


@pytest.mark.parametrize("direction", ["in", "out"])
async def test_directions_are_those_of_the_peer(
    raw_ari: RawAri, new_id: NewId, peer: MediaPeer, direction: str
) -> None:
    """``in``: it only listens, what it sends is dropped. ``out``: it only speaks, and hears nothing."""
    connection = await echoing(raw_ari, new_id("chan"), peer, direction=direction)
    await connection.socket.send_bytes(b"\x7f" * FRAME)
    await connection.command("SET_MEDIA_DIRECTION", direction="both")
    if direction == "out":
        await connection.command("MARK_MEDIA", correlation_id="over")
        await connection.event("MEDIA_MARK_PROCESSED")
    connection.media.clear()
    await connection.socket.send_bytes(b"\x11" * FRAME)
    await connection.heard(b"\x11" * FRAME)
    assert connection.media == [b"\x11" * FRAME]
