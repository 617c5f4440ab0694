"""What the legs of one call say and hear, and the same for all calls of a load at once."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.clock import epoch_of
from pytest_ari_sla.udp.datagrams import RECEIVE_BUFFER_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from pytest_ari_sla.clock import Clock
    from pytest_ari_sla.hookspecs.codec import Voice
    from pytest_ari_sla.media.frame_listener import FrameListener
    from pytest_ari_sla.media.frame_send_log import FrameSendLog
    from pytest_ari_sla.media.peer_faults import FaultPlan

__all__ = ["LOSS_LIMIT_NS", "CallMedia", "MediaPlan"]

LOSS_LIMIT_NS = 3_000_000_000
"""A probe that is not back after this time is lost."""

UNAGREED_EVENTS_HZ = 8000
"""Asterisk stamps telephone events so on channels that agree on nothing, whatever the codec of the audio is."""

NOBODY = -1


@dataclass(frozen=True)
class CallMedia:
    """The legs of one call at the load generator.

    Attributes
    ----------
    heard_leg
        For each leg: whose probes arrive at it; -1 where Asterisk decodes what arrives.
    voices
        What there is to hear.
    voice_of_leg
        Which of them each leg has; empty: all have the first.
    audio_legs
        For each leg: whose audio arrives at it; empty: that of the leg whose probes arrive.
    """

    heard_leg: Sequence[int]
    voices: Sequence[Voice]
    voice_of_leg: Sequence[int] = ()
    audio_legs: Sequence[Sequence[int]] = ()

    def __len__(self) -> int:
        return len(self.heard_leg)

    def voice(self, place: int) -> Voice:
        """Return the voice of the leg at a place in the call."""
        return self.voices[self.voice_of_leg[place] if self.voice_of_leg else 0]

    def sources(self, place: int) -> Sequence[int]:
        """Return the places of the legs that the leg at a place hears."""
        if self.audio_legs:
            return self.audio_legs[place]
        return [leg for leg in (self.heard_leg[place],) if leg >= 0]

    def has_probes(self, place: int) -> bool:
        """Whether the leg at a place sends probes: where one hears it whose audio Asterisk does not decode."""
        return place in self.heard_leg

    def is_heard(self, place: int) -> bool:
        """Whether the audio of the leg at a place arrives at a leg of the call."""
        return any(place in self.sources(other) for other in range(len(self)))

    def heard_legs(self, calls: int) -> NDArray[np.int32]:
        """(calls * legs,) The leg that each leg of so many calls hears; -1 for none."""
        return self._of_all(np.asarray(self.heard_leg, np.int32), calls).reshape(-1)

    def audible_legs(self, calls: int) -> NDArray[np.int32]:
        """(calls * legs, most) The legs whose audio arrives at each leg of so many calls; filled up with -1."""
        audible = [self.sources(place) for place in range(len(self))]
        most = max(1, *map(len, audible))
        rows = [[*legs, *[NOBODY] * (most - len(legs))] for legs in audible]
        return self._of_all(np.asarray(rows, np.int32), calls).reshape(-1, most)

    def voices_of_legs(self, calls: int) -> NDArray[np.int32]:
        """(calls * legs,) The voice of each leg of so many calls."""
        return np.tile(np.asarray(self.voice_of_leg or [0] * len(self), np.int32), calls)

    def _of_all(self, of_one: NDArray[np.int32], calls: int) -> NDArray[np.int32]:
        """Number the legs of one call through all calls: one more dimension, in front."""
        first = np.arange(calls, dtype=np.int32).reshape(-1, *[1] * of_one.ndim) * len(self)
        return np.where(of_one >= 0, first + of_one, np.int32(NOBODY))


@dataclass(frozen=True, eq=False)
class MediaPlan:
    """What a caller is to send.

    Attributes
    ----------
    calls
        Most calls at one time.
    media
        The legs of each.
    packet_time_ms
        One of the packet times of all codecs.
    realtime
        Whether to ask for SCHED_FIFO.
    ari, shard
        See :class:`~pytest_ari_sla.hookspecs.tracker.TrackerContext`.
    keep_packets
        Whether to keep the last packets of each leg, as evidence.
    receive_buffer_bytes
        What to ask the kernel for, for each socket.
    nonce
        This load's number, in its probes.
    clock
        The time.
    epoch_ns
        What CLOCK_MONOTONIC lacks to the time by which all media of this load is dated.
    faults
        Which peers misbehave on purpose; None: none.
    log_of_all
        What is known of the frames of all legs, where other transports carry some of them; None: the transport's own.
    listener
        Who hears what arrives as it arrives; None where nobody needs to know at once.
    tells_reception
        Whether peers are told in RTCP how what they send arrives, as SIP devices do.
    """

    calls: int
    media: CallMedia
    packet_time_ms: int
    realtime: bool = True
    ari: AriEndpoint | None = None
    shard: int = 1
    keep_packets: bool = False
    receive_buffer_bytes: int = RECEIVE_BUFFER_BYTES
    nonce: int = field(default_factory=lambda: secrets.randbits(32))
    clock: Clock = time
    epoch_ns: int = field(default_factory=lambda: epoch_of(time))
    faults: FaultPlan | None = None
    log_of_all: FrameSendLog | None = None
    listener: FrameListener | None = None
    tells_reception: bool = False

    @property
    def legs(self) -> int:
        """Most legs at one time."""
        return self.calls * len(self.media)

    @property
    def packet_time_ns(self) -> int:
        """Time between two packets of a stream."""
        return self.packet_time_ms * 1_000_000

    @property
    def events_clock_hz(self) -> int:
        """Rate of the time stamps of telephone events that come: by SIP it is agreed on, and that of the audio."""
        return self.voice(0).codec.clock_rate_hz if self.tells_reception else UNAGREED_EVENTS_HZ

    def voice(self, leg: int) -> Voice:
        """Return the voice of a leg."""
        return self.media.voice(leg % len(self.media))

    def has_probes(self, leg: int) -> bool:
        """Whether a leg sends probes."""
        return self.media.has_probes(leg % len(self.media))

    def is_heard(self, leg: int) -> bool:
        """Whether a leg's audio arrives at a leg of ours."""
        return self.media.is_heard(leg % len(self.media))

    def ticks(self, leg: int) -> int:
        """Return what each packet of a leg adds to its time stamp."""
        # The RTP clock: that of G.722 is 8000 Hz, though it samples at 16 kHz (RFC 3551, 4.5.2).
        return self.voice(leg).codec.clock_rate_hz * self.packet_time_ms // 1000
