"""What the simulator and its media process tell each other: small messages over a socket, in order."""

from __future__ import annotations

import array
import json
import socket
from dataclasses import dataclass
from typing import Any

__all__ = ["Command", "receive_command", "send_command"]

_LARGEST = 1 << 16


@dataclass(frozen=True)
class Command:
    """A message.

    Attributes
    ----------
    name
        What is to be done: the name of a method of ``MediaEngine``. What the engine tells: see its ``told``.
    arguments
        Plain values.
    socket
        File descriptor of a socket that is handed over; -1 for none.
    """

    name: str
    arguments: list[Any]
    socket: int = -1


def send_command(channel: socket.socket, command: Command) -> None:
    """Send a message, and a socket with it."""
    text = json.dumps([command.name, command.arguments]).encode()
    if command.socket < 0:
        channel.send(text)
        return
    descriptors = array.array("i", [command.socket])
    channel.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])


def receive_command(channel: socket.socket) -> Command | None:
    """Receive a message; None if the simulator is gone.

    Raises
    ------
    BlockingIOError
        If none is waiting, on a socket that does not block.
    """
    text, descriptors, _, _ = socket.recv_fds(channel, _LARGEST, 1)
    if not text:
        return None
    name, arguments = json.loads(text)
    return Command(name, arguments, descriptors[0] if descriptors else -1)
