"""What is known of every frame that a transport sends and receives one by one: a send log, and a queue to measure from.

A transport that moves frames in batches keeps books of its own (:mod:`pytest_ari_sla.rtp_media`); these serve all
others. Both have one writer, the transport, and one reader, the measuring thread.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.media.frame_send_log import Departures, LastSent
from pytest_ari_sla.rtp import probe
from pytest_ari_sla.rtp.packet_batch import PacketBatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.media.call_media import MediaPlan
    from pytest_ari_sla.media.frame_send_log import FrameSendLog

__all__ = ["FrameLog", "FrameQueue"]

_NEVER_NS = 1 << 62
_NO_FRAME = -1


class FrameLog:
    """A :class:`~pytest_ari_sla.media.transport.FrameSendLog` of frames that are noted one by one.

    Parameters
    ----------
    legs
        Number of legs.
    window
        Frames of each leg that are remembered; a power of two.
    frame_ns
        Time between two frames of a leg.
    """

    def __init__(self, legs: int, window: int, frame_ns: int) -> None:
        self._window = window
        self._frame_ns = frame_ns
        self._begin_ns = np.zeros(legs, np.int64)
        self._due = np.zeros(legs, np.int64)
        self._unsent = np.zeros(legs, np.int64)
        self._number = np.full((legs, window), _NO_FRAME, np.int64)
        self._sent_ns = np.zeros((legs, window), np.int64)
        self._judged = np.full(legs, _NEVER_NS)
        self._shown = np.ones(legs, bool)
        self._closed = np.zeros(legs, bool)
        self._departed: deque[tuple[int, int]] = deque()

    # --- the transport writes ---

    def begin(self, leg: int, due_ns: int) -> None:
        """Let a leg's first frame be due at a time (ns since the Unix epoch)."""
        self._begin_ns[leg] = due_ns
        self._due[leg] = self._unsent[leg] = 0
        self._number[leg] = _NO_FRAME
        self._judged[leg] = _NEVER_NS
        self._closed[leg], self._shown[leg] = False, True

    def note(self, leg: int, sent_ns: int) -> None:
        """Note what became of a leg's next frame: when it was sent, or 0 where it was not."""
        number = int(self._due[leg])
        column = number % self._window
        self._sent_ns[leg, column] = sent_ns
        self._number[leg, column] = number
        self._unsent[leg] += sent_ns == 0
        # Counted when all of it is written: who sees the number finds the frame.
        self._due[leg] = number + 1
        self._departed.append((int(self._begin_ns[leg]) + number * self._frame_ns, sent_ns))

    # --- trackers and the measuring thread read ---

    def sent(self) -> NDArray[np.int64]:
        """(legs,) Frames that each leg really sent, so far."""
        sent: NDArray[np.int64] = np.minimum(self._due - self._unsent, self._judged) * self._shown
        return sent

    def due(self) -> NDArray[np.int64]:
        """(legs,) Frames that each leg's schedule has called for, so far."""
        due: NDArray[np.int64] = np.minimum(self._due, self._judged) * self._shown
        return due

    def sent_by(self, legs: list[int]) -> NDArray[np.int64]:
        """(n,) Frames that these legs really sent, so far."""
        return self.sent()[legs]

    def due_by(self, legs: list[int]) -> NDArray[np.int64]:
        """(n,) Frames that these legs' schedule has called for, so far."""
        return self.due()[legs]

    def settled(self, now_ns: int | NDArray[np.int64], age_ns: int) -> NDArray[np.int64]:
        """(legs,) Number of frames of each leg that were due at least ``age_ns`` before ``now_ns``."""
        settled: NDArray[np.int64] = np.clip((now_ns - age_ns - self._begin_ns) // self._frame_ns + 1, 0, self.due())
        return settled

    def closed(self) -> NDArray[np.bool_]:
        """(legs,) Whether a leg is ending."""
        return self._closed

    def was_sent(self, legs: NDArray[np.int32], probes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether these frames were really sent; of one that is forgotten, only where its leg sent all of its own."""
        known = self._number[legs, probes % self._window] == probes
        left = self._sent_ns[legs, probes % self._window] > 0
        was_sent: NDArray[np.bool_] = np.where(known, left, self._unsent[legs] == 0)
        return was_sent

    def due_ns(self, legs: NDArray[np.int32], probes: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) When these frames were due, ns since the Unix epoch."""
        due_ns: NDArray[np.int64] = self._begin_ns[legs] + probes * self._frame_ns
        return due_ns

    def audio_start_ns(self) -> NDArray[np.int64]:
        """(legs,) When frame 0 of each leg was due; 0 for legs that have not begun."""
        return np.where(self.due() > 0, self._begin_ns, 0)

    def times_of(
        self, legs: NDArray[np.int32], probes: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Look frames up by what their probes say: (n,) senders, -1 where there is none, and numbers.

        Returns
        -------
        The number (-1 where there is no such frame), when it was sent and when it was due (0 where that is not known).
        """
        is_frame = (legs >= 0) & (probes >= 0) & (probes < self.due()[legs])
        column = probes % self._window
        known = is_frame & (self._number[legs, column] == probes)  # else the window has a later frame in its place
        return (
            np.where(is_frame, probes, _NO_FRAME),
            np.where(known, self._sent_ns[legs, column], 0),
            np.where(known, self.due_ns(legs, probes), 0),
        )

    def close(self, legs: NDArray[np.int32]) -> None:
        """Note that these legs are ending: nothing more comes for them."""
        self._closed[legs] = True

    def withdraw(self, legs: Sequence[int], first: NDArray[np.int64]) -> None:
        """Let these legs' frames from number ``first`` ((n,)) on count as never due: their call had been ended."""
        self._judged[list(legs)] = first

    def hide(self, legs: NDArray[np.int32]) -> None:
        """Let the counts of these legs be 0, until they begin again."""
        self._shown[legs] = False

    def last_sent(self, leg: int, most: int) -> LastSent:
        """Return what became of a leg's last frames, up to so many."""
        end = int(self._due[leg])
        numbers = np.arange(max(0, end - most), end)
        due_ns = self.due_ns(np.full(len(numbers), leg, np.int32), numbers)
        sent_ns = np.where(numbers >= end - self._window, self._sent_ns[leg, numbers % self._window], due_ns)
        return LastSent(int(numbers[0]) if len(numbers) else 0, sent_ns, due_ns)

    def departures(self, until_ns: int) -> Departures:
        """Return what became of every frame that was due since the last time and before ``until_ns``."""
        # as many as there are now: the transport goes on adding
        waiting = [self._departed.popleft() for _ in range(len(self._departed))]
        # back to the front, in their order
        self._departed.extendleft(reversed([one for one in waiting if one[0] >= until_ns]))
        due, sent = np.array([one for one in waiting if one[0] < until_ns], np.int64).reshape(-1, 2).T
        return Departures((sent - due)[sent > 0], int(np.count_nonzero(sent == 0)))


class FrameQueue:
    """A :class:`~pytest_ari_sla.media.transport.FrameReader` of frames that come one by one, in order of arrival.

    Frames have no header: sequence number and time stamp are those of the frame's place in its leg's stream.

    Parameters
    ----------
    log
        Of the frames that were sent, which come back here.
    plan
        Codecs and number of the legs.
    nonce
        In our probes.
    """

    def __init__(self, log: FrameSendLog, plan: MediaPlan, nonce: int) -> None:
        legs = plan.legs
        self._log = log
        self._nonce = nonce
        self._ticks = np.array([plan.ticks(leg) for leg in range(legs)], np.int64)
        self._payload_type = np.array([plan.voice(leg).codec.payload_type for leg in range(legs)], np.uint8)
        self._monotonic_ns, self._epoch_ns = plan.clock.monotonic_ns, plan.epoch_ns
        self._frames: deque[tuple[int, int, int, bytes]] = deque()
        self._count = np.zeros(legs, np.int64)
        self._known_ns = self._present_ns = 0
        self.read = 0

    def put(self, leg: int, payload: bytes, arrival_ns: int) -> None:
        """Take in a frame that a leg has received, by the transport's ``now_ns``; not earlier than the one before."""
        # A time to come, by a clock that was set, would keep all that follows from being read until then.
        arrival_ns = min(arrival_ns, self._monotonic_ns() + self._epoch_ns)
        self._frames.append((leg, int(self._count[leg]), arrival_ns, payload))
        self._count[leg] += 1

    def present(self, now_ns: int) -> None:
        """Tell that all that arrived before a time has been put in."""
        self._present_ns = now_ns

    def begin(self, leg: int) -> None:
        """Count a leg's frames from 0."""
        self._count[leg] = 0

    def look(self, *, to_the_end: bool = False) -> None:
        """Fix how far :meth:`batches` may read."""
        self._known_ns = _NEVER_NS if to_the_end else self._present_ns

    def knows(self, moment_ns: int) -> bool:
        """Whether all that arrived before a time is here, read or not."""
        return self._known_ns >= moment_ns

    def batches(self, before_ns: int) -> Iterator[PacketBatch]:
        """Yield what arrived before ``before_ns``."""
        frames = []
        while self._frames and self._frames[0][2] < min(before_ns, self._known_ns):
            frames.append(self._frames.popleft())
        if frames:
            self.read += len(frames)
            yield self._batch(frames)

    def read_until(self, before_ns: int) -> int:
        """Return a time, at most ``before_ns``: what arrived before it has been read."""
        return min(before_ns, self._known_ns)

    def _batch(self, frames: list[tuple[int, int, int, bytes]]) -> PacketBatch:
        legs, numbers, arrivals, payloads = zip(*frames, strict=True)
        lengths = np.array([len(payload) for payload in payloads], np.int32)
        # at least as wide as a probe, which is looked for in every row
        payload = np.zeros((len(frames), max(int(lengths.max()), probe.PROBE_BYTES)), np.uint8)
        for row, data in zip(payload, payloads, strict=True):
            row[: len(data)] = np.frombuffer(data, np.uint8)
        leg, place = np.array(legs, np.int32), np.array(numbers, np.int64)
        source_leg, number = probe.read(payload, lengths, self._nonce, len(self._count))
        number, sent_ns, due_ns = self._log.times_of(source_leg, number)
        return PacketBatch(
            leg=leg,
            sequence=(place % (1 << 16)).astype(np.uint16),
            timestamp=(place * self._ticks[leg] % (1 << 32)).astype(np.uint32),
            ssrc=np.zeros(len(frames), np.uint32),
            payload_type=self._payload_type[leg],
            marker=np.zeros(len(frames), bool),
            arrival_ns=np.array(arrivals, np.int64),
            source_leg=np.where(number >= 0, source_leg, np.int32(-1)),
            probe=number,
            sent_ns=sent_ns,
            intended_ns=due_ns,
            payload=payload,
            payload_length=lengths,
        )
