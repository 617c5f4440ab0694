"""What ARI tells: its events as typed, immutable records.

Source: ``rest-api/events.json`` of Asterisk 22 and what Asterisk 16.28 and 22.10 send. Members that a version lacks
have a neutral default; members that are unknown here are ignored.

The other end is the thing under test, so nothing that it sends is an exception here: an event of an unknown type, an
event whose shape is wrong and a message that is no JSON at all become an `UnknownEvent`. What is not needed does not
decide: a member that does not fit is left out, and the ids of channels are kept wherever they can be read.
"""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from pytest_ari_sla.ari.lenient import UNREADABLE, fitting, parse
from pytest_ari_sla.ari.resources import Bridge, Channel, Endpoint, LiveRecording, Playback, Record

__all__ = [
    "ApplicationRegistered",
    "ApplicationReplaced",
    "ApplicationUnregistered",
    "BridgeCreated",
    "BridgeDestroyed",
    "ChannelCreated",
    "ChannelDestroyed",
    "ChannelDialplan",
    "ChannelDtmfReceived",
    "ChannelEnteredBridge",
    "ChannelEvent",
    "ChannelHangupRequest",
    "ChannelHold",
    "ChannelLeftBridge",
    "ChannelStateChange",
    "ChannelTalkingFinished",
    "ChannelTalkingStarted",
    "ChannelToneDetected",
    "ChannelUnhold",
    "ChannelUserevent",
    "ChannelVarset",
    "Dial",
    "EndpointStateChange",
    "Event",
    "PlaybackFinished",
    "PlaybackStarted",
    "RecordingFailed",
    "RecordingFinished",
    "RecordingStarted",
    "StasisEnd",
    "StasisStart",
    "UnknownEvent",
    "decode_event",
]


class Event(Record, frozen=True, kw_only=True, tag_field="type"):
    """Base class of all events.

    Attributes
    ----------
    application
        The Stasis application that is told.
    timestamp
        When it happened by Asterisk's clock: ISO 8601 with milliseconds; see `timestamp_ns`.
    asterisk_id
        Which Asterisk it happened at.
    """

    application: str = ""
    timestamp: str = ""
    asterisk_id: str = ""

    @property
    def type(self) -> str:
        """ARI's name of the event's type."""
        return type(self).__name__

    @property
    def channel_ids(self) -> tuple[str, ...]:
        """Ids of the channels that the event is about, the main one first."""
        return ()


class UnknownEvent(Event, frozen=True, kw_only=True, tag=False):
    """An event of a type that is not known here, or one that could not be read.

    Attributes
    ----------
    unknown_type
        What it calls itself; empty where not even that could be read.
    channel
        Its channel, where it has a readable one.
    ids
        Ids of the channels that it is about, as far as they can be read.
    problem
        Why it could not be read; empty for a well-formed event of an unknown type.
    """

    unknown_type: str = ""
    channel: Channel | None = None
    ids: tuple[str, ...] = ()
    problem: str = ""

    @property
    def type(self) -> str:
        """What the event calls itself."""
        return self.unknown_type

    @property
    def channel_ids(self) -> tuple[str, ...]:
        """Ids of the channels that it is about, as far as they can be read."""
        return self.ids


class ChannelEvent(Event, frozen=True, kw_only=True):
    """Base class of the events that are about one channel."""

    channel: Channel

    @property
    def channel_ids(self) -> tuple[str, ...]:
        """Id of the channel."""
        return (self.channel.id,)


class StasisStart(ChannelEvent, frozen=True, kw_only=True, tag=True):
    """A channel entered the application: from now on it may be bridged, played to and dialled."""

    args: tuple[str, ...] = ()


class StasisEnd(ChannelEvent, frozen=True, kw_only=True, tag=True):
    """A channel left the application: it was hung up, or sent to the dialplan."""


class ChannelCreated(ChannelEvent, frozen=True, kw_only=True, tag=True):
    """A channel came into being."""


class ChannelDestroyed(ChannelEvent, frozen=True, kw_only=True, tag=True):
    """A channel is gone; ``cause`` is the Q.850 number."""

    cause: int = 0
    cause_txt: str = ""


class ChannelStateChange(ChannelEvent, frozen=True, kw_only=True, tag=True):
    """A channel's state changed (``Down``, ``Ringing``, ``Up`` …)."""


class ChannelEnteredBridge(ChannelEvent, frozen=True, kw_only=True, tag=True):
    """A channel entered a bridge."""

    bridge: Bridge


class ChannelLeftBridge(ChannelEvent, frozen=True, kw_only=True, tag=True):
    """A channel left a bridge."""

    bridge: Bridge


class ChannelDtmfReceived(ChannelEvent, frozen=True, kw_only=True, tag=True):
    """A channel received a DTMF digit; told at its end."""

    digit: str
    duration_ms: int = 0


class ChannelDialplan(ChannelEvent, frozen=True, kw_only=True, tag=True):
    """A channel executes another dialplan application."""

    dialplan_app: str = ""
    dialplan_app_data: str = ""


class ChannelHangupRequest(ChannelEvent, frozen=True, kw_only=True, tag=True):
    """Someone asked that a channel be hung up."""

    cause: int | None = None
    soft: bool = False


class ChannelHold(ChannelEvent, frozen=True, kw_only=True, tag=True):
    """A channel was put on hold by its peer."""


class ChannelUnhold(ChannelEvent, frozen=True, kw_only=True, tag=True):
    """A channel was taken off hold by its peer."""


class ChannelToneDetected(ChannelEvent, frozen=True, kw_only=True, tag=True):
    """A tone (such as fax) was detected."""


class ChannelTalkingStarted(ChannelEvent, frozen=True, kw_only=True, tag=True):
    """Talking was detected on a channel."""


class ChannelTalkingFinished(ChannelEvent, frozen=True, kw_only=True, tag=True):
    """Talking ended; ``duration`` is in milliseconds."""

    duration: int = 0


class _OptionalChannelEvent(Event, frozen=True, kw_only=True):
    """Base class of the events that may be about a channel or about the whole system."""

    channel: Channel | None = None

    @property
    def channel_ids(self) -> tuple[str, ...]:
        """Id of the channel, if there is one."""
        return () if self.channel is None else (self.channel.id,)


class ChannelVarset(_OptionalChannelEvent, frozen=True, kw_only=True, tag=True):
    """A variable was set: a channel's, or a global one."""

    variable: str
    value: str = ""


class ChannelUserevent(_OptionalChannelEvent, frozen=True, kw_only=True, tag=True):
    """The dialplan or a client sent an event of its own."""

    eventname: str = ""
    userevent: msgspec.Raw = msgspec.Raw(b"{}")


class Dial(Event, frozen=True, kw_only=True, tag=True):
    """A channel is being dialled; ``dialstatus`` is empty first, later ``RINGING``, ``ANSWER`` and the like."""

    peer: Channel
    caller: Channel | None = None
    dialstatus: str = ""
    dialstring: str = ""

    @property
    def channel_ids(self) -> tuple[str, ...]:
        """Id of the dialled channel, then of the dialling one."""
        return (self.peer.id,) if self.caller is None else (self.peer.id, self.caller.id)


def _channel_of(target_uri: str) -> tuple[str, ...]:
    """Return the channel id in a ``channel:<id>`` URI, or nothing."""
    kind, _, identity = target_uri.partition(":")
    return (identity,) if kind == "channel" else ()


class _PlaybackEvent(Event, frozen=True, kw_only=True):
    """Base class of the events about a playback; delivered to the channel that hears it."""

    playback: Playback

    @property
    def channel_ids(self) -> tuple[str, ...]:
        """Id of the channel that hears it; none for a bridge."""
        return _channel_of(self.playback.target_uri)


class PlaybackStarted(_PlaybackEvent, frozen=True, kw_only=True, tag=True):
    """A playback began."""


class PlaybackFinished(_PlaybackEvent, frozen=True, kw_only=True, tag=True):
    """A playback ended; ``playback.state`` is ``done`` or ``failed``."""


class _RecordingEvent(Event, frozen=True, kw_only=True):
    """Base class of the events about a recording; delivered to the channel that is recorded."""

    recording: LiveRecording

    @property
    def channel_ids(self) -> tuple[str, ...]:
        """Id of the channel that is recorded; none for a bridge."""
        return _channel_of(self.recording.target_uri)


class RecordingStarted(_RecordingEvent, frozen=True, kw_only=True, tag=True):
    """A recording began."""


class RecordingFinished(_RecordingEvent, frozen=True, kw_only=True, tag=True):
    """A recording ended."""


class RecordingFailed(_RecordingEvent, frozen=True, kw_only=True, tag=True):
    """A recording failed; ``recording.cause`` says why."""


class BridgeCreated(Event, frozen=True, kw_only=True, tag=True):
    """A bridge came into being."""

    bridge: Bridge


class BridgeDestroyed(Event, frozen=True, kw_only=True, tag=True):
    """A bridge is gone."""

    bridge: Bridge


class EndpointStateChange(Event, frozen=True, kw_only=True, tag=True):
    """An endpoint went online or offline."""

    endpoint: Endpoint


class ApplicationRegistered(Event, frozen=True, kw_only=True, tag=True):
    """This application's event stream is open."""


class ApplicationUnregistered(Event, frozen=True, kw_only=True, tag=True):
    """This application's event stream was closed by Asterisk's side."""


class ApplicationReplaced(Event, frozen=True, kw_only=True, tag=True):
    """Another connection took this application over: no more events come here."""


KnownEvent = (
    StasisStart
    | StasisEnd
    | ChannelCreated
    | ChannelDestroyed
    | ChannelStateChange
    | ChannelEnteredBridge
    | ChannelLeftBridge
    | ChannelDtmfReceived
    | ChannelDialplan
    | ChannelHangupRequest
    | ChannelHold
    | ChannelUnhold
    | ChannelToneDetected
    | ChannelTalkingStarted
    | ChannelTalkingFinished
    | ChannelVarset
    | ChannelUserevent
    | Dial
    | PlaybackStarted
    | PlaybackFinished
    | RecordingStarted
    | RecordingFinished
    | RecordingFailed
    | BridgeCreated
    | BridgeDestroyed
    | EndpointStateChange
    | ApplicationRegistered
    | ApplicationUnregistered
    | ApplicationReplaced
)


# msgspec reads what is well formed in C; the lenient way walks through each member in Python.
_event_decoder: msgspec.json.Decoder[KnownEvent] = msgspec.json.Decoder(KnownEvent)
_known_types = {event.__name__: event for event in get_args(KnownEvent)}


def decode_event(message: str | bytes) -> Event:
    """Return the event that a message of the event stream holds; never raises."""
    try:
        return _event_decoder.decode(message)
    except UNREADABLE as problem:
        return _decode_leniently(message, str(problem))


def _decode_leniently(message: str | bytes, problem: str) -> Event:
    """Return what can be read of an event that is not as ARI describes it, or of a type that is not known."""
    try:
        plain = parse(message)
    except UNREADABLE:
        return UnknownEvent(problem=problem)
    if not isinstance(plain, dict) or not isinstance(plain.get("type"), str):
        return UnknownEvent(problem=problem)
    kind = _known_types.get(plain["type"])
    try:
        return _unknown(plain, "") if kind is None else fitting(plain, kind)
    except UNREADABLE:
        return _unknown(plain, problem)


def _unknown(plain: dict[str, Any], problem: str) -> UnknownEvent:
    """Return what every event has, and all ids of channels."""
    event: UnknownEvent = fitting({**plain, "ids": _channel_ids(plain), "problem": problem}, UnknownEvent)
    return msgspec.structs.replace(event, unknown_type=plain["type"])  # "type" is the tag of known ones, not a member


def _channel_ids(plain: dict[str, Any]) -> list[str]:
    """Return the ids of channels under all the members that can hold one."""
    records = {name: value for name, value in plain.items() if isinstance(value, dict)}
    ids = [records[name].get("id") for name in ("channel", "peer", "caller") if name in records]
    uris = [records[name].get("target_uri") for name in ("playback", "recording") if name in records]
    ids += [identity for uri in uris if isinstance(uri, str) for identity in _channel_of(uri)]
    return [identity for identity in ids if isinstance(identity, str)]
