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

    from numpy.typing import NDArray

    from pytest_ari_sla.load.media_commands import StartLeg
    from pytest_ari_sla.load.media_memory import MediaMemory

__all__ = ["SendGroup"]

_PACKET_HEAD = np.dtype([("header", RTP_HEADER), ("probe", PROBE)])
_STREAM = np.dtype(
    [
        ("leg", "i8"),
        ("number", "i8"),
        ("packets", "i8"),
        ("sequence", "u2"),
        ("timestamp", "u4"),
        ("ticks", "u4"),
        ("frame", "i8"),
        ("first_frame", "i8"),
        ("end_frame", "i8"),
        ("frame_bytes", "i8"),
        ("tail_bytes", "i8"),
    ]
)
"""What changes from packet to packet of a stream, and what it changes by; ``frame`` is an offset into the audio."""

_MARKER = 0x80
_NEVER = 1 << 62


class SendGroup:
    """Prebuilt packets of many streams; each send rewrites only what differs from the last packet.

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
        self._streams = np.zeros(capacity, _STREAM)
        self._sender = make_sender(self._packets, tails=True)
        self._fraction = np.zeros(0)
        self._fresh = False
        self._turns_left = _NEVER
        self.count = 0
        self._slice()

    def _slice(self) -> None:
        """Take views of the rows in use; once per change of membership, not per send."""
        rows = slice(self.count)
        streams, heads = self._streams[rows], self._heads[rows]
        self._leg, self._number = streams["leg"], streams["number"]
        self._sequence, self._timestamp, self._ticks = streams["sequence"], streams["timestamp"], streams["ticks"]
        self._frame, self._frame_bytes = streams["frame"], streams["frame_bytes"]
        self._first_frame, self._end_frame = streams["first_frame"], streams["end_frame"]
        self._tail_offset = streams["frame_bytes"] - streams["tail_bytes"]
        self._tail_bytes = streams["tail_bytes"].copy()
        self._header_sequence = heads["header"]["sequence"]
        self._header_timestamp = heads["header"]["timestamp"]
        self._probe_number = heads["probe"]["number"]
        # The kernel takes the packets of a batch one after the other: each is stamped with its share of the call.
        self._fraction = (np.arange(self.count) + 1.0) / max(1, self.count)
        self._turns_left = int((streams["packets"] - self._number).min(initial=_NEVER))

    def sends_by(self, sending: socket.socket) -> bool:
        """Whether this is the socket that the group sends by."""
        return self._socket is sending

    def add(self, start: StartLeg) -> None:
        """Add a stream; it sends from the next turn of the group on."""
        row = self.count
        probe_bytes = 0 if start.nonce is None else PROBE.itemsize
        header, probe = self._heads["header"], self._heads["probe"]
        header["flags"][row], header["marker_and_type"][row] = PLAIN_FLAGS, _MARKER | start.payload_type
        header["ssrc"][row] = start.ssrc
        probe["magic"][row], probe["nonce"][row], probe["leg"][row] = MAGIC, start.nonce or 0, start.leg
        self._packets.length[row] = RTP_HEADER.itemsize + probe_bytes
        self._packets.address["host"][row], self._packets.address["port"][row] = host_number(start.host), start.port
        end = start.frame_offset + start.frame_count * start.frame_bytes
        # Legs that start together must not all play the same frame at once: they begin at different places.
        frame = start.frame_offset + start.leg * 7 % start.frame_count * start.frame_bytes
        self._streams[row] = (
            start.leg,
            0,
            start.packets,
            start.first_sequence,
            start.first_timestamp,
            start.ticks,
            frame,
            start.frame_offset,
            end,
            start.frame_bytes,
            start.frame_bytes - probe_bytes,
        )
        self.count += 1
        self._fresh = True
        self._slice()

    def remove(self, leg: int) -> None:
        """Take a stream out; the last one moves to its place."""
        row = int(np.flatnonzero(self._leg == leg)[0])
        last = self.count - 1
        self._streams[row] = self._streams[last]
        self._heads[row] = self._heads[last]
        self._packets.length[row] = self._packets.length[last]
        self._packets.address[row] = self._packets.address[last]
        self.count = last
        self._slice()

    def send(self, due_ns: int) -> tuple[int, int, int]:
        """Send a packet of every stream.

        Parameters
        ----------
        due_ns
            When the schedule wanted them to leave, ns since the Unix epoch.

        Returns
        -------
        Packets that left, and how many ns after ``due_ns`` the first and the last of them did.
        """
        self._header_sequence[...] = self._sequence
        self._header_timestamp[...] = self._timestamp
        self._probe_number[...] = self._number
        self._sender.point_tails(self.count, self._memory.frames, self._frame + self._tail_offset, self._tail_bytes)
        began_ns = time.time_ns()
        refused = self._send_all()
        elapsed_ns = time.time_ns() - began_ns
        stamps = (self._fraction * elapsed_ns).astype(np.int64)
        stamps += began_ns
        first_late_ns, last_late_ns = int(stamps[0]) - due_ns, began_ns + elapsed_ns - due_ns
        self._log(due_ns, stamps, refused)
        if self._fresh:
            self._settle_fresh(due_ns)
        return self.count - len(refused), first_late_ns, last_late_ns

    def _send_all(self) -> list[int]:
        """Send every row; return those that the kernel refused, having gone on behind each."""
        refused = []
        row = self._sender.send(self._socket, self.count)
        while row < self.count:
            refused.append(row)
            row += 1
            if row < self.count:
                row += self._sender.send(self._socket, self.count, row)
        return refused

    def _log(self, due_ns: int, stamps_ns: NDArray[np.int64], refused: list[int]) -> None:
        memory = self._memory
        stamps_ns[refused] = 0
        column = self._number & self._mask
        memory.sent_ns[self._leg, column] = stamps_ns
        memory.intended_ns[self._leg, column] = due_ns
        memory.sent[self._leg] += stamps_ns != 0
        self._step()

    def skip(self, due_ns: int) -> int:
        """Let a turn pass unsent, because it is too late for it; return how many packets that are."""
        column = self._number & self._mask
        self._memory.sent_ns[self._leg, column] = 0
        self._memory.intended_ns[self._leg, column] = due_ns
        self._step()
        if self._fresh:
            self._settle_fresh(due_ns)
        return self.count

    def _step(self) -> None:
        self._number += 1
        self._sequence += 1
        self._timestamp += self._ticks
        self._frame += self._frame_bytes
        np.copyto(self._frame, self._first_frame, where=self._frame >= self._end_frame)
        self._memory.due[self._leg] = self._number
        self._turns_left -= 1

    def take_ended(self) -> list[int]:
        """Take out the streams that have sent all their packets, and return their legs; usually none."""
        if self._turns_left > 0:
            return []
        ended: list[int] = self._leg[self._number >= self._streams["packets"][: self.count]].tolist()
        for leg in ended:
            self.remove(leg)
        return ended

    def _settle_fresh(self, due_ns: int) -> None:
        """Note when streams began, and take the marker off behind their first packet (RFC 3551, 4.1)."""
        self._memory.started_ns[self._leg[self._number == 1]] = due_ns
        self._heads["header"]["marker_and_type"][: self.count] &= 0x7F
        self._fresh = False
