"""chan_websocket as the simulator plays it: what becomes of media and commands that come, and what is told in return.

Pure: messages go in, and so do ticks of 20 ms; frames for the core and events for the peer come out. The rules are
those of ``chan_websocket.c`` in Asterisk 22.10.1, to which ``tests/contract`` holds both.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from pytest_ari_sla.framing.media_control import MOST_COMMAND_BYTES, Command, decode_command
from pytest_ari_sla.framing.media_events import (
    BufferingCompleted,
    ControlEncoding,
    DtmfEnd,
    MarkProcessed,
    MediaError,
    MediaStart,
    MediaXoff,
    MediaXon,
    QueueDrained,
    QueueStatus,
    encode_event,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_ari_sla.framing.media_events import MediaEvent

__all__ = ["DriverOptions", "WebSocketDriver"]

# QUEUE_LENGTH_MAX, _XOFF_LEVEL and _XON_LEVEL of chan_websocket.c.
MOST_FRAMES = 1000
XOFF_FRAMES = 900
XON_FRAMES = 800

_NOT_WHILE_IN = frozenset(
    {"START_MEDIA_BUFFERING", "STOP_MEDIA_BUFFERING", "MARK_MEDIA", "PAUSE_MEDIA", "CONTINUE_MEDIA"}
)
_NOT_IN_PASSTHROUGH = _NOT_WHILE_IN | {"FLUSH_MEDIA", "REPORT_QUEUE_DRAINED", "SET_MEDIA_DIRECTION"}


class DriverOptions(msgspec.Struct, frozen=True):
    """What the channel was made with.

    Attributes
    ----------
    channel_id, channel, connection_id, format, frame_bytes, variables
        What MEDIA_START tells.
    encoding
        ``plain-text`` or ``json``.
    direction
        Of the peer: ``both``; ``in``, where it only listens; ``out``, where it only speaks.
    auto_answer
        Whether the channel is answered as soon as it is connected.
    is_passthrough
        Whether each message is a frame, so that most commands make no sense.
    """

    channel_id: str
    channel: str
    connection_id: str
    format: str
    frame_bytes: int
    encoding: str = "plain-text"
    direction: str = "both"
    auto_answer: bool = True
    is_passthrough: bool = False
    variables: dict[str, str] = {}


@dataclass
class _Queue:
    """Frames (bytes) and, between them, events that are due when they are reached."""

    waiting: deque[bytes | MediaEvent] = field(default_factory=deque)
    frames: int = 0
    rest: bytes = b""
    is_full: bool = False
    is_paused: bool = False
    is_buffering: bool = False
    tells_when_empty: bool = False


class WebSocketDriver:
    """One channel of chan_websocket.

    Attributes
    ----------
    told
        Texts for the peer that are still to be sent, in order.
    wishes
        What the peer wants of the channel: ``answer``, ``hang_up``.
    """

    def __init__(self, options: DriverOptions) -> None:
        self._options = options
        self._encoding = ControlEncoding(options.encoding)
        self._direction = options.direction
        self._queue = _Queue()
        self.told: list[str] = []
        self.wishes: list[str] = []

    @property
    def hears(self) -> bool:
        """Whether the peer wants to hear."""
        return self._direction != "out"

    def begin(self) -> None:
        """Say MEDIA_START."""
        options = self._options
        self._tell(
            MediaStart(
                connection_id=options.connection_id,
                channel=options.channel,
                channel_id=options.channel_id,
                format=options.format,
                optimal_frame_size=options.frame_bytes,
                ptime=20,
                channel_variables=options.variables,
            )
        )
        if options.auto_answer:
            self.wishes.append("answer")

    def digit(self, digit: str) -> None:
        """Tell that a digit has ended."""
        self._tell(DtmfEnd(channel_id=self._options.channel_id, digit=digit))

    def take_media(self, message: bytes) -> None:
        """Take a binary message: cut into frames, its rest thrown away unless the peer is buffering."""
        queue, size = self._queue, self._options.frame_bytes
        # Asterisk drops such a message as a whole, and only a debug line tells of it.
        if self._direction == "in" or queue.frames >= MOST_FRAMES:
            return
        if self._options.is_passthrough:
            self._enqueue(message)
            return
        whole = queue.rest + message if queue.is_buffering else message
        end = len(whole) // size * size
        for at in range(0, end, size):
            self._enqueue(whole[at : at + size])
        queue.rest = whole[end:] if queue.is_buffering else b""

    def tick(self) -> bytes | None:
        """Return the frame that the core gets now, every 20 ms; what is told on the way goes to the peer."""
        queue = self._queue
        if queue.is_paused or self._direction == "in":
            return None
        if queue.is_full and queue.frames < XON_FRAMES:
            queue.is_full = False
            self._tell(MediaXon(channel_id=self._options.channel_id))
        if not queue.waiting and queue.tells_when_empty:
            queue.tells_when_empty = False
            self._tell(QueueDrained(channel_id=self._options.channel_id))
        while queue.waiting:
            head = queue.waiting.popleft()
            if isinstance(head, bytes):
                queue.frames -= 1
                return head
            self._tell(head)
        return None

    def take_text(self, text: bytes) -> None:
        """Take a command; what is too long or unknown is not carried out, and Asterisk only logs it."""
        if not text or len(text) > MOST_COMMAND_BYTES:
            return
        command = self._decoded(text)
        if command is None:
            self._refuse("Unable to parse JSON command")
        elif self._options.is_passthrough and command.command in _NOT_IN_PASSTHROUGH:
            self._refuse(f"{command.command} not supported in passthrough mode")
        elif self._direction == "in" and command.command in _NOT_WHILE_IN:
            self._refuse(f"{command.command} not supported while media direction is 'in'")
        else:
            self._carry_out(command)

    def _decoded(self, text: bytes) -> Command | None:
        """Return a command in the one encoding that this channel takes; None where it is not JSON and should be."""
        is_json = text.lstrip().startswith(b"{")
        if self._encoding is ControlEncoding.JSON:
            return decode_command(text.strip()) if is_json else None
        return Command("") if is_json else decode_command(text.strip()) or Command("")

    def _carry_out(self, command: Command) -> None:
        queue, channel_id = self._queue, self._options.channel_id
        match command.command:
            case "ANSWER":
                self.wishes.append("answer")
            case "HANGUP":
                self.wishes.append("hang_up")
            case "START_MEDIA_BUFFERING":
                queue.is_buffering = True
            case "STOP_MEDIA_BUFFERING":
                self._stop_buffering()
                queue.waiting.append(BufferingCompleted(channel_id=channel_id, correlation_id=command.correlation_id))
            case "MARK_MEDIA":
                queue.waiting.append(MarkProcessed(channel_id=channel_id, correlation_id=command.correlation_id))
            case "FLUSH_MEDIA":
                # A full queue stays full until the next tick tells of it.
                self._queue = _Queue(
                    is_full=queue.is_full, is_paused=queue.is_paused, tells_when_empty=queue.tells_when_empty
                )
            case "PAUSE_MEDIA" | "CONTINUE_MEDIA":
                queue.is_paused = command.command == "PAUSE_MEDIA"
            case "REPORT_QUEUE_DRAINED":
                queue.tells_when_empty = True
            case "GET_STATUS":
                self._tell(self._status())
            case "SET_MEDIA_DIRECTION":
                self._turn(command.direction)

    def _stop_buffering(self) -> None:
        queue = self._queue
        queue.is_buffering = False
        if queue.rest:
            rest, queue.rest = queue.rest, b""
            self._enqueue(rest)

    def _turn(self, direction: str) -> None:
        if self._encoding is not ControlEncoding.JSON:
            # The line feed is Asterisk's own.
            self._refuse("SET_MEDIA_DIRECTION only supports JSON format.\n")
        elif not direction:
            self._refuse("SET_MEDIA_DIRECTION requires a 'direction' parameter.\n")
        elif direction not in ("both", "in", "out"):
            self._refuse(f"'{direction}' is not a valid direction for SET_MEDIA_DIRECTION.\n")
        else:
            self._direction = direction

    def _status(self) -> QueueStatus:
        queue = self._queue
        return QueueStatus(
            channel_id=self._options.channel_id,
            queue_length=queue.frames,
            xon_level=XON_FRAMES,
            xoff_level=XOFF_FRAMES,
            queue_full=queue.is_full,
            bulk_media=queue.is_buffering,
            media_paused=queue.is_paused,
        )

    def _enqueue(self, frame: bytes) -> None:
        queue = self._queue
        queue.waiting.append(frame)
        queue.frames += 1
        if not queue.is_full and queue.frames >= XOFF_FRAMES:
            queue.is_full = True
            self._tell(MediaXoff(channel_id=self._options.channel_id))

    def _refuse(self, text: str) -> None:
        self._tell(MediaError(channel_id=self._options.channel_id, error_text=text))

    def _tell(self, event: MediaEvent) -> None:
        self.told.append(encode_event(event, self._encoding))


def options_of(values: Mapping[str, object]) -> DriverOptions:
    """Return options that came as plain values."""
    return msgspec.convert(values, DriverOptions)
