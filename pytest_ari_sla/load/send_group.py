"""The legs that send by one socket in one slot: one ``sendmmsg``, whatever their number."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.rtp.header import PLAIN_FLAGS
from pytest_ari_sla.rtp.probe import MAGIC, PROBE
from pytest_ari_sla.transport.batched_udp import make_burst
from pytest_ari_sla.transport.datagrams import DatagramMemory, host_number

if TYPE_CHECKING:
    import socket

    from pytest_ari_sla.load.media_commands import StartLeg
    from pytest_ari_sla.load.media_memory import MediaMemory

__all__ = ["SendGroup"]

# A packet is put together from what all legs of a group share in one turn and what is a leg's own, once for all turns:
# flags, type, sequence number and time stamp | SSRC and the probe's beginning | the probe's number and the audio.
_BEFORE = struct.Struct("!BBHI")
_OWN = np.dtype([("ssrc", ">u4"), ("magic", ">u4"), ("nonce", ">u4"), ("leg", ">u4")])
_NUMBER = struct.Struct("!I")
_SSRC_BYTES = 4
_NEVER = 1 << 62


class SendGroup:
    """Streams that send the same audio, with the same sequence number and time stamp, at the same time.

    A send writes what they share into one place and hands all packets to the kernel; its cost in Python hardly depends
    on how many there are. The marker bit stays 0: there is no silence suppression (RFC 3551, 4.1).

    Parameters
    ----------
    sending
        The socket to send by.
    capacity
        Most streams in the group.
    memory
        Where the send log is kept and the audio lies.
    like
        A stream of the group: all others have the same codec, audio and kind of payload.
    """

    def __init__(self, sending: socket.socket, capacity: int, memory: MediaMemory, like: StartLeg) -> None:
        self._socket = sending
        self._memory = memory
        self._mask = memory.layout.probe_window - 1
        self._kind = _kind_of(like)
        self._payload_type, self._ticks = like.payload_type, like.ticks
        self._frames, self._frame_bytes = like.frame_count, like.frame_bytes
        probed = like.nonce is not None
        self._number_bytes = _NUMBER.size if probed else 0
        skipped = PROBE.itemsize if probed else 0
        self._audio = memory.frames.data[like.frame_offset + skipped :]
        self._audio_bytes = like.frame_bytes - skipped
        self._before = bytearray(_BEFORE.size)
        self._after = bytearray(self._number_bytes + self._audio_bytes)
        self._packets = DatagramMemory.allocate(capacity, _OWN.itemsize if probed else _SSRC_BYTES)
        self._burst = make_burst(self._packets, self._before, self._after)
        self._places = np.arange(1, capacity + 1)
        self._legs_at = np.zeros(capacity, np.intp)
        self._end_turns = np.full(capacity, _NEVER)
        self.count = 0

    def sends_like(self, sending: socket.socket, start: StartLeg) -> bool:
        """Whether a stream goes by the group's socket and carries the same, and there is room for it."""
        return self._socket is sending and self._kind == _kind_of(start) and self.count < len(self._packets)

    def add(self, start: StartLeg, first_turn: int) -> None:
        """Add a stream that sends from this turn on."""
        row = self.count
        own = np.array((start.ssrc, MAGIC, start.nonce or 0, start.leg), _OWN).tobytes()
        self._packets.data[row] = np.frombuffer(own, np.uint8)[: self._packets.data.shape[1]]
        self._packets.address["host"][row], self._packets.address["port"][row] = host_number(start.host), start.port
        self._legs_at[row] = start.leg
        self._end_turns[row] = first_turn + start.packets
        self._memory.legs[start.leg] = (start.slot, first_turn, first_turn + start.packets, 0)
        self.count += 1
        self._slice()

    def remove(self, leg: int) -> None:
        """Take a stream out; the last one moves to its place."""
        row = int(np.flatnonzero(self._legs == leg)[0])
        last = self.count - 1
        for array in (self._packets.data, self._packets.address, self._legs_at, self._end_turns):
            array[row] = array[last]
        self.count = last
        self._slice()

    def _slice(self) -> None:
        """Take views of the rows in use; once per change of membership, not per send."""
        self._legs = self._legs_at[: self.count]
        self._place = self._places[: self.count]
        self._stamps_ns = np.zeros(self.count, np.int64)
        self._first_end = int(self._end_turns[: self.count].min(initial=_NEVER))

    def send(self, turn: int) -> int:
        """Send a packet of every stream; return how many left."""
        count = self.count
        self._write_shared(turn)
        began_ns = time.time_ns()
        sent = self._burst.send(self._socket, count)
        refused = self._send_rest(sent) if sent < count else []
        # The kernel takes the packets of a batch one after the other: each is stamped with its share of the call.
        stamps_ns = np.multiply(self._place, (time.time_ns() - began_ns) // count, out=self._stamps_ns)
        stamps_ns += began_ns
        if refused:
            stamps_ns[refused] = 0
            self._memory.legs["unsent"][self._legs[refused]] += 1
        self._memory.sent_ns[turn & self._mask][self._legs] = stamps_ns
        return count - len(refused)

    def _write_shared(self, turn: int) -> None:
        sequence, timestamp = turn & 0xFFFF, turn * self._ticks & 0xFFFFFFFF
        _BEFORE.pack_into(self._before, 0, PLAIN_FLAGS, self._payload_type, sequence, timestamp)
        if self._number_bytes:
            _NUMBER.pack_into(self._after, 0, turn & 0xFFFFFFFF)
        at = turn % self._frames * self._frame_bytes
        self._after[self._number_bytes :] = self._audio[at : at + self._audio_bytes]

    def _send_rest(self, row: int) -> list[int]:
        """Go on behind each row that the kernel refuses; return those rows."""
        refused = []
        while row < self.count:
            refused.append(row)
            row += 1
            if row < self.count:
                row += self._burst.send(self._socket, self.count, row)
        return refused

    def skip(self, turn: int) -> None:
        """Let a turn pass unsent, because it is too late for it."""
        self._memory.sent_ns[turn & self._mask][self._legs] = 0
        self._memory.legs["unsent"][self._legs] += 1

    def take_ended(self, turn: int) -> list[int]:
        """Take out the streams that have no turn after this one, and return their legs; usually none."""
        if turn + 1 < self._first_end:
            return []
        ended: list[int] = self._legs[self._end_turns[: self.count] <= turn + 1].tolist()
        for leg in ended:
            self.remove(leg)
        return ended


def _kind_of(start: StartLeg) -> tuple[object, ...]:
    """Return what streams must have in common to be in one group."""
    audio = (start.frame_offset, start.frame_count, start.frame_bytes)
    return start.payload_type, start.ticks, start.nonce is None, *audio
