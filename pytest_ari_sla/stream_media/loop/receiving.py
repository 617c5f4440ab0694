"""From sockets to the ring: reads that are whole frames are taken apart many at once, all others one by one."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.framing.media_events import QueueStatus
from pytest_ari_sla.framing.plain_frames import unmask
from pytest_ari_sla.media.loop.memory import Gauge
from pytest_ari_sla.stream_media.loop.link import Route
from pytest_ari_sla.stream_media.memory import StreamGauge
from pytest_ari_sla.udp.batched import make_stream_reader
from pytest_ari_sla.udp.datagrams import DatagramMemory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytest_ari_sla.stream_media.loop.link import Link, LinkTable
    from pytest_ari_sla.stream_media.memory import StreamMemory
    from pytest_ari_sla.udp.stamp_clock import StampClock

__all__ = ["FrameReceiver"]

READ_BYTES = 8256
"""Not a power of two: rows that lie so far apart would all fall into the same few lines of the cache."""
_READS = 256
_RING_HEAD, _RING_TAIL = int(Gauge.RING_HEAD), int(Gauge.RING_TAIL)
_RING, _CONVERSATION = int(Route.RING), int(Route.CONVERSATION)
_DRAINED_NS, _MERGED_READS = int(StreamGauge.DRAINED_NS), int(StreamGauge.MERGED_READS)


class FrameReceiver:
    """Reads from links into the ring; the only one that writes it.

    Parameters
    ----------
    memory
        Where the ring is.
    clock
        Follows the kernel's stamps.
    links
        All connections, by their descriptors.
    table
        The same as columns.
    """

    def __init__(self, memory: StreamMemory, clock: StampClock, links: Mapping[int, Link], table: LinkTable) -> None:
        self._memory = memory
        self._clock = clock
        self._connections = links
        self._table = table
        self._gauges = memory.gauges.data
        self._streams = memory.streams.data
        self._columns = {name: memory.ring[name] for name in ("arrival_ns", "leg", "place", "length")}
        self._width = memory.layout.frame_width
        self._rows = memory.layout.ring_rows
        self._reads = DatagramMemory.allocate(_READS, READ_BYTES)
        self._reader = make_stream_reader(self._reads)

    def has_room(self, reads: int) -> bool:
        """Whether the ring takes what so many reads give; frames of merged reads come on top, and may have to go."""
        room = self._rows - (self._gauges[_RING_HEAD] - self._gauges[_RING_TAIL])
        if room < min(reads, self._rows // 2):
            self._gauges[Gauge.RING_FULL] += 1
            return False
        return True

    def read(self, descriptors: list[int]) -> list[Link]:
        """Read from links, once each; return those whose conversations have to be heard."""
        heard: list[Link] = []
        for first in range(0, len(descriptors), _READS):
            heard += self._read(descriptors[first : first + _READS])
        return heard

    def _read(self, descriptors: list[int]) -> list[Link]:
        lengths = self._reader.read(descriptors)
        at = np.array(descriptors)
        data = self._reads.data[: len(at)]
        arrival_ns = self._arrival_ns(len(at))
        conversation = self._connections[descriptors[0]].conversation
        # Nearly always all reads are one whole frame of one size: then there is no work for each of them.
        payload = conversation.payload_of_alike(data, lengths)
        if payload is not None and payload.shape[1] <= self._width and (self._table.route[at] == _RING).all():
            self._put(at, payload, arrival_ns)
            return []
        return self._sort(at, data, lengths, arrival_ns)

    def _sort(
        self,
        at: NDArray[np.intp],
        data: NDArray[np.uint8],
        lengths: NDArray[np.int64],
        arrival_ns: NDArray[np.int64],
    ) -> list[Link]:
        """Take reads that differ; return the links whose conversations have to be heard."""
        table, conversation = self._table, self._connections[int(at[0])].conversation
        found = conversation.find_plain(data, lengths)
        plain = (found.count > 0) & (table.route[at] != _CONVERSATION) & (found.size <= self._width)
        table.seen[at] += lengths > 0
        rows = np.flatnonzero(plain & (table.route[at] == _RING))
        while len(rows):
            offset, size, count = (int(column[rows[0]]) for column in (found.offset, found.size, found.count))
            alike = (found.offset[rows] == offset) & (found.size[rows] == size) & (found.count[rows] == count)
            chosen, rows = rows[alike], rows[~alike]
            self._streams[_MERGED_READS] += len(chosen) * (count > 1)
            # After a delay reads hold several frames each: one by one they would cost more than the time there is.
            read = data[chosen, : count * (offset + size)].reshape(-1, offset + size)
            payload = unmask(read, offset) if conversation.gets_masked_frames else read[:, offset:]
            if count == 1:
                self._put(at[chosen], payload, arrival_ns[chosen])
            else:
                ahead = np.tile(np.arange(count), len(chosen))
                self._put(at[chosen].repeat(count), payload, arrival_ns[chosen].repeat(count), ahead)
        others = np.flatnonzero(~plain).tolist()
        taken = (self._take_row(row, int(at[row]), int(lengths[row]), int(arrival_ns[row])) for row in others)
        return [link for link in taken if link is not None]

    def _take_row(self, row: int, descriptor: int, length: int, arrival_ns: int) -> Link | None:
        """Take a read that is not one whole frame; return its link, unless nothing came of it."""
        link = self._connections[descriptor]
        if length > 0:
            self._take_apart(link, self._reads.data[row, :length].tobytes(), arrival_ns)
        # -1: the reader does not tell EAGAIN from an error, so the socket is asked.
        elif length == 0 or not link.is_alive():
            link.conversation.finish()
        else:
            return None
        return link

    def _arrival_ns(self, count: int) -> NDArray[np.int64]:
        stamps_ns, drained_ns = self._reads.arrival_ns(slice(0, count)), self._streams[_DRAINED_NS]
        self._clock.now_ns()  # after they were read: it may have been set while they were
        if not self._clock.was_set_since(drained_ns):
            return stamps_ns - self._clock.step_ns
        self._gauges[Gauge.CLOCK_STEPS] = self._clock.steps
        return stamps_ns - self._clock.steps_at(stamps_ns, drained_ns)

    def _put(
        self,
        at: NDArray[np.intp],
        payload: NDArray[np.uint8],
        arrival_ns: NDArray[np.int64],
        ahead: NDArray[np.intp] | int = 0,
    ) -> None:
        """Put frames into the ring, as far as it has room.

        Parameters
        ----------
        at, payload, arrival_ns
            Of each frame: its connection, what it holds, and when it came.
        ahead
            How many others here are the same connection's, and come before it.
        """
        head = self._gauges[_RING_HEAD]
        count = min(len(at), self._rows - (head - self._gauges[_RING_TAIL]))
        first = head % self._rows
        split = min(count, self._rows - first)
        place = self._table.place[at] + ahead
        self._write(slice(first, first + split), at, place, payload[:split], arrival_ns)
        if split < len(at):
            self._streams[StreamGauge.NO_ROOM] += len(at) - count
            rest = slice(split, count)
            self._write(slice(count - split), at[rest], place[rest], payload[rest], arrival_ns[rest])
        self._table.place[at] = place + 1  # of several for one connection, the last one stays
        self._gauges[_RING_HEAD] = head + count

    def _write(
        self,
        rows: slice,
        at: NDArray[np.intp],
        place: NDArray[np.int64],
        payload: NDArray[np.uint8],
        arrival_ns: NDArray[np.int64],
    ) -> None:
        """Write the first frames into rows of the ring that follow each other, as many as there are payloads."""
        columns, count = self._columns, len(payload)
        self._memory.ring_data[rows, : payload.shape[1]] = payload
        columns["arrival_ns"][rows] = arrival_ns[:count]
        columns["leg"][rows] = self._table.leg[at[:count]]
        columns["length"][rows] = payload.shape[1]
        columns["place"][rows] = place[:count]

    def _take_apart(self, link: Link, data: bytes, arrival_ns: int) -> None:
        conversation = link.conversation
        conversation.receive(data)
        frames = [frame for frame in conversation.frames if len(frame) <= self._width]
        self._streams[StreamGauge.MALFORMED] += len(conversation.frames) - len(frames)
        self._streams[StreamGauge.MERGED_READS] += len(frames) > 1
        conversation.frames.clear()
        # By length, in their order: rows of one call must be of one size.
        for _, alike in groupby(frames if link.is_heard else [], len):
            payload = np.array([np.frombuffer(frame, np.uint8) for frame in alike])
            at = np.full(len(payload), link.descriptor)
            self._put(at, payload, np.full(len(at), arrival_ns), np.arange(len(at)))

    def take_text(self, link: Link, text: bytes) -> None:
        """Take what Asterisk has said beside the media."""
        event = link.control.take(text)
        if isinstance(event, QueueStatus):
            head = self._streams[StreamGauge.STATUSES]
            row = head % self._memory.layout.log_rows
            self._memory.statuses[row] = (self._clock.now_ns(), link.leg, event.queue_length)
            self._streams[StreamGauge.STATUSES] = head + 1

    def count_faults(self, link: Link) -> None:
        """Count what a peer has done wrong, when its connection ends."""
        self._streams[StreamGauge.MALFORMED] += sum(link.conversation.faults.values())
