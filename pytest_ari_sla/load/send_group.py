"""The legs that send by one socket in one slot: one ``sendmmsg``, whatever their number."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.rtp.header import PLAIN_FLAGS, RTP_HEADER
from pytest_ari_sla.rtp.probe import MAGIC, PROBE
from pytest_ari_sla.transport.batched_udp import make_sender
from pytest_ari_sla.transport.datagrams import DatagramMemory, host_number

if TYPE_CHECKING:
    import socket

    from pytest_ari_sla.load.media_commands import StartLeg
    from pytest_ari_sla.load.media_memory import MediaMemory

__all__ = ["SendGroup"]

_PACKET_HEAD = np.dtype([("header", RTP_HEADER), ("probe", PROBE)])
_MARKER = 0x80
_NEVER = 1 << 62


class SendGroup:
    """Prebuilt packets of many streams, all with the same sequence number, time stamp and audio.

    A send rewrites three numbers in all packets and points their tails to the next audio frame: a handful of NumPy
    calls, however many streams there are.

    Parameters
    ----------
    sending
        The socket to send by.
    capacity
        Most streams in the group.
    memory
        Where the send log is kept and the audio lies.
    """

    def __init__(self, sending: socket.socket, capacity: int, memory: MediaMemory) -> None:
        self._socket = sending
        self._memory = memory
        self._mask = memory.layout.probe_window - 1
        self._packets = DatagramMemory.allocate(capacity, _PACKET_HEAD.itemsize)
        self._heads = self._packets.data.view(_PACKET_HEAD)[:, 0]
        self._sender = make_sender(self._packets, tails=True)
        self._places = np.arange(1, capacity + 1)
        self._legs_at = np.zeros(capacity, np.intp)
        self._end_turns = np.full(capacity, _NEVER)
        self._fresh = False
        self.count = 0

    def sends_like(self, sending: socket.socket, start: StartLeg) -> bool:
        """Whether a stream goes by the group's socket and carries the same audio, and there is room for it."""
        return self._socket is sending and self.count < len(self._packets) and self._is_like(start)

    def _is_like(self, start: StartLeg) -> bool:
        return self.count == 0 or (self._ticks, self._frame_bytes) == (start.ticks, start.frame_bytes)

    def add(self, start: StartLeg, first_turn: int) -> None:
        """Add a stream that sends from this turn on."""
        row = self.count
        probe_bytes = 0 if start.nonce is None else PROBE.itemsize
        self._ticks, self._frame_bytes = start.ticks, start.frame_bytes
        self._frames, self._tail_offset = start.frame_count, start.frame_offset + probe_bytes
        header, probe = self._heads["header"], self._heads["probe"]
        header["flags"][row], header["marker_and_type"][row] = PLAIN_FLAGS, _MARKER | start.payload_type
        header["ssrc"][row] = start.ssrc
        probe["magic"][row], probe["nonce"][row], probe["leg"][row] = MAGIC, start.nonce or 0, start.leg
        self._packets.length[row] = RTP_HEADER.itemsize + probe_bytes
        self._packets.address["host"][row], self._packets.address["port"][row] = host_number(start.host), start.port
        self._sender.lay_out(row, start.frame_bytes - probe_bytes)
        self._legs_at[row] = start.leg
        self._end_turns[row] = first_turn + start.packets
        self._memory.legs[start.leg] = (start.slot, first_turn, first_turn + start.packets, 0)
        self.count += 1
        self._fresh = True
        self._slice()

    def remove(self, leg: int) -> None:
        """Take a stream out; the last one moves to its place."""
        row = int(np.flatnonzero(self._legs == leg)[0])
        last = self.count - 1
        for array in (self._heads, self._packets.length, self._packets.address, self._legs_at, self._end_turns):
            array[row] = array[last]
        self._sender.lay_out_like(row, last)
        self.count = last
        self._slice()

    def _slice(self) -> None:
        """Take views of the rows in use; once per change of membership, not per send."""
        heads = self._heads[: self.count]
        self._legs = self._legs_at[: self.count]
        self._first_end = int(self._end_turns[: self.count].min(initial=_NEVER))
        self._sequences = heads["header"]["sequence"]
        self._timestamps = heads["header"]["timestamp"]
        self._numbers = heads["probe"]["number"]
        self._place = self._places[: self.count]
        self._stamps_ns = np.zeros(self.count, np.int64)

    def send(self, turn: int) -> int:
        """Send a packet of every stream; return how many left."""
        count = self.count
        self._sequences[...] = turn & 0xFFFF
        self._timestamps[...] = turn * self._ticks & 0xFFFFFFFF
        self._numbers[...] = turn
        self._sender.point_tails(count, self._memory.frames, self._tail_of(turn))
        began_ns = time.time_ns()
        sent = self._sender.send(self._socket, count)
        refused = self._send_rest(sent) if sent < count else []
        # The kernel takes the packets of a batch one after the other: each is stamped with its share of the call.
        stamps_ns = np.multiply(self._place, (time.time_ns() - began_ns) // count, out=self._stamps_ns)
        stamps_ns += began_ns
        if refused:
            stamps_ns[refused] = 0
            self._memory.legs["unsent"][self._legs[refused]] += 1
        self._memory.sent_ns[turn & self._mask][self._legs] = stamps_ns
        if self._fresh:
            self._take_markers_off()
        return count - len(refused)

    def _tail_of(self, turn: int) -> int:
        return self._tail_offset + turn % self._frames * self._frame_bytes

    def _send_rest(self, row: int) -> list[int]:
        """Go on behind each row that the kernel refuses; return those rows."""
        refused = []
        while row < self.count:
            refused.append(row)
            row += 1
            if row < self.count:
                row += self._sender.send(self._socket, self.count, row)
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

    def _take_markers_off(self) -> None:
        """Only the first packet of a stream carries the marker (RFC 3551, 4.1)."""
        self._heads["header"]["marker_and_type"][: self.count] &= 0x7F
        self._fresh = False
