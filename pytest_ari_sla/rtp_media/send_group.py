"""The legs that send by one socket in one slot: one ``sendmmsg``, whatever their number."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.media.loop.memory import Gauge
from pytest_ari_sla.rtp.dtmf import EVENT
from pytest_ari_sla.rtp.event_frames import EVENT_FRAME_BYTES
from pytest_ari_sla.rtp.header import PLAIN_FLAGS
from pytest_ari_sla.rtp.probe import MAGIC, PROBE
from pytest_ari_sla.rtp_media.memory import BURST_PART, BURST_PARTS, BURST_RECORD
from pytest_ari_sla.rtp_media.own_audio import OwnAudio, says_its_own
from pytest_ari_sla.udp.batched import make_burst
from pytest_ari_sla.udp.datagrams import DatagramMemory, host_number

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.rtp_media.commands import StartLeg
    from pytest_ari_sla.rtp_media.memory import MediaMemory
    from pytest_ari_sla.udp.stamp_clock import StampClock

__all__ = ["GROUP_CAPACITY", "SendGroup"]

# A packet is put together from what all legs of a group share in one turn and what is a leg's own, once for all turns:
# flags, type, sequence number and time stamp | SSRC and the probe's beginning | the probe's number and the audio. Where
# each says something of its own, the audio is behind the SSRC.
_FLAGS = struct.Struct("!BB")
_CLOCKS = struct.Struct("!HI")
_OWN = np.dtype([("ssrc", ">u4"), ("magic", ">u4"), ("nonce", ">u4"), ("leg", ">u4")])
_NUMBER = struct.Struct("!I")
_SSRC_BYTES = 4
GROUP_CAPACITY = BURST_PART * BURST_PARTS
"""Most streams in a group."""

_NEVER = 1 << 62
_LONGEST_NS = (1 << 32) - 1
_PACED_FROM = 8
"""Of so many packets, what a system call takes at its end does not matter much."""
_NO_PARTS = [0] * BURST_PARTS
_SLOWEST = 2
"""A system call in which a packet takes so many times the least that one ever took was interrupted somewhere."""
_STAMPED_EVERY = 64
"""Of the turns with so many packets, one in so many has stamps: with one in eight, 500 calls left 4 ms late at p99."""


class SendGroup:
    """Streams that send with the same sequence number and time stamp, at the same time.

    All of them say the same, or each something of its own (:mod:`~pytest_ari_sla.rtp_media.own_audio`).
    What they share is written into one place, a send hands all packets to the kernel and logs one record: what it costs
    in Python does not depend on how many there are. The marker bit stays 0: there is no silence suppression (RFC 3551,
    4.1).

    The kernel takes the packets of a system call one after the other, and stamps the first of every 32 where it is
    asked to; the others have even shares of the call, but of an interruption none. Where many leave together few turns
    have stamps: in the others, the first packet is taken to have left as soon after the call's beginning as any stamped
    one did. Where the kernel stamps none, the time before the system call stands for it.

    Parameters
    ----------
    number
        Its own among the groups of the memory, whose log it keeps.
    sending
        The socket to send by.
    memory
        Where the send log is kept and the audio lies.
    like
        A stream of the group: all others have the same slot, codec, audio and kind of payload.
    capacity
        Most streams in the group.
    clock
        Knows by how much the kernel's clock was set.

    Attributes
    ----------
    number
        Its own.
    count
        Streams in it.
    ending_turn
        The turn in which the next one of them ends.
    """

    def __init__(
        self,
        number: int,
        sending: socket.socket,
        memory: MediaMemory,
        like: StartLeg,
        capacity: int,
        clock: StampClock,
    ) -> None:
        self.number = number
        self._socket = sending
        self._memory = memory
        self._mask = memory.layout.burst_window - 1
        self._clock = clock
        self._log = memory.bursts[number].view(np.uint8).data
        memory.group_slot[number] = like.slot
        self._kind = _kind_of(like)
        self._ticks, self._timestamp_offset = like.ticks, like.timestamp_offset
        self._frames, self._frame_bytes = like.frame_count, like.frame_bytes
        self._audio_turn = like.audio_turn
        probed = like.nonce is not None
        self._number_bytes = _NUMBER.size if probed else 0
        skipped = PROBE.itemsize if probed else 0
        self._audio = memory.frames.data[like.frame_offset + skipped :]
        own_bytes = like.frame_bytes if says_its_own(like) else 0
        self._audio_bytes = like.frame_bytes - skipped - own_bytes
        self._before = bytearray(_FLAGS.pack(PLAIN_FLAGS, like.payload_type)) + bytes(_CLOCKS.size)
        self._after = bytearray(self._number_bytes + self._audio_bytes)
        self._audio_place = memoryview(self._after)[self._number_bytes :]
        self._head_bytes = _OWN.itemsize if probed else _SSRC_BYTES
        self._packets = DatagramMemory.allocate(capacity, self._head_bytes + own_bytes)
        self._own_audio = OwnAudio(memory.frames, self._packets.data[:, _SSRC_BYTES:]) if own_bytes else None
        self._audio_burst = self._burst = make_burst(self._packets, self._before, self._after, sending, BURST_PART)
        self._payload_type = like.payload_type
        self._events: EventPart | None = None
        if like.event_offset >= 0:
            # A second burst: event packets have another length behind the header than audio has.
            self._events = EventPart(memory.frames.data[like.event_offset :], self._packets, self._before, sending)
        self._legs_at = np.zeros(capacity, np.intp)
        self._end_turns = np.full(capacity, _NEVER)
        self._prepared_turn = -1
        self._entry_ns = self._least_ns = 0
        self.count = 0
        self.ending_turn = _NEVER - 1

    def sends_like(self, sending: socket.socket, start: StartLeg) -> bool:
        """Whether a stream goes by the group's socket and carries the same, and there is room for it."""
        return self._socket is sending and self._kind == _kind_of(start) and self.count < len(self._packets)

    def add(self, start: StartLeg, first_turn: int) -> None:
        """Add a stream that sends from this turn on."""
        end_turn = first_turn + start.packets
        row = self._enter(start, end_turn)
        number = self.number
        record = (start.slot, first_turn, end_turn, 0, number, row, first_turn, number, row)
        self._memory.legs[start.leg] = record

    def take_over(self, start: StartLeg, next_turn: int) -> None:
        """Add a stream that another group has sent until now; :meth:`remove` has taken it out there."""
        record = self._memory.legs[start.leg]
        row = self._enter(start, int(record["end_turn"]))
        self._move(start.leg, row, next_turn)

    def _enter(self, start: StartLeg, end_turn: int) -> int:
        row = self.count
        head = np.array((start.ssrc, MAGIC, start.nonce or 0, start.leg), _OWN).tobytes()[: self._head_bytes]
        self._packets.data[row, : self._head_bytes] = np.frombuffer(head, np.uint8)
        if self._own_audio is not None:
            self._own_audio.enter(row, start)
            self._prepared_turn = -1  # its frame of this turn is still to be written
        self._packets.address["host"][row], self._packets.address["port"][row] = host_number(start.host), start.port
        self._legs_at[row] = start.leg
        self._end_turns[row] = end_turn
        self.count += 1
        self.ending_turn = min(self.ending_turn, end_turn - 1)
        return row

    def remove(self, leg: int, next_turn: int) -> None:
        """Take a stream out; the last one moves to its place from ``next_turn`` on."""
        row, last = int(self._memory.legs["place"][leg]), self.count - 1
        for array in (self._packets.data, self._packets.address, self._legs_at, self._end_turns):
            array[row] = array[last]
        if self._own_audio is not None:
            self._own_audio.move(last, row)
        if row != last:
            self._move(self._legs_at[row], row, next_turn)
        self.count = last
        self.ending_turn = int(self._end_turns[:last].min(initial=_NEVER)) - 1

    def _move(self, leg: int, place: int, next_turn: int) -> None:
        record = self._memory.legs[leg]
        if record["moved_turn"] != next_turn:  # where it moves again before it sends, it was never in between
            record["old_group"], record["old_place"] = record["group"], record["place"]
            record["moved_turn"] = next_turn
        # The place last: the send log reads it first, and so never joins a new place with an old turn.
        record["group"], record["place"] = self.number, place

    def send(self, turn: int, due_ns: int) -> int:
        """Send a packet of every stream; return how many left."""
        count = self.count
        if turn != self._prepared_turn:  # it began, or took a stream in, since turns were prepared
            self.prepare(turn)
        asks = count < _PACED_FROM or turn % _STAMPED_EVERY == 0
        self._burst.ask_for_stamps(wanted=asks)
        began_ns = self._clock.monotonic_ns()
        sent = self._burst.send(count)
        unsent = self._send_rest(sent, turn) if sent < count else 0
        took_ns = self._clock.monotonic_ns() - began_ns
        # Only now: between the two readings there is nothing but the kernel's work.
        began_ns += self._clock.epoch_ns
        stamps_ns = self._burst.stamps_ns() if asks else []
        pace_ns, parts_ns = self._spread(count, began_ns, took_ns, stamps_ns)
        row = (turn & self._mask) * BURST_RECORD.size
        BURST_RECORD.pack_into(self._log, row, turn, due_ns, began_ns, count, unsent, pace_ns, *parts_ns)
        return count - unsent

    def _spread(self, count: int, began_ns: int, took_ns: int, stamps_ns: Sequence[int]) -> tuple[int, list[int]]:
        """Return the least time that each packet of this system call took, and when the first of each part left."""
        parts = -(-count // BURST_PART)
        before_ns = began_ns + self._clock.step_ns
        left_ns = [stamp_ns - before_ns for stamp_ns in stamps_ns]
        # A stamp may be missing, come late, or be of a clock that has just been set.
        is_stamped = len(left_ns) == parts and 0 <= left_ns[0] and left_ns[-1] <= min(took_ns, _LONGEST_NS)
        if count < _PACED_FROM:
            return 0, (left_ns if is_stamped else [0] * parts) + _NO_PARTS[parts:]
        if is_stamped:
            self._entry_ns = min(self._entry_ns or left_ns[0], left_ns[0])
        entry_ns = min(self._entry_ns, took_ns)
        share_ns = (took_ns - entry_ns) // count
        # An interruption makes a call longer, never shorter: the least share is the most likely one.
        self._least_ns = min(self._least_ns or share_ns, share_ns)
        pace_ns = min(share_ns, _SLOWEST * self._least_ns)
        if not is_stamped:
            left_ns = [entry_ns + part * BURST_PART * pace_ns for part in range(parts)]
        return pace_ns, left_ns + _NO_PARTS[parts:]

    def prepare(self, turn: int) -> None:
        """Write what all packets of a turn share, unless :meth:`send` shall do it.

        After a wait for the next slot all caches are cold, and Python runs several times slower than in a row.
        """
        timestamp = turn * self._ticks + self._timestamp_offset
        _CLOCKS.pack_into(self._before, _FLAGS.size, turn & 0xFFFF, timestamp & 0xFFFFFFFF)
        if self._number_bytes:
            _NUMBER.pack_into(self._after, 0, turn & 0xFFFFFFFF)
        self._prepared_turn = turn
        if self._own_audio is not None:
            self._own_audio.write(turn, self.count)
            return
        frame = (turn - self._audio_turn) % self._frames
        at = frame * self._frame_bytes
        self._audio_place[:] = self._audio[at : at + self._audio_bytes]
        if self._events is not None:
            self._prepare_event(self._events, turn, frame)

    def _prepare_event(self, events: EventPart, turn: int, frame: int) -> None:
        """Let a telephone event be sent instead of audio, where there is one."""
        marker_and_type, frames_ago = events.take(frame)
        self._burst = events.burst if marker_and_type else self._audio_burst
        _FLAGS.pack_into(self._before, 0, PLAIN_FLAGS, marker_and_type or self._payload_type)
        timestamp = (turn - frames_ago) * self._ticks + self._timestamp_offset
        _CLOCKS.pack_into(self._before, _FLAGS.size, turn & 0xFFFF, timestamp & 0xFFFFFFFF)

    def _send_rest(self, row: int, turn: int) -> int:
        """Go on behind each row that the kernel refuses; return how many those were."""
        refused = []
        while row < self.count:
            # sendmmsg stops at an error, which is one packet's: those behind it may still leave (sendmmsg(2)).
            refused.append(row)
            row += 1
            if row < self.count:
                row += self._burst.send(self.count, row)
        self._note_unsent(turn, self._legs_at[refused])
        return len(refused)

    def skip(self, turn: int, due_ns: int) -> None:
        """Let a turn pass unsent, because it is too late for it."""
        self._note_unsent(turn, self._legs_at[: self.count])
        row = (turn & self._mask) * BURST_RECORD.size
        BURST_RECORD.pack_into(self._log, row, turn, due_ns, 0, self.count, self.count, 0, *_NO_PARTS)

    def _note_unsent(self, turn: int, legs: NDArray[np.intp]) -> None:
        row = turn & self._mask
        # k + 1: 0 is memory that nobody has written to.
        self._memory.unsent_turn[row, legs] = turn + 1 & 0xFFFFFFFF
        self._memory.legs["unsent"][legs] += 1
        self._memory.gauges[Gauge.NOT_SENT] += len(legs)

    def take_ended(self, turn: int) -> list[int]:
        """Take out the streams that have no turn after this one, and return their legs."""
        ended: list[int] = self._legs_at[: self.count][self._end_turns[: self.count] <= turn + 1].tolist()
        for leg in ended:
            self.remove(leg, turn + 1)
        return ended


class EventPart:
    """The packets of a group in which keys are pressed.

    Parameters
    ----------
    frames
        An ``EVENT_FRAME`` for each frame of the voice.
    packets, before, sending
        The group's own.

    Attributes
    ----------
    burst
        Sends them.
    """

    def __init__(self, frames: memoryview, packets: DatagramMemory, before: bytearray, sending: socket.socket) -> None:
        self._frames = frames
        self._payload = bytearray(EVENT.itemsize)
        self.burst = make_burst(packets, before, self._payload, sending, BURST_PART)

    def take(self, frame: int) -> tuple[int, int]:
        """Put a frame's event into the packets; return marker and type (0: it is audio), and how long ago it began."""
        at = frame * EVENT_FRAME_BYTES
        self._payload[:] = self._frames[at + 2 : at + 2 + EVENT.itemsize]
        return self._frames[at], self._frames[at + 1]


def _kind_of(start: StartLeg) -> tuple[object, ...]:
    """Return what streams must have in common to be in one group."""
    clocks = start.payload_type, start.ticks, start.timestamp_offset, start.frame_bytes
    if says_its_own(start):
        return clocks
    return *clocks, start.nonce is None, start.frame_offset, start.frame_count, start.event_offset, start.audio_turn
