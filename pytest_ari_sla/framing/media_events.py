"""What chan_websocket tells its peer beside the media: TEXT messages, in either of its two encodings.

Plain text is Asterisk's default; JSON is there since 20.18, 22.8 and 23.2 (``f(json)`` in the dial string, or
``control_message_format`` in chan_websocket.conf). A peer reads which one it is from what comes.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import ClassVar

import msgspec

__all__ = [
    "BufferingCompleted",
    "ControlEncoding",
    "DtmfEnd",
    "MarkProcessed",
    "MediaError",
    "MediaEvent",
    "MediaStart",
    "MediaXoff",
    "MediaXon",
    "QueueDrained",
    "QueueStatus",
    "UnknownEvent",
    "decode_event",
    "encode_event",
]


class ControlEncoding(StrEnum):
    """How control messages are written: the words of the dial string's ``f(…)``."""

    PLAIN_TEXT = "plain-text"
    JSON = "json"


class MediaEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What Asterisk tells.

    Attributes
    ----------
    channel_id
        Which channel it is about; empty where the encoding does not tell.
    """

    name: ClassVar[str] = ""
    channel_id: str = ""


class MediaStart(MediaEvent, frozen=True, kw_only=True):
    """The connection is up: from here on it is a call. Media may come before it (asterisk#1712).

    Attributes
    ----------
    connection_id
        For a connection that Asterisk has made, the section's name, which is the same for all calls.
    channel
        The channel's name.
    format
        Asterisk's name of the codec.
    optimal_frame_size
        Bytes of a frame.
    ptime
        Its time in ms; 0 where that is not told (before 22.8).
    channel_variables
        JSON only.
    """

    name: ClassVar[str] = "MEDIA_START"
    connection_id: str = ""
    channel: str = ""
    format: str = ""
    optimal_frame_size: int = 0
    ptime: int = 0
    channel_variables: dict[str, str] = {}  # msgspec gives each object one of its own


class DtmfEnd(MediaEvent, frozen=True, kw_only=True):
    """A digit has ended at the other side."""

    name: ClassVar[str] = "DTMF_END"
    digit: str = ""


class MediaXoff(MediaEvent, frozen=True, kw_only=True):
    """Asterisk's queue has 900 frames: send nothing more. At 1,000 it drops messages without a word."""

    name: ClassVar[str] = "MEDIA_XOFF"


class MediaXon(MediaEvent, frozen=True, kw_only=True):
    """Asterisk's queue has less than 800 frames again."""

    name: ClassVar[str] = "MEDIA_XON"


class QueueStatus(MediaEvent, frozen=True, kw_only=True):
    """The answer to GET_STATUS; lengths in frames."""

    name: ClassVar[str] = "STATUS"
    queue_length: int = 0
    xon_level: int = 0
    xoff_level: int = 0
    queue_full: bool = False
    bulk_media: bool = False
    media_paused: bool = False


class QueueDrained(MediaEvent, frozen=True, kw_only=True):
    """The answer to REPORT_QUEUE_DRAINED, at the next tick with an empty queue."""

    name: ClassVar[str] = "QUEUE_DRAINED"


class BufferingCompleted(MediaEvent, frozen=True, kw_only=True):
    """The queue has reached a STOP_MEDIA_BUFFERING."""

    name: ClassVar[str] = "MEDIA_BUFFERING_COMPLETED"
    correlation_id: str = ""


class MarkProcessed(MediaEvent, frozen=True, kw_only=True):
    """The queue has reached a MARK_MEDIA; said of Asterisk's core, not of anybody's ear."""

    name: ClassVar[str] = "MEDIA_MARK_PROCESSED"
    correlation_id: str = ""


class MediaError(MediaEvent, frozen=True, kw_only=True):
    """A command could not be carried out (since 22.8)."""

    name: ClassVar[str] = "ERROR"
    error_text: str = ""


class UnknownEvent(MediaEvent, frozen=True, kw_only=True):
    """A message that is none of these; ``text`` is all of it."""

    text: str = ""


_EVENTS: dict[str, type[MediaEvent]] = {
    event.name: event
    for event in (
        MediaStart,
        DtmfEnd,
        MediaXoff,
        MediaXon,
        QueueStatus,
        QueueDrained,
        BufferingCompleted,
        MarkProcessed,
        MediaError,
    )
}
# In plain text these have their one parameter bare, behind one blank.
_BARE = (BufferingCompleted, MarkProcessed)
_MEMBER = re.compile(r"(?:^| )([a-z_]+):")


def decode_event(text: str | bytes) -> MediaEvent:
    """Return what Asterisk has told, in whichever encoding; never raises."""
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    members = _json_members(text) if text.startswith("{") else _plain_members(text)
    kind = _EVENTS.get(str(members.pop("event", "")))
    if kind is None:
        return UnknownEvent(text=text)
    try:
        # Not strict: plain text has numbers and truth values as words.
        return msgspec.convert(members, kind, strict=False)
    except msgspec.ValidationError:
        return UnknownEvent(text=text)


def _json_members(text: str) -> dict[str, object]:
    try:
        members = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    return members if isinstance(members, dict) else {}


def _plain_members(text: str) -> dict[str, object]:
    name, _, rest = text.partition(" ")
    kind = _EVENTS.get(name)
    if kind in _BARE:
        return {"event": name, "correlation_id": rest}
    if kind is MediaError:
        # Its text may hold anything, and is the last member.
        rest, _, error = rest.partition(" error_text:")
        return {"event": name, **_pairs(rest), "error_text": error}
    return {"event": name, **_pairs(rest)}


def _pairs(text: str) -> dict[str, object]:
    """Return ``name:value name:value``; a value ends where the next name begins, and may hold colons itself."""
    found = list(_MEMBER.finditer(text))
    ends = [*(match.start() for match in found), len(text)]
    return {match[1]: text[match.end() : ends[place + 1]] for place, match in enumerate(found)}


def encode_event(event: MediaEvent, encoding: ControlEncoding) -> str:
    """Return an event as Asterisk writes it: for what plays Asterisk."""
    members = {name: value for name, value in msgspec.to_builtins(event).items() if name != "channel_variables"}
    if encoding is ControlEncoding.JSON:
        variables = {"channel_variables": event.channel_variables} if isinstance(event, MediaStart) else {}
        return msgspec.json.encode({"event": event.name, **members, **variables}).decode()
    if isinstance(event, _BARE):
        return f"{event.name} {event.correlation_id}".rstrip()
    if isinstance(event, MediaXoff | MediaXon | QueueDrained):
        return event.name
    ordered = _plain_order(event, members)
    return " ".join([event.name, *(f"{name}:{_word(ordered[name])}" for name in ordered)])


def _plain_order(event: MediaEvent, members: dict[str, object]) -> dict[str, object]:
    """Return members in the order of chan_websocket.c, where the channel's id comes after what it is about."""
    if isinstance(event, MediaStart):
        first = {name: members[name] for name in ("connection_id", "channel", "channel_id")}
        return {**first, **members}
    if isinstance(event, DtmfEnd):
        return {"digit": members["digit"], **members}
    return members


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
