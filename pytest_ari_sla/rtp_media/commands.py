"""What the media loop can be told: messages of one datagram each, some with a socket attached."""

from __future__ import annotations

import msgspec

from pytest_ari_sla.media.loop.commands import ForgetLeg, Stall, StopLeg

__all__ = ["AlterLeg", "Command", "ForgetLeg", "OpenSocket", "PlayLeg", "Stall", "StartLeg", "StopLeg"]


class OpenSocket(msgspec.Struct, frozen=True, tag=True):
    """Take a bound UDP socket (attached to the message) and call it ``socket``."""

    socket: int


class StartLeg(msgspec.Struct, frozen=True, tag=True):
    """Send a stream: one packet per cycle, in the leg's slot.

    Attributes
    ----------
    leg
        Number of the leg.
    socket
        Number of the socket to send by.
    slot
        The slot of 1 ms within the cycle, which is the packet time.
    host, port
        Where Asterisk receives.
    ssrc, payload_type, ticks
        RTP header fields; ``ticks`` is what each packet adds to the time stamp.
    frame_offset, frame_count, frame_bytes
        The audio in :attr:`MediaMemory.frames`: so many frames of so many bytes, one a turn.
    packets
        The stream ends by itself after so many packets.
    nonce
        The run's number in probes; None to send frames whole, without a probe.
    audio_turn
        The turn in which the first frame is due; 0 for legs that all say the same at the same time.
    event_offset
        Where in :attr:`MediaMemory.frames` the telephone events are that are sent instead of frames (an ``EVENT_FRAME``
        for each); -1: none.
    timestamp_offset
        What time stamps are ahead by, in ticks.
    """

    leg: int
    socket: int
    slot: int
    host: str
    port: int
    ssrc: int
    payload_type: int
    ticks: int
    frame_offset: int
    frame_count: int
    frame_bytes: int
    packets: int
    nonce: int | None
    audio_turn: int = 0
    event_offset: int = -1
    timestamp_offset: int = 0


class PlayLeg(msgspec.Struct, frozen=True, tag=True):
    """Let a leg that sends say something else from its next turn on, from the first frame of that.

    Attributes
    ----------
    leg
        Number of the leg.
    frame_offset, frame_count, event_offset
        The audio, in frames of the leg's size, and what is sent instead of it; see :class:`StartLeg`.
    """

    leg: int
    frame_offset: int
    frame_count: int
    event_offset: int = -1


class AlterLeg(msgspec.Struct, frozen=True, tag=True):
    """Let a leg that sends go on with another SSRC, or other time stamps: a fault on purpose.

    Attributes
    ----------
    leg
        Number of the leg.
    ssrc, timestamp_offset
        From its next packet on; see :class:`StartLeg`.
    """

    leg: int
    ssrc: int
    timestamp_offset: int


Command = OpenSocket | StartLeg | PlayLeg | AlterLeg | StopLeg | ForgetLeg | Stall
