"""Turns rows of the ring of stream media into packet batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.media.loop.reader import LoopReader
from pytest_ari_sla.rtp import probe
from pytest_ari_sla.rtp.packet_batch import PacketBatch
from pytest_ari_sla.stream_media.memory import StreamGauge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.media.call_media import MediaPlan
    from pytest_ari_sla.media.frame_send_log import FrameSendLog
    from pytest_ari_sla.stream_media.memory import StreamMemory

__all__ = ["StreamReader", "is_swapped"]

_BIG_ENDIAN = "slin"


def is_swapped(asterisk_format: str) -> bool:
    """Whether streams have the bytes of each sample the other way round than RTP: L16 is big-endian there."""
    return asterisk_format.startswith(_BIG_ENDIAN)


class StreamReader(LoopReader):
    """Reads frames. They have no header: sequence number and time stamp are those of a frame's place in its stream.

    Parameters
    ----------
    memory
        What the loop writes.
    plan
        Codecs of the legs, and the log of all.
    send_log
        The transport's own.
    """

    _memory: StreamMemory

    def __init__(self, memory: StreamMemory, plan: MediaPlan, send_log: FrameSendLog) -> None:
        super().__init__(memory)
        legs = range(plan.legs)
        self._send_log = plan.log_of_all or send_log
        self._nonce = plan.nonce
        self._ticks = np.array([plan.ticks(leg) for leg in legs], np.int64)
        self._payload_type = np.array([plan.voice(leg).codec.payload_type for leg in legs], np.uint8)
        self._swapped = np.array([is_swapped(plan.voice(leg).codec.asterisk_format) for leg in legs])
        self._is_heard = np.zeros(plan.legs, bool)

    def hear(self, leg: int) -> None:
        """Take frames as this leg's."""
        self._is_heard[leg] = True

    def ignore(self, leg: int) -> None:
        """Take nothing more as this leg's."""
        self._is_heard[leg] = False

    def health(self) -> tuple[int, int]:
        """Return how many connections nobody expects, and how much came that is not a frame."""
        streams = self._memory.streams
        return int(streams[StreamGauge.FOREIGN]), int(streams[StreamGauge.MALFORMED])

    def _batch(self, rows: slice, arrival_ns: NDArray[np.int64]) -> PacketBatch:
        ring = self._memory.ring[rows]
        leg, place, lengths = ring["leg"], ring["place"], ring["length"]
        payload = self._in_codecs_order(self._memory.ring_data[rows], leg)
        source_leg, turn = probe.read(payload, lengths, self._nonce, len(self._ticks))
        number, sent_ns, intended_ns = self._send_log.times_of(source_leg, turn)
        batch = PacketBatch(
            leg=leg,
            sequence=(place % (1 << 16)).astype(np.uint16),
            timestamp=(place * self._ticks[leg] % (1 << 32)).astype(np.uint32),
            ssrc=np.zeros(len(leg), np.uint32),
            payload_type=self._payload_type[leg],
            marker=np.zeros(len(leg), bool),
            arrival_ns=arrival_ns,
            source_leg=np.where(number >= 0, source_leg, np.int32(-1)),
            probe=number,
            sent_ns=sent_ns,
            intended_ns=intended_ns,
            payload=payload,
            payload_length=lengths,
        )
        is_heard = self._is_heard[leg]
        return batch if is_heard.all() else batch.select(is_heard)

    def _in_codecs_order(self, data: NDArray[np.uint8], leg: NDArray[np.int32]) -> NDArray[np.uint8]:
        """Return frames with the bytes of each sample in the codec's order."""
        swapped = self._swapped[leg]
        if not swapped.any():
            return data
        turned = data.view(np.uint16).byteswap().view(np.uint8)
        return turned if swapped.all() else np.where(swapped[:, None], turned, data)
