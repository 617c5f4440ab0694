"""A transport that moves frames one by one, but for how they travel: what is sent when, and what is known of it.

One of your own adds :meth:`FrameTransport.take_leg`, :meth:`FrameTransport.remote_of`, and a task or thread that takes
:meth:`FrameTransport.frames_due`, carries them, and puts what comes into :attr:`FrameTransport.reader`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_ari_sla.capture.kept_packets import frame_streams
from pytest_ari_sla.media.frame_log import FrameLog, FrameQueue
from pytest_ari_sla.media.transport import TransportHealth
from pytest_ari_sla.rtp import probe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_ari_sla.capture.kept_packets import CapturedStream, KeptPackets
    from pytest_ari_sla.hookspecs.codec import Voice
    from pytest_ari_sla.media.call_media import MediaPlan
    from pytest_ari_sla.media.transport import LegEndpoint
    from pytest_ari_sla.rtp.rtcp import ReceivedReport

__all__ = ["FrameTransport"]


@dataclass
class _Stream:
    """What a leg sends: so many frames, of a voice that began with one of them; None: it was told none yet."""

    voice: Voice
    frames: int
    first_due_ns: int
    sent: int = 0
    voice_began: int | None = None


class FrameTransport:
    """Most of an :class:`~pytest_ari_sla.media.transport.OpenTransport`.

    Parameters
    ----------
    plan
        What to send.

    Attributes
    ----------
    send_log, reader
        What is known of each frame that was sent, and what has come.
    """

    probe_window = 512
    has_realtime_priority = False
    receive_buffer_bytes = 0
    pid = 0

    def __init__(self, plan: MediaPlan) -> None:
        self.plan = plan
        self._nonce = plan.nonce
        self._streams: dict[int, _Stream] = {}
        self._epoch_ns = plan.epoch_ns
        self.send_log = FrameLog(plan.legs, self.probe_window, plan.packet_time_ns)
        self.reader = FrameQueue(plan.log_of_all or self.send_log, plan, self._nonce)

    def now_ns(self) -> int:
        """Return the time by which frames are dated: ns since the Unix epoch, on a clock that nobody sets."""
        return time.monotonic_ns() + self._epoch_ns

    def frames_due(self, now_ns: int) -> Iterator[tuple[int, bytes]]:
        """Yield each leg's frame that is due by now, and note it as sent; one that is a frame time late is not sent."""
        for leg, stream in list(self._streams.items()):  # a copy: the measuring thread takes legs out
            while stream.sent < stream.frames:
                due_ns = stream.first_due_ns + stream.sent * self.plan.packet_time_ns
                if due_ns > now_ns:
                    break
                is_late = now_ns - due_ns >= self.plan.packet_time_ns
                frame = self._frame(leg, stream)
                stream.sent += 1
                self.send_log.note(leg, 0 if is_late else now_ns)
                if not is_late:
                    yield leg, frame

    def _frame(self, leg: int, stream: _Stream) -> bytes:
        frames = stream.voice.frames
        # A copy: the probe is written into it, and the voice is everybody's.
        frame = frames[(stream.sent - (stream.voice_began or 0)) % len(frames)].copy()
        if self.plan.has_probes(leg):
            probe.write(frame[None], self._nonce, leg, stream.sent)
        data: bytes = frame.tobytes()
        return data

    def is_started(self, leg: int) -> bool:
        """Whether a leg hears."""
        return leg in self._streams

    def start(self, endpoint: LegEndpoint, remote: object, frames: int) -> None:
        """Send so many frames, the first one at once."""
        del remote
        leg, now_ns = endpoint.leg, self.now_ns()
        self.send_log.begin(leg, now_ns)
        self.reader.begin(leg)
        self._streams[leg] = _Stream(self.plan.voice(leg), frames, now_ns)

    def voice_began_ns(self, endpoint: LegEndpoint) -> int:
        """Return when a leg began to say what it was last told to play; 0 where it was told nothing yet."""
        stream = self._streams[endpoint.leg]
        if stream.voice_began is None:
            return 0
        return stream.first_due_ns + stream.voice_began * self.plan.packet_time_ns

    def play(self, endpoint: LegEndpoint, voice: int) -> None:
        """Say another voice of the load from the next frame on."""
        stream = self._streams[endpoint.leg]
        stream.voice, stream.voice_began = self.plan.media.voices[voice], stream.sent

    async def stop(self, endpoint: LegEndpoint) -> None:
        """Send nothing more, but hear what is on its way."""
        if endpoint.leg in self._streams:
            self._streams[endpoint.leg].frames = 0

    def ignore(self, endpoint: LegEndpoint) -> None:
        """Hear nothing more."""
        self._streams.pop(endpoint.leg, None)

    async def give_back(self, endpoints: Sequence[LegEndpoint]) -> None:
        """Nothing is held for a leg."""

    def captured(self, endpoint: LegEndpoint, kept: KeptPackets) -> Sequence[CapturedStream]:
        """Return the audio that a leg has sent and received; there is nothing that Wireshark could open."""
        return frame_streams(kept, self.plan.voice(endpoint.leg).codec, self.plan.ticks(endpoint.leg))

    def exchange_reports(self) -> Sequence[ReceivedReport]:
        """Nobody reports."""
        return []

    def health(self) -> TransportHealth:
        """Nothing is known to go wrong."""
        return TransportHealth()

    def frames_received(self) -> int:
        """Return how many frames came and were measured."""
        return self.reader.read

    def ensure_alive(self) -> None:
        """Nothing here ends by itself."""

    def stall(self, duration_ns: int) -> None:
        """Stand still, with all of this process."""
        time.sleep(duration_ns / 1e9)
