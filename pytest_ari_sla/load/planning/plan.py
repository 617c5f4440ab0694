"""What load to make."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_ari_sla.clock import epoch_of
from pytest_ari_sla.hookspecs.topology import SipTopology
from pytest_ari_sla.media.call_media import MediaPlan

if TYPE_CHECKING:
    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from pytest_ari_sla.callers.audio import CompiledScript
    from pytest_ari_sla.clock import Clock
    from pytest_ari_sla.hookspecs.codec import Codec
    from pytest_ari_sla.hookspecs.topology import Topology
    from pytest_ari_sla.load.planning.profile import LoadProfile
    from pytest_ari_sla.media.call_media import CallMedia
    from pytest_ari_sla.media.peer_faults import FaultPlan
    from pytest_ari_sla.media.transport import MediaTransport

__all__ = ["LoadPlan"]


@dataclass(frozen=True, eq=False)
class LoadPlan:
    """What load to make.

    Attributes
    ----------
    profile
        How many calls when, over all shards.
    topology
        How a call's channels are joined.
    media
        What the legs of each call say and hear.
    packet_time_ms
        One of the packet times of all codecs.
    transport
        How media travels.
    shard, shards
        Which part of the profile is ours, from 1.
    realtime
        Whether packets may be moved under SCHED_FIFO.
    faults
        Which peers misbehave on purpose; None: none.
    script
        What each call does; None: it sends for its holding time.
    """

    profile: LoadProfile
    topology: Topology
    media: CallMedia
    packet_time_ms: int
    transport: MediaTransport
    shard: int = 1
    shards: int = 1
    realtime: bool = True
    faults: FaultPlan | None = None
    script: CompiledScript | None = None

    def __post_init__(self) -> None:
        self.profile.check_packet_time(self.packet_time_ms * 1_000_000)

    @property
    def codec(self) -> Codec:
        """The codec of each call's first leg."""
        return self.media.voices[0].codec

    @property
    def calls_by_sip(self) -> bool:
        """Whether calls come by SIP."""
        return isinstance(self.topology, SipTopology) and self.topology.calls_by_sip

    def media_plan(
        self, ari: AriEndpoint | None = None, *, keep_packets: bool = False, clock: Clock = time
    ) -> MediaPlan:
        """Return what the caller needs to know: legs for our share of the calls, and some that linger."""
        share = max(1, self.profile.peak_calls(self.shard - 1, self.shards))
        # Calls that are just ending need room as well: a call is set up, and leaves, within a second.
        lingering = max(share // 5 + 5, math.ceil(self.profile.most_begun_per_s / self.shards))
        calls = share + (lingering if self.profile.replaces_calls or self.script is not None else 0)
        return MediaPlan(
            calls=calls,
            media=self.media,
            packet_time_ms=self.packet_time_ms,
            realtime=self.realtime,
            ari=ari,
            shard=self.shard,
            keep_packets=keep_packets,
            faults=self.faults,
            clock=clock,
            # once for all transports of a load: their times are compared
            epoch_ns=epoch_of(clock),
            tells_reception=self.calls_by_sip,
        )
