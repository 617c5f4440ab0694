"""What the loop of stream media can be told: messages of one datagram each, some with a socket attached."""

from __future__ import annotations

import msgspec

from pytest_ari_sla.media.loop.commands import ForgetLeg, Stall, StopLeg
from pytest_ari_sla.media.peer_faults import PeerFault

__all__ = [
    "Command",
    "ConnectLeg",
    "ExpectLeg",
    "ForgetLeg",
    "Listen",
    "PlayLeg",
    "Stall",
    "StartLeg",
    "StopLeg",
]


class Listen(msgspec.Struct, frozen=True, tag=True):
    """Accept connections at a listening TCP socket (attached to the message)."""


class ExpectLeg(msgspec.Struct, frozen=True, tag=True):
    """Take a connection whose peer names this key as the leg's.

    Attributes
    ----------
    leg
        Number of the leg.
    slot
        The slot of 1 ms within the cycle that it sends in.
    key
        The UUID of AudioSocket, or the parameter ``leg`` of a WebSocket's URI.
    silence
        A frame of silence: what AudioSocket is sent every cycle as long as there is nothing else to send; empty: none.
    fault
        How its peer misbehaves on purpose.
    """

    leg: int
    slot: int
    key: str
    silence: bytes = b""
    fault: PeerFault | None = None


class ConnectLeg(msgspec.Struct, frozen=True, tag=True):
    """Connect for a leg.

    Attributes
    ----------
    leg
        Number of the leg.
    slot
        The slot that it sends in.
    address, port
        Of Asterisk's HTTP server: an IPv4 or IPv6 address, since the loop must not wait for a name's.
    authority
        What the server is called in requests: its name or address, and its port.
    target
        Path of the WebSocket.
    fault
        How its peer misbehaves on purpose.
    """

    leg: int
    slot: int
    address: str
    port: int
    authority: str
    target: str
    fault: PeerFault | None = None


class StartLeg(msgspec.Struct, frozen=True, tag=True):
    """Send a stream: one frame per cycle, in the leg's slot.

    Attributes
    ----------
    leg
        Number of the leg.
    slot
        The slot of 1 ms within the cycle.
    frame_offset, frame_count, frame_bytes
        The audio in :attr:`StreamMemory.frames`: so many frames of so many bytes, one a turn.
    packets
        The stream ends by itself after so many frames.
    nonce
        The run's number in probes; None to send frames whole, without a probe.
    swapped
        Whether the wire has the two bytes of each sample the other way round than the codec: probes too, then.
    kind
        What AudioSocket calls such audio.
    audio_turn
        The turn in which the first frame is due; 0 for legs that all say the same at the same time.
    """

    leg: int
    slot: int
    frame_offset: int
    frame_count: int
    frame_bytes: int
    packets: int
    nonce: int | None
    swapped: bool
    kind: int
    audio_turn: int = 0


class PlayLeg(msgspec.Struct, frozen=True, tag=True):
    """Let a leg that sends say something else from its next turn on, from the first frame of that."""

    leg: int
    frame_offset: int
    frame_count: int


Command = Listen | ExpectLeg | ConnectLeg | StartLeg | PlayLeg | StopLeg | ForgetLeg | Stall
