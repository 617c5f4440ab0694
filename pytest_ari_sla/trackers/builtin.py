"""Registers the built-in trackers, by the same hook as any other plug-in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.hookspecs.tracker import Tracker

__all__ = ["BuiltinTrackers"]


class BuiltinTrackers:
    """The plug-in that the trackers of this package are."""

    @pytest.hookimpl
    def pytest_ari_sla_register_trackers(self) -> Sequence[Tracker]:
        """Return one prototype of each."""
        # Imported on call: NumPy is not needed to show a command line's help.
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

        return [
            SequenceTracker(),
            LatencyTracker(),
            LossTracker(),
            JitterTracker(),
            DelayVariationTracker(),
            LastingDelayTracker(),
            VoiceQualityTracker(),
            SilenceTracker(),
            ContentTracker(),
            MouthToEarTracker(),
            DtmfTracker(),
            ToneTracker(),
            RtcpTracker(),
        ]
