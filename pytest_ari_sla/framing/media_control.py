"""What a peer of chan_websocket tells Asterisk beside the media, and the state of one such connection."""

from __future__ import annotations

import msgspec

from pytest_ari_sla.framing.media_events import (
    BufferingCompleted,
    ControlEncoding,
    DtmfEnd,
    MarkProcessed,
    MediaEvent,
    MediaStart,
    MediaXoff,
    MediaXon,
    QueueStatus,
    UnknownEvent,
    decode_event,
)

__all__ = ["MOST_COMMAND_BYTES", "Command", "MediaControl", "decode_command", "encode_command"]

MOST_COMMAND_BYTES = 128
"""Asterisk ignores a longer command, with a warning in its log."""


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a peer tells Asterisk.

    Attributes
    ----------
    command
        ``ANSWER``, ``GET_STATUS`` …; case counts.
    correlation_id
        Of STOP_MEDIA_BUFFERING and MARK_MEDIA: comes back in the event.
    direction
        Of SET_MEDIA_DIRECTION (JSON only): ``both``, ``in`` or ``out``.
    """

    command: str
    correlation_id: str = ""
    direction: str = ""


def encode_command(command: Command, encoding: ControlEncoding) -> str:
    """Return a command as Asterisk reads it.

    Raises
    ------
    ValueError
        Asterisk would ignore it: it is too long, or has no plain form.
    """
    if encoding is ControlEncoding.JSON:
        text = msgspec.json.encode(command).decode()
    elif command.direction:
        message = f"{command.command} can be told in JSON only"
        raise ValueError(message)
    else:
        text = f"{command.command} {command.correlation_id}".rstrip()  # without a parameter, no blank either
    if len(text.encode()) > MOST_COMMAND_BYTES:
        message = f"Asterisk ignores commands of more than {MOST_COMMAND_BYTES} bytes: {text}"
        raise ValueError(message)
    return text


def decode_command(text: str | bytes) -> Command | None:
    """Return the command of a message, in whichever encoding; None where it is none. For what plays Asterisk."""
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    if text.startswith("{"):
        try:
            return msgspec.json.decode(text, type=Command)
        except (msgspec.DecodeError, UnicodeEncodeError):  # the latter for lone surrogates
            return None
    name, _, data = text.partition(" ")
    return Command(name, data) if name else None


class MediaControl:
    """The control side of one chan_websocket connection, as a bot or a test sees it.

    What Asterisk says goes into :meth:`take`; commands are texts to be sent, in the encoding that Asterisk uses.

    Attributes
    ----------
    encoding
        Until Asterisk has said something, the one given.
    start
        Its MEDIA_START; None until that has come.
    may_send
        Whether Asterisk takes media: False between MEDIA_XOFF and MEDIA_XON.
    status
        The last STATUS.
    digits
        All digits so far.
    marks
        Correlation ids of the marks and bufferings that the queue has reached, in order.
    unknown
        Messages that were not understood.
    """

    def __init__(self, encoding: ControlEncoding = ControlEncoding.PLAIN_TEXT) -> None:
        self.encoding = encoding
        self.start: MediaStart | None = None
        self.may_send = True
        self.status: QueueStatus | None = None
        self.digits = ""
        self.marks: list[str] = []
        self.unknown = 0

    def take(self, text: str | bytes) -> MediaEvent:
        """Take in what Asterisk has said, and return it."""
        event = decode_event(text)
        match event:
            case MediaStart():
                self.start = event
                is_json = text[:1] in ("{", b"{")
                self.encoding = ControlEncoding.JSON if is_json else ControlEncoding.PLAIN_TEXT
            case MediaXoff():
                self.may_send = False
            case MediaXon():
                self.may_send = True
            case QueueStatus():
                self.status = event
            case DtmfEnd(digit=digit):
                self.digits += digit
            case MarkProcessed(correlation_id=mark) | BufferingCompleted(correlation_id=mark):
                self.marks.append(mark)
            case UnknownEvent():
                self.unknown += 1
        return event

    def command(self, name: str, correlation_id: str = "", *, direction: str = "") -> str:
        """Return the text of any command; see :class:`Command`.

        Raises
        ------
        ValueError
            Asterisk would ignore it.
        """
        return encode_command(Command(name, correlation_id, direction), self.encoding)

    def answer(self) -> str:
        """Return ANSWER: for a channel that was dialled with ``n``."""
        return self.command("ANSWER")

    def hang_up(self) -> str:
        """Return HANGUP, which also closes the connection."""
        return self.command("HANGUP")

    def start_buffering(self) -> str:
        """Return START_MEDIA_BUFFERING: what a message leaves of a frame is kept for the next one."""
        return self.command("START_MEDIA_BUFFERING")

    def stop_buffering(self, correlation_id: str = "") -> str:
        """Return STOP_MEDIA_BUFFERING."""
        return self.command("STOP_MEDIA_BUFFERING", correlation_id)

    def mark(self, correlation_id: str) -> str:
        """Return MARK_MEDIA (since 22.8)."""
        return self.command("MARK_MEDIA", correlation_id)

    def flush(self) -> str:
        """Return FLUSH_MEDIA: what waits is thrown away, and so are marks that wait, without an event."""
        self.may_send = True
        return self.command("FLUSH_MEDIA")

    def pause(self) -> str:
        """Return PAUSE_MEDIA."""
        return self.command("PAUSE_MEDIA")

    def resume(self) -> str:
        """Return CONTINUE_MEDIA."""
        return self.command("CONTINUE_MEDIA")

    def report_drained(self) -> str:
        """Return REPORT_QUEUE_DRAINED."""
        return self.command("REPORT_QUEUE_DRAINED")

    def get_status(self) -> str:
        """Return GET_STATUS: the answer tells how many frames wait in Asterisk."""
        return self.command("GET_STATUS")

    def set_direction(self, direction: str) -> str:
        """Return SET_MEDIA_DIRECTION (since 22.9, JSON only): ``both``, ``in`` or ``out``."""
        return self.command("SET_MEDIA_DIRECTION", direction=direction)
