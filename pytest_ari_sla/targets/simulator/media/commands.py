"""What the simulator and its media process tell each other, over a :class:`~pytest_ari_sla.children.channel.Channel`.

A leg is one end of media; the simulator numbers them. Sockets come with the message.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = [
    "Bridge",
    "CloseLeg",
    "Command",
    "Echo",
    "Idle",
    "LegNews",
    "Mute",
    "OpenAudioSocket",
    "OpenLocal",
    "OpenRtp",
    "OpenWebSocket",
    "Play",
    "SendDigit",
    "SetFaults",
    "StopPlaying",
]


class _Message(msgspec.Struct, frozen=True, tag=True):
    """Something to do."""


class OpenRtp(_Message, frozen=True):
    """Let a leg begin on a bound UDP socket, which comes with this, and send to ``host`` and ``port``."""

    leg: int
    payload_format: str
    host: str
    port: int


class OpenAudioSocket(_Message, frozen=True):
    """Let a channel's leg begin on a connection that comes with this."""

    leg: int
    channel: str
    payload_format: str
    uuid: bytes


class OpenWebSocket(_Message, frozen=True):
    """Let a channel's leg begin on a WebSocket after its handshake; ``received`` is what has followed that."""

    leg: int
    channel: str
    is_client: bool
    received: bytes
    options: dict[str, Any]


class OpenLocal(_Message, frozen=True):
    """Let two legs begin, each of which hears what the other one is to say."""

    near: int
    far: int
    payload_format: str


class CloseLeg(_Message, frozen=True):
    """Let a leg end."""

    leg: int


class SendDigit(_Message, frozen=True):
    """Send a digit."""

    leg: int
    digit: str


class Idle(_Message, frozen=True):
    """Let a leg neither echo nor hear anybody."""

    leg: int


class Echo(_Message, frozen=True):
    """Let a leg send back what it receives."""

    leg: int


class Bridge(_Message, frozen=True):
    """Join exactly these legs."""

    bridge: str
    legs: list[int]


class Mute(_Message, frozen=True):
    """Let nothing come in or go out, or do again."""

    leg: int
    incoming: bool
    outgoing: bool


class Play(_Message, frozen=True):
    """Send a prompt."""

    leg: int
    prompt: str


class StopPlaying(_Message, frozen=True):
    """End the prompt."""

    leg: int


class SetFaults(_Message, frozen=True):
    """Let these faults be shown from now on: the values of :class:`~pytest_ari_sla.targets.simulator.faults.Faults`."""

    values: dict[str, Any]


Command = (
    OpenRtp
    | OpenAudioSocket
    | OpenWebSocket
    | OpenLocal
    | CloseLeg
    | SendDigit
    | Idle
    | Echo
    | Bridge
    | Mute
    | Play
    | StopPlaying
    | SetFaults
)


class LegNews(msgspec.Struct, frozen=True):
    """What the media process tells: what a peer wants of its channel, or that it has gone (``MediaEngine.told``)."""

    word: str
    channel: str
