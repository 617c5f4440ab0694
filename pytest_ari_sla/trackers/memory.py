"""What the built-in trackers remember of a leg, in bytes: bounded, and flat over time."""

from __future__ import annotations

from pytest_ari_sla.trackers.audio.content import ContentTracker
from pytest_ari_sla.trackers.audio.mouth_to_ear import MouthToEarTracker
from pytest_ari_sla.trackers.audio.silence import SilenceTracker
from pytest_ari_sla.trackers.audio.tones import ToneTracker
from pytest_ari_sla.trackers.packets.dtmf import DtmfTracker
from pytest_ari_sla.trackers.packets.jitter import JitterTracker
from pytest_ari_sla.trackers.packets.lasting_delay import LastingDelayTracker
from pytest_ari_sla.trackers.packets.rtcp import RtcpTracker
from pytest_ari_sla.trackers.packets.sequence import SequenceTracker
from pytest_ari_sla.trackers.probes.latency import LatencyTracker
from pytest_ari_sla.trackers.probes.loss import LossTracker
from pytest_ari_sla.trackers.probes.pdv import DelayVariationTracker
from pytest_ari_sla.trackers.probes.voice_quality import VoiceQualityTracker

__all__ = ["bytes_per_leg"]


def bytes_per_leg(probe_window: int) -> dict[str, int]:
    """Return the bytes of arrays that each built-in tracker keeps for a leg, by the tracker's name.

    Besides, delay variation keeps 12 bytes for each packet of the current second. Histograms do not grow with legs:
    at most 264 KiB each.

    Parameters
    ----------
    probe_window
        ``TrackerContext.probe_window``.
    """
    return {
        SequenceTracker.name: SequenceTracker.BYTES_PER_LEG,
        LatencyTracker.name: LatencyTracker.bytes_per_leg(probe_window),
        LossTracker.name: LossTracker.bytes_per_leg(probe_window),
        JitterTracker.name: JitterTracker.BYTES_PER_LEG,
        LastingDelayTracker.name: LastingDelayTracker.BYTES_PER_LEG,
        DelayVariationTracker.name: DelayVariationTracker.bytes_per_leg(probe_window),
        VoiceQualityTracker.name: VoiceQualityTracker.bytes_per_leg(probe_window),
        SilenceTracker.name: SilenceTracker.BYTES_PER_LEG,
        ContentTracker.name: ContentTracker.BYTES_PER_LEG,
        MouthToEarTracker.name: MouthToEarTracker.BYTES_PER_LEG,
        DtmfTracker.name: DtmfTracker.BYTES_PER_LEG,
        ToneTracker.name: ToneTracker.BYTES_PER_LEG,
        RtcpTracker.name: RtcpTracker.BYTES_PER_LEG,
    }
