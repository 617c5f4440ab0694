"""The control messages of chan_websocket, in both encodings."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.framing.media_control import Command, MediaControl, decode_command, encode_command
from pytest_ari_sla.framing.media_events import (
    BufferingCompleted,
    ControlEncoding,
    DtmfEnd,
    MarkProcessed,
    MediaError,
    MediaEvent,
    MediaStart,
    MediaXoff,
    MediaXon,
    QueueDrained,
    QueueStatus,
    UnknownEvent,
    decode_event,
    encode_event,
)

PLAIN, JSON = ControlEncoding.PLAIN_TEXT, ControlEncoding.JSON
EVENTS = [
    MediaStart(
        channel_id="c-1",
        connection_id="media",
        channel="WebSocket/media/0x7f00",
        format="slin16",
        optimal_frame_size=640,
        ptime=20,
    ),
    DtmfEnd(channel_id="c-1", digit="#"),
    QueueStatus(channel_id="c-1", queue_length=17, xon_level=800, xoff_level=900, bulk_media=True),
    MediaError(channel_id="c-1", error_text="MARK_MEDIA not supported: in passthrough mode"),
]


@pytest.mark.parametrize("encoding", [PLAIN, JSON])
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_an_event_is_read_as_it_was_written(event: MediaEvent, encoding: ControlEncoding) -> None:
    """Both encodings tell the same."""
    assert decode_event(encode_event(event, encoding)) == event


@pytest.mark.parametrize(
    "event",
    [MediaXoff(), MediaXon(), QueueDrained(), BufferingCompleted(correlation_id="a b:c"), MarkProcessed()],
    ids=lambda event: event.name,
)
def test_short_events_have_their_parameter_bare_in_plain_text(event: MediaEvent) -> None:
    """They do not name the channel there; in JSON they do."""
    assert decode_event(encode_event(event, PLAIN)) == event
    named = msgspec.structs.replace(event, channel_id="c-9")
    assert decode_event(encode_event(named, JSON)) == named


@pytest.mark.parametrize(
    ("text", "event"),
    [
        (
            "MEDIA_START connection_id:media channel:WebSocket/media/0x7f channel_id:1.2 format:ulaw "
            "optimal_frame_size:160 ptime:20",
            MediaStart(
                connection_id="media",
                channel="WebSocket/media/0x7f",
                channel_id="1.2",
                format="ulaw",
                optimal_frame_size=160,
                ptime=20,
            ),
        ),
        ("DTMF_END digit:: channel_id:1.2", DtmfEnd(digit=":", channel_id="1.2")),
        (
            "STATUS channel_id:1.2 queue_length:3 xon_level:800 xoff_level:900 queue_full:false bulk_media:true "
            "media_paused:false",
            QueueStatus(channel_id="1.2", queue_length=3, xon_level=800, xoff_level=900, bulk_media=True),
        ),
        ("MEDIA_MARK_PROCESSED end-1", MarkProcessed(correlation_id="end-1")),
        ("MEDIA_BUFFERING_COMPLETED", BufferingCompleted()),
        ("MEDIA_XOFF", MediaXoff()),
        ("ERROR channel_id:1.2 error_text:a b:c", MediaError(channel_id="1.2", error_text="a b:c")),
    ],
)
def test_plain_text_is_read_as_chan_websocket_writes_it(text: str, event: MediaEvent) -> None:
    """Word by word as the driver of 22.10 does."""
    assert decode_event(text) == event
    assert encode_event(event, PLAIN) == text


def test_the_variables_of_a_channel_come_in_json_only() -> None:
    """A variable set as ``__X`` arrives under the name ``__X``."""
    event = MediaStart(connection_id="c", channel_variables={"__X": "1"})
    assert decode_event(encode_event(event, JSON)) == event
    assert decode_event(encode_event(event, PLAIN)) == MediaStart(connection_id="c")


@given(st.text() | st.binary() | st.sampled_from(["{}", "[1]", '{"event":7}', '{"event":"STATUS","queue_length":"x"}']))
def test_whatever_comes_is_an_event(text: str | bytes) -> None:
    """Nothing is raised."""
    assert isinstance(decode_event(text), MediaEvent)
    decode_command(text)


def test_what_is_not_understood_is_kept_as_it_came() -> None:
    """Newer versions may say more."""
    assert decode_event("NEW_THING a:1") == UnknownEvent(text="NEW_THING a:1")
    assert decode_event('{"event":"NEW_THING"}') == UnknownEvent(text='{"event":"NEW_THING"}')


@pytest.mark.parametrize("encoding", [PLAIN, JSON])
@pytest.mark.parametrize("command", [Command("GET_STATUS"), Command("STOP_MEDIA_BUFFERING", "abc")])
def test_a_command_is_read_as_it_was_written(command: Command, encoding: ControlEncoding) -> None:
    """In plain text the parameter follows after one blank."""
    assert decode_command(encode_command(command, encoding)) == command


def test_a_command_that_asterisk_would_ignore_is_refused() -> None:
    """Longer than 128 bytes; or SET_MEDIA_DIRECTION in plain text."""
    with pytest.raises(ValueError, match="more than 128 bytes"):
        encode_command(Command("MARK_MEDIA", "x" * 120), PLAIN)
    with pytest.raises(ValueError, match="JSON only"):
        encode_command(Command("SET_MEDIA_DIRECTION", direction="in"), PLAIN)


def test_the_state_of_a_connection_follows_what_is_said() -> None:
    """What a bot needs to know."""
    control = MediaControl()
    control.take(encode_event(MediaStart(connection_id="c", format="ulaw"), JSON))
    assert control.start is not None
    assert control.get_status() == '{"command":"GET_STATUS"}'
    control.take(encode_event(MediaXoff(), JSON))
    states = [control.may_send]
    control.take(encode_event(MediaXon(), JSON))
    assert [*states, control.may_send] == [False, True]
    control.take(encode_event(QueueStatus(queue_length=12), JSON))
    assert control.status == QueueStatus(queue_length=12)
    for digit in "1#":
        control.take(encode_event(DtmfEnd(digit=digit), JSON))
    assert control.digits == "1#"
    control.take(encode_event(MarkProcessed(correlation_id="m"), JSON))
    control.take(encode_event(BufferingCompleted(correlation_id="b"), JSON))
    assert control.marks == ["m", "b"]
    control.take("what?")
    assert control.unknown == 1


def test_all_commands_have_their_words() -> None:
    """As in chan_websocket.c."""
    control = MediaControl()
    said = [
        control.answer(),
        control.hang_up(),
        control.start_buffering(),
        control.stop_buffering("b"),
        control.mark("m"),
        control.flush(),
        control.pause(),
        control.resume(),
        control.report_drained(),
        control.get_status(),
    ]
    assert said == [
        *("ANSWER", "HANGUP", "START_MEDIA_BUFFERING", "STOP_MEDIA_BUFFERING b", "MARK_MEDIA m", "FLUSH_MEDIA"),
        *("PAUSE_MEDIA", "CONTINUE_MEDIA", "REPORT_QUEUE_DRAINED", "GET_STATUS"),
    ]
    assert MediaControl(JSON).set_direction("in") == '{"command":"SET_MEDIA_DIRECTION","direction":"in"}'


def test_a_flush_lets_media_go_on() -> None:
    """The queue that was full is empty: no MEDIA_XON need come for that."""
    control = MediaControl()
    control.take("MEDIA_XOFF")
    control.flush()
    assert control.may_send
