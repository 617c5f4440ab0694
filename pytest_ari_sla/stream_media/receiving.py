"""From sockets to the ring: reads that are one whole frame are taken apart many at once, all others one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.framing.media_events import QueueStatus
from pytest_ari_sla.framing.plain_frames import unmask
from pytest_ari_sla.media.loop_memory import Gauge
from pytest_ari_sla.stream_media.memory import StreamGauge
from pytest_ari_sla.udp.batched import make_receiver
from pytest_ari_sla.udp.datagrams import DatagramMemory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.media.stamp_clock import StampClock
    from pytest_ari_sla.stream_media.link import Link
    from pytest_ari_sla.stream_media.memory import StreamMemory

__all__ = ["FrameReceiver"]

READ_BYTES = 8192
_READS = 256
_RING_HEAD, _RING_TAIL = int(Gauge.RING_HEAD), int(Gauge.RING_TAIL)


class FrameReceiver:
    """Reads from links into the ring; the only one that writes it.

    Parameters
    ----------
    memory
        Where the ring is.
    clock
        Follows the kernel's stamps.
    """

    def __init__(self, memory: StreamMemory, clock: StampClock) -> None:
        self._memory = memory
        self._clock = clock
        self._gauges = memory.gauges.data
        self._reads = DatagramMemory.allocate(_READS, READ_BYTES)
        self._receiver = make_receiver(self._reads)
        self._lengths = self._reads.length
        self._links: list[Link] = []
        self._heard: list[Link] = []

    def has_room(self, reads: int) -> bool:
        """Whether the ring takes what so many reads give; frames of merged reads come on top, and may have to go."""
        room = self._memory.layout.ring_rows - (self._gauges[_RING_HEAD] - self._gauges[_RING_TAIL])
        if room < min(reads, self._memory.layout.ring_rows // 2):
            self._gauges[Gauge.RING_FULL] += 1
            return False
        return True

    def read(self, link: Link) -> bool:
        """Read from a link once; return False where its conversation has to be heard."""
        row = len(self._links)
        try:
            received = self._receiver.receive(link.tcp, row, 1)
        except OSError:
            received = 1
            self._lengths[row] = 0
        if not received:
            return True
        if not self._lengths[row]:
            link.conversation.finish()
            return False
        self._links.append(link)
        if len(self._links) == _READS:
            self._deal()
        return True

    def finish(self) -> list[Link]:
        """Deal with all that was read; return the links whose conversations have to be heard."""
        if self._links:
            self._deal()
        heard, self._heard = self._heard, []
        return heard

    def _deal(self) -> None:
        links, self._links = self._links, []
        count = len(links)
        arrival_ns = self._arrival_ns(count)
        data, lengths = self._reads.data[:count], self._lengths[:count].astype(np.int64)
        like = links[0].conversation
        found = like.find_plain(data, lengths)
        for link in links:
            link.frames_seen += 1
        takes = np.fromiter((link.conversation.takes_plain for link in links), bool, count)
        plain = found.is_plain & takes & (found.size <= self._memory.layout.frame_width)
        wanted = plain & np.fromiter((link.is_heard for link in links), bool, count)
        for offset in np.unique(found.offset[wanted]).tolist():
            rows = np.flatnonzero(wanted & (found.offset == offset))
            width = int(found.size[rows].max())
            read = data[rows, : offset + width]
            payload = unmask(read, offset) if like.gets_masked_frames else read[:, offset:]
            self._put([links[row] for row in rows.tolist()], payload, found.size[rows], arrival_ns[rows])
        for row in np.flatnonzero(~plain).tolist():
            self._take_apart(links[row], data[row, : lengths[row]].tobytes(), int(arrival_ns[row]))

    def _arrival_ns(self, count: int) -> NDArray[np.int64]:
        stamps_ns = self._reads.arrival_ns(slice(0, count))
        if not self._clock.was_set_lately:
            return stamps_ns - self._clock.step_ns
        drained_ns = int(self._memory.streams[StreamGauge.DRAINED_NS])
        return stamps_ns - self._clock.steps_at(stamps_ns, drained_ns)

    def _put(
        self, links: list[Link], payload: NDArray[np.uint8], size: NDArray[np.int64], arrival_ns: NDArray[np.int64]
    ) -> None:
        memory = self._memory
        head = self._gauges[_RING_HEAD]
        room = memory.layout.ring_rows - (head - self._gauges[_RING_TAIL])
        count = min(len(links), room)
        memory.streams[StreamGauge.MALFORMED] += len(links) - count
        rows = (head + np.arange(count)) % memory.layout.ring_rows
        memory.ring_data[rows, : payload.shape[1]] = payload[:count]
        memory.ring["arrival_ns"][rows] = arrival_ns[:count]
        memory.ring["leg"][rows] = [link.leg for link in links[:count]]
        memory.ring["length"][rows] = size[:count]
        memory.ring["place"][rows] = [link.place for link in links[:count]]
        for link in links[:count]:
            link.place += 1
        self._gauges[_RING_HEAD] = head + count

    def _take_apart(self, link: Link, data: bytes, arrival_ns: int) -> None:
        conversation = link.conversation
        conversation.receive(data)
        frames = [frame for frame in conversation.frames if len(frame) <= self._memory.layout.frame_width]
        self._memory.streams[StreamGauge.MALFORMED] += len(conversation.frames) - len(frames)
        self._memory.streams[StreamGauge.MERGED_READS] += len(frames) > 1
        conversation.frames.clear()
        if link.is_heard:
            for frame in frames:
                row = np.frombuffer(frame, np.uint8)[None]
                self._put([link], row, np.array([len(frame)]), np.array([arrival_ns]))
        self._heard.append(link)

    def take_text(self, link: Link, text: bytes) -> None:
        """Take what Asterisk has said beside the media."""
        event = link.control.take(text)
        if isinstance(event, QueueStatus):
            memory = self._memory
            head = int(memory.streams[StreamGauge.STATUSES])
            row = head % memory.layout.log_rows
            memory.statuses[row] = (self._clock.now_ns(), link.leg, event.queue_length)
            memory.streams[StreamGauge.STATUSES] = head + 1

    def count_faults(self, link: Link) -> None:
        """Count what a peer has done wrong, when its connection ends."""
        self._memory.streams[StreamGauge.MALFORMED] += sum(link.conversation.faults.values())
