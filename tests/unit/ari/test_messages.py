from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.ari import messages
from pytest_ari_sla.ari.messages import (
    ChannelDestroyed,
    ChannelEvent,
    ChannelUserevent,
    ChannelVarset,
    Dial,
    Event,
    KnownEvent,
    PlaybackFinished,
    RecordingFailed,
    StasisStart,
    UnknownEvent,
    decode_event,
)
from pytest_ari_sla.ari.resources import Channel, timestamp_ns

DATA = Path(__file__).parents[2] / "data" / "ari"
SAMPLES = [
    pytest.param(sample, id=f"{version}-{sample['type']}")
    for version in ("16", "22")
    for sample in json.loads((DATA / f"events-{version}.json").read_text())
]


@pytest.mark.parametrize("sample", SAMPLES)
def test_what_a_real_asterisk_sends_is_read_as_the_event_it_is(sample: dict[str, Any]) -> None:
    """Every type of event that a call brings, as Asterisk 16.28 and 22.10 sent it."""
    event = decode_event(json.dumps(sample))
    assert event.type == sample["type"]
    assert not isinstance(event, UnknownEvent)
    assert event.timestamp == sample["timestamp"]
    assert event.application == "samp"


@pytest.mark.parametrize("sample", SAMPLES)
def test_an_event_survives_members_that_are_new(sample: dict[str, Any]) -> None:
    """A later Asterisk adds members at any level."""
    plain = decode_event(json.dumps(sample))
    channel = sample.get("channel")
    changed = {**sample, "novelty": {"deep": [1, None]}} | ({"channel": {**channel, "novelty": 1}} if channel else {})
    assert decode_event(json.dumps(changed)) == plain


def test_a_stasis_start_holds_its_channel() -> None:
    """Members keep ARI's names and values."""
    sample = next(s.values[0] for s in SAMPLES if s.id == "22-StasisStart")
    assert isinstance(sample, dict)
    event = decode_event(json.dumps(sample).encode())
    assert isinstance(event, StasisStart)
    assert event.args == ()
    assert event.channel.id == sample["channel"]["id"]
    assert event.channel.state == "Up"
    assert event.channel.dialplan.app_name == "Stasis"
    assert event.channel.is_in_application("samp")


@pytest.mark.parametrize(
    ("event", "channel_ids"),
    [
        (ChannelDestroyed(channel=Channel("a")), ("a",)),
        (ChannelVarset(variable="x"), ()),
        (ChannelVarset(variable="x", channel=Channel("a")), ("a",)),
        (ChannelUserevent(eventname="x"), ()),
        (Dial(peer=Channel("p")), ("p",)),
        (Dial(peer=Channel("p"), caller=Channel("c")), ("p", "c")),
        (decode_event('{"type":"PlaybackFinished","playback":{"id":"1","target_uri":"channel:a:b"}}'), ("a:b",)),
        (decode_event('{"type":"PlaybackStarted","playback":{"id":"1","target_uri":"bridge:b"}}'), ()),
        (decode_event('{"type":"RecordingFailed","recording":{"name":"1","target_uri":"channel:a"}}'), ("a",)),
        (decode_event('{"type":"BridgeDestroyed","bridge":{"id":"b"}}'), ()),
        (decode_event('{"type":"Novelty","channel":{"id":"a"}}'), ("a",)),
        (decode_event('{"type":"Novelty"}'), ()),
    ],
)
def test_an_event_knows_the_channels_that_it_is_about(event: Event, channel_ids: tuple[str, ...]) -> None:
    """That is how it finds its way to whoever watches a channel."""
    assert event.channel_ids == channel_ids


def test_an_event_of_an_unknown_type_is_no_problem() -> None:
    """It keeps its name, so that a reader can tell what came."""
    event = decode_event('{"type":"Novelty","application":"a","timestamp":"t","asterisk_id":"i"}')
    assert event == UnknownEvent(unknown_type="Novelty", application="a", timestamp="t", asterisk_id="i")
    assert event.type == "Novelty"


@pytest.mark.parametrize(
    "message",
    [
        "",
        "null",
        "[]",
        "{}",
        "nonsense",
        '{"type":1}',
        '{"type":"StasisStart"}',
        '{"type":"StasisEnd","channel":{}}',
        '{"type":"StasisEnd","channel":{"id":5}}',
        b'{"type":"StasisStart","x":' + b"[" * 100_000,
        b"\x00",
    ],
)
def test_what_cannot_be_read_is_an_unknown_event_with_its_problem(message: str | bytes) -> None:
    """Asterisk is the thing under test: what it sends is a finding, never an exception."""
    event = decode_event(message)
    assert isinstance(event, UnknownEvent)
    assert event.problem


@pytest.mark.parametrize(
    "message",
    [
        '{"type":"ChannelDestroyed","channel":{"id":"a"},"cause":"normal"}',
        '{"type":"ChannelDestroyed","channel":{"id":"a","accountcode":null},"cause":16}',
        '{"type":"ChannelDestroyed","channel":{"id":"a","caller":{"name":null,"number":5}}}',
        '{"type":"ChannelDestroyed","channel":{"id":"a","dialplan":[]},"timestamp":null}',
        r'{"type":"ChannelDestroyed","channel":{"id":"a","name":"\ud800"}}',
        b'{"type":"ChannelDestroyed","channel":{"id":"a","name":"M\xfcller"}}',
    ],
)
def test_a_member_that_does_not_fit_costs_neither_event_nor_id(message: str | bytes) -> None:
    """What is not needed does not decide."""
    event = decode_event(message)
    assert isinstance(event, ChannelDestroyed)
    assert event.channel_ids == ("a",)


@pytest.mark.parametrize(
    ("message", "ids"),
    [
        ('{"type":"ChannelDtmfReceived","channel":{"id":"a"}}', ("a",)),
        ('{"type":"Dial","peer":5,"caller":{"id":"c"}}', ("c",)),
        ('{"type":"PlaybackFinished","playback":{"target_uri":"channel:a"}}', ("a",)),
    ],
)
def test_an_event_that_lacks_what_it_needs_keeps_its_ids(message: str, ids: tuple[str, ...]) -> None:
    """So it still reaches whoever watches the channel."""
    event = decode_event(message)
    assert isinstance(event, UnknownEvent)
    assert event.problem
    assert event.channel_ids == ids


def _spoilt(chance: random.Random, plain: Any) -> Any:
    """Return a value with some of its parts replaced or taken out; the id of its channel is left alone."""
    odd = [None, 0, -1, 2**70, 1e300, "", "\ud800", "\x00", [], {}, [None], {"id": None}, True]
    if isinstance(plain, dict):
        kept = {name: value for name, value in plain.items() if name in ("type", "id") or chance.random() > 0.1}
        return {
            name: value
            if name in ("type", "id")
            else _spoilt(chance, value)
            if name == "channel" or chance.random() > 0.2
            else chance.choice(odd)
            for name, value in kept.items()
        }
    return chance.choice(odd) if chance.random() < 0.1 else plain


def test_hostile_messages_are_read_and_keep_their_ids() -> None:
    """Spoilt members, cut texts and wrong bytes: nothing raises, and a channel that is there is found."""
    chance = random.Random(11)
    samples = [sample.values[0] for sample in SAMPLES]
    for number in range(5_000):
        sample = _spoilt(chance, chance.choice(samples))
        body = json.dumps(sample).encode()
        event = decode_event(body)
        if isinstance(sample.get("channel"), dict):
            assert sample["channel"]["id"] in event.channel_ids, (number, body)
        place = chance.randrange(len(body))
        damaged = decode_event(body[:place] + bytes([chance.randrange(256)]) + body[place + 1 :])
        assert isinstance(damaged, Event)
        assert timestamp_ns(damaged.timestamp) is None or damaged.timestamp


@given(st.text(), st.text())
def test_hostile_strings_come_through_unchanged(name: str, number: str) -> None:
    """Caller names come from the network: quotes, markup, control characters, any script."""
    caller = {"name": name, "number": number}
    event = decode_event(json.dumps({"type": "StasisStart", "channel": {"id": "a", "caller": caller}}))
    assert isinstance(event, ChannelEvent)
    assert (event.channel.caller.name, event.channel.caller.number) == (name, number)


@given(st.binary() | st.text())
def test_no_message_whatever_raises(message: str | bytes) -> None:
    """The event stream must not end over one message."""
    assert isinstance(decode_event(message), Event)


def test_every_event_is_exported_and_read_by_its_own_name() -> None:
    """The tag that ARI writes is the name of the class."""
    for event in get_args(KnownEvent):
        assert event.__name__ in messages.__all__
        assert event.__struct_config__.tag == event.__name__
        assert event.__struct_config__.tag_field == "type"


def test_events_are_values() -> None:
    """They can be compared, and nobody can change what others read too."""
    one, same = (decode_event('{"type":"PlaybackFinished","playback":{"id":"1"}}') for _ in range(2))
    assert isinstance(one, PlaybackFinished)
    assert one == same
    with pytest.raises(AttributeError):
        one.playback = one.playback  # type: ignore[misc]


def test_a_user_event_keeps_its_own_fields_as_json() -> None:
    """They have any shape, so they are left to the reader."""
    event = decode_event('{"type":"ChannelUserevent","eventname":"e","userevent":{"a":[1]}}')
    assert isinstance(event, ChannelUserevent)
    assert msgspec.json.decode(event.userevent) == {"a": [1]}


def test_a_failed_recording_says_why() -> None:
    """The cause is part of the recording."""
    event = decode_event('{"type":"RecordingFailed","recording":{"name":"r","cause":"disk full"}}')
    assert isinstance(event, RecordingFailed)
    assert event.recording.cause == "disk full"
