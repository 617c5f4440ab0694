"""The legs that say the same in one slot: their frames are put together at once, and sent one by one."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import default_rng  # loaded here: NumPy itself would do it when a leg starts, in its slot

from pytest_ari_sla.media.loop.memory import Gauge
from pytest_ari_sla.rtp.probe import MAGIC, PROBE_BYTES
from pytest_ari_sla.stream_media.memory import StreamGauge
from pytest_ari_sla.udp.batched import make_stream_writer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.stream_media.commands import StartLeg
    from pytest_ari_sla.stream_media.loop.link import LinkTable
    from pytest_ari_sla.stream_media.memory import StreamMemory

__all__ = ["GROUP_CAPACITY", "DepartureLog", "SendGroup", "kind_of"]

GROUP_CAPACITY = 128
_MASK_BYTES = 4
_NUMBER = struct.Struct(">I")
_NEVER = 1 << 62
_DEPARTURES = int(StreamGauge.DEPARTURES)


def kind_of(start: StartLeg, header: bytes) -> tuple[object, ...]:
    """Return what streams must have in common to be in one group."""
    audio = (start.frame_offset, start.frame_count, start.frame_bytes, start.audio_turn)
    return start.nonce is None, start.swapped, header, *audio


class DepartureLog:
    """Writes down what became of each frame; the only one that does.

    Parameters
    ----------
    memory
        Where it is written.
    """

    def __init__(self, memory: StreamMemory) -> None:
        self._memory = memory
        self._streams = memory.streams.data
        self._window, self._rows = memory.layout.window, memory.layout.log_rows
        self._due_ns, self._sent_ns = memory.departures["due_ns"], memory.departures["sent_ns"]

    def note(self, turn: int, due_ns: int, legs: NDArray[np.intp], sent_ns: NDArray[np.int64]) -> None:
        """Log what became of these legs' frames of a turn: when each left; 0 where it did not."""
        self._memory.sent_ns[turn % self._window, legs] = sent_ns
        head, count = self._streams[_DEPARTURES], len(sent_ns)
        first = head % self._rows
        split = min(count, self._rows - first)
        self._due_ns[first : first + split] = due_ns
        self._sent_ns[first : first + split] = sent_ns[:split]
        if split < count:
            self._due_ns[: count - split] = due_ns
            self._sent_ns[: count - split] = sent_ns[split:]
        self._streams[_DEPARTURES] = head + count  # the head behind what it announces
        if np.count_nonzero(sent_ns) < count:
            self._memory.legs["unsent"][legs[sent_ns == 0]] += 1
            self._memory.gauges[Gauge.NOT_SENT] += int(np.count_nonzero(sent_ns == 0))

    def withdraw(self, turn: int, legs: NDArray[np.intp]) -> None:
        """Note that these legs' frames of a turn did not leave, and that this is not ours to explain."""
        self._memory.sent_ns[turn % self._window, legs] = 0
        self._memory.legs["unsent"][legs] += 1


class SendGroup:
    """Streams that send the same audio at the same time.

    Parameters
    ----------
    memory
        Where the send log is kept and the audio lies.
    table
        Whose connection takes a frame.
    like
        A stream of the group: all others have the same audio and kind of payload.
    header
        What stands before each frame; of masked ones the last four bytes are the mask's place.
    masked
        Whether frames are masked, each with a key of its own.

    Attributes
    ----------
    count
        Streams in it.
    ending_turn
        The turn in which the next one of them ends.
    kind
        See :func:`kind_of`.
    """

    def __init__(self, memory: StreamMemory, table: LinkTable, like: StartLeg, header: bytes, *, masked: bool) -> None:
        self.kind = kind_of(like, header)
        self._memory = memory
        self._table = table
        self._log = DepartureLog(memory)
        self._epoch_ns = int(memory.gauges[Gauge.EPOCH_NS])
        self._like = like
        self._header_bytes = len(header)
        self._masked = masked
        width = len(header) + like.frame_bytes
        # Frames are masked as 32-bit words: the place of each is rounded up to whole ones.
        words = -(-like.frame_bytes // _MASK_BYTES)
        self._frames = np.zeros((GROUP_CAPACITY, words * _MASK_BYTES), np.uint8)
        self._rows = np.zeros((GROUP_CAPACITY, width), np.uint8)
        # all frames of a group are equally long, so their header is written once
        self._rows[:, : len(header)] = np.frombuffer(header, np.uint8)
        self._width = width
        self._writer = make_stream_writer(self._rows)
        self._random = default_rng()
        self._order: list[int] = []
        self._legs = np.zeros(GROUP_CAPACITY, np.intp)
        self._end_turns = np.full(GROUP_CAPACITY, _NEVER)
        self._prepared_turn = -1
        self.count = 0
        self.ending_turn = _NEVER

    def add(self, start: StartLeg, end_turn: int) -> None:
        """Add a stream."""
        row = self.count
        if start.nonce is not None:
            own = struct.pack(">III", MAGIC, start.nonce, start.leg)
            self._frames[row, : len(own)] = np.frombuffer(self._on_the_wire(own), np.uint8)
        self._order.append(start.leg)
        self._legs[row] = start.leg
        self._end_turns[row] = end_turn
        self.count += 1
        self.ending_turn = min(self.ending_turn, end_turn - 1)
        self._prepared_turn = -1

    def _on_the_wire(self, data: bytes) -> bytes:
        """Return bytes with those of each sample in the wire's order."""
        if not self._like.swapped:
            return data
        return np.frombuffer(data, np.uint16).byteswap().tobytes()

    def remove(self, leg: int) -> None:
        """Take a stream out; the last one moves to its place."""
        row, last = int(np.flatnonzero(self._legs[: self.count] == leg)[0]), self.count - 1
        for array in (self._frames, self._legs, self._end_turns):
            array[row] = array[last]
        self._order[row] = self._order[last]
        self._order.pop()
        self.count = last
        self.ending_turn = int(self._end_turns[:last].min(initial=_NEVER)) - 1
        self._prepared_turn = -1

    def prepare(self, turn: int) -> None:
        """Put the frames of a turn together; :meth:`send` does it where this was not called."""
        like, count = self._like, self.count
        at = like.frame_offset + (turn - like.audio_turn) % like.frame_count * like.frame_bytes
        audio = self._memory.frames[at : at + like.frame_bytes]
        probed = 0
        if like.nonce is not None:
            number = self._on_the_wire(_NUMBER.pack(turn & 0xFFFFFFFF))
            self._frames[:count, PROBE_BYTES - _NUMBER.size : PROBE_BYTES] = np.frombuffer(number, np.uint8)
            probed = PROBE_BYTES
        self._frames[:count, probed : like.frame_bytes] = audio[probed:]
        frames = self._frames[:count]
        if self._masked:
            # A fresh key for each frame (RFC 6455, 5.3). One that cannot be guessed serves proxies alone (10.3).
            masks = self._random.integers(0, 1 << 32, (count, 1), np.uint32)
            self._rows[:count, self._header_bytes - _MASK_BYTES : self._header_bytes] = masks.view(np.uint8)
            frames = (frames.view(np.uint32) ^ masks).view(np.uint8)
        self._rows[:count, self._header_bytes :] = frames[:, : like.frame_bytes]
        self._prepared_turn = turn

    def send(self, turn: int, due_ns: int) -> None:
        """Send a frame of every stream whose connection takes it, and note what became of each."""
        if turn != self._prepared_turn:
            self.prepare(turn)
        writable = self._table.writable
        handed_ns, taken = self._writer.write([writable[leg] for leg in self._order], time.monotonic_ns)
        sent_ns = np.array(handed_ns, np.int64) + self._epoch_ns
        legs = self._legs[: self.count]
        if taken.count(self._width) == self.count:  # nearly always
            self._log.note(turn, due_ns, legs, sent_ns)
            return
        theirs = [self._is_theirs(row, taken[row], sent_ns) for row in range(self.count)]
        ours = ~np.array(theirs)
        self._log.note(turn, due_ns, legs[ours], sent_ns[ours])
        self._log.withdraw(turn, legs[~ours])

    def _is_theirs(self, row: int, taken: int, sent_ns: NDArray[np.int64]) -> bool:
        """Whether a frame did not leave because Asterisk holds it up, or has closed; counts what we are to be told.

        One that did not leave is noted as such in ``sent_ns``; of one that was taken in part, the rest follows.
        """
        link = self._table.of_leg.get(self._order[row])
        if taken == self._width:
            return False
        if link is not None and 0 <= taken:
            # Half a frame would put all that follows out of step; a copy, since the row is the next turn's.
            link.keep(self._rows[row, taken:].tobytes())
            return False
        sent_ns[row] = 0
        # The write failed on a connection that looks well: it has been closed by the peer, and no read has told yet.
        if link is not None and link.is_ready and link.control.may_send and not link.is_alive():
            return True
        streams = self._memory.streams
        if link is None or link.is_closed or link.conversation.ended or not link.conversation.is_open:
            return True
        if not link.control.may_send:
            streams[StreamGauge.HELD_FRAMES] += 1
            return True
        streams[StreamGauge.UNWRITTEN_FRAMES] += 1
        return False

    def skip(self, turn: int, due_ns: int) -> None:
        """Let a turn pass unsent, because it is too late for it."""
        self._log.note(turn, due_ns, self._legs[: self.count], np.zeros(self.count, np.int64))

    def take_ended(self, turn: int) -> list[int]:
        """Take out the streams that have no turn after this one, and return their legs."""
        ended: list[int] = self._legs[: self.count][self._end_turns[: self.count] <= turn + 1].tolist()
        for leg in ended:
            self.remove(leg)
        return ended
