"""Carries out how a peer misbehaves, step by step, on its connection."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from pytest_ari_sla.media.peer_faults import (
    Burst,
    Close,
    HalfClose,
    Mute,
    Reset,
    SendBytes,
    SkipAnswer,
    Speak,
    StopReading,
    Wait,
    WaitForFrame,
)

if TYPE_CHECKING:
    from pytest_ari_sla.media.peer_faults import PeerFault, Step
    from pytest_ari_sla.stream_media.loop.link import Link

__all__ = ["FaultScript"]

_RST = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing sends a RST


class FaultScript:
    """One peer's script.

    Parameters
    ----------
    link
        Its connection.
    fault
        What it does.
    now_ns
        When it begins (monotonic).
    """

    def __init__(self, link: Link, fault: PeerFault, now_ns: int) -> None:
        self.link = link
        self._steps = list(fault.steps)
        self._due_ns = now_ns
        self._place = link.frames_seen

    def go_on(self, now_ns: int) -> bool:
        """Do what is due; return whether there is more to come."""
        while self._steps and now_ns >= self._due_ns and not self.link.is_closed:
            step = self._steps[0]
            if isinstance(step, WaitForFrame) and self.link.frames_seen == self._place:
                return True
            del self._steps[0]
            self._do(step, now_ns)
        return bool(self._steps) and not self.link.is_closed

    def _do(self, step: Step, now_ns: int) -> None:
        link = self.link
        match step:
            case Wait(ms):
                self._due_ns = now_ns + ms * 1_000_000
            case Mute():
                link.is_muted = True
            case Speak():
                link.is_muted = False
            case StopReading():
                link.is_deaf = True
            case SkipAnswer():
                link.conversation.outgoing.clear()
            case HalfClose():
                link.shut(socket.SHUT_WR)
            case Reset():
                link.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
                link.wants_closing = True
            case Close():
                link.wants_closing = True
            case SendBytes(data):
                link.send(data)
            case Burst(frames):
                for _ in range(frames):
                    link.send(link.conversation.frame(bytes(link.frame_bytes), link.kind))
