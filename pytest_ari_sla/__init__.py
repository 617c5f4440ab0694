"""Load and SLA testing of Asterisk and ARI applications, as a pytest plugin.

What tests and plug-ins use is imported from here. It is loaded when it is first asked for: a pytest session that makes
no load pays nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from pytest_ari_sla.ari.media_needs import MediaNeeds
    from pytest_ari_sla.ari.media_offer import MediaOffer
    from pytest_ari_sla.ari_client.session import AriSession
    from pytest_ari_sla.callers.steps import Caller, dial, hang_up, listen, say, wait
    from pytest_ari_sla.codecs.g711 import pcma, pcmu
    from pytest_ari_sla.codecs.speech import speech_like
    from pytest_ari_sla.errors import SlaError, UsageError
    from pytest_ari_sla.framing.media_control import MediaControl
    from pytest_ari_sla.hookspecs.codec import Codec, Voice
    from pytest_ari_sla.hookspecs.topology import Call, DecodingTopology, Leg, Topology
    from pytest_ari_sla.hookspecs.tracker import ReportTracker, SendLog, Tracker, TrackerContext
    from pytest_ari_sla.load.planning.stages import hold, ramp, rate
    from pytest_ari_sla.load.results.outcome import CallOutcome
    from pytest_ari_sla.load.results.result import LoadResult
    from pytest_ari_sla.media.frame_transport import FrameTransport
    from pytest_ari_sla.media.transport import LegEndpoint, MediaSite, MediaTransport, OpenTransport
    from pytest_ari_sla.metrics.histogram import Histogram
    from pytest_ari_sla.metrics.metric import Metric
    from pytest_ari_sla.metrics.voice_quality import CodecImpairment
    from pytest_ari_sla.reporting.record.run_record import ReportSection, RunRecord, Scenario
    from pytest_ari_sla.rtp.packet_batch import PacketBatch
    from pytest_ari_sla.rtp.rtcp import ReceivedReport

__all__ = [
    "AriEndpoint",
    "AriSession",
    "Call",
    "CallOutcome",
    "Caller",
    "Codec",
    "CodecImpairment",
    "DecodingTopology",
    "FrameTransport",
    "Histogram",
    "Leg",
    "LegEndpoint",
    "LoadResult",
    "MediaControl",
    "MediaNeeds",
    "MediaOffer",
    "MediaSite",
    "MediaTransport",
    "Metric",
    "OpenTransport",
    "PacketBatch",
    "ReceivedReport",
    "ReportSection",
    "ReportTracker",
    "RunRecord",
    "Scenario",
    "SendLog",
    "SlaError",
    "Topology",
    "Tracker",
    "TrackerContext",
    "UsageError",
    "Voice",
    "__version__",
    "dial",
    "hang_up",
    "hold",
    "listen",
    "pcma",
    "pcmu",
    "ramp",
    "rate",
    "say",
    "speech_like",
    "wait",
]

__version__ = "0.1.0"

_HOMES = {
    "AriEndpoint": "ari.endpoint",
    "AriSession": "ari_client.session",
    "Call": "hookspecs.topology",
    "CallOutcome": "load.results.outcome",
    "Caller": "callers.steps",
    "Codec": "hookspecs.codec",
    "CodecImpairment": "metrics.voice_quality",
    "DecodingTopology": "hookspecs.topology",
    "Histogram": "metrics.histogram",
    "FrameTransport": "media.frame_transport",
    "Leg": "hookspecs.topology",
    "LegEndpoint": "media.transport",
    "LoadResult": "load.results.result",
    "OpenTransport": "media.transport",
    "MediaControl": "framing.media_control",
    "MediaTransport": "media.transport",
    "MediaSite": "media.transport",
    "MediaNeeds": "ari.media_needs",
    "MediaOffer": "ari.media_offer",
    "Metric": "metrics.metric",
    "PacketBatch": "rtp.packet_batch",
    "ReceivedReport": "rtp.rtcp",
    "ReportSection": "reporting.record.run_record",
    "ReportTracker": "hookspecs.tracker",
    "RunRecord": "reporting.record.run_record",
    "Scenario": "reporting.record.run_record",
    "SendLog": "hookspecs.tracker",
    "SlaError": "errors",
    "Topology": "hookspecs.topology",
    "Tracker": "hookspecs.tracker",
    "TrackerContext": "hookspecs.tracker",
    "UsageError": "errors",
    "Voice": "hookspecs.codec",
    "dial": "callers.steps",
    "hang_up": "callers.steps",
    "hold": "load.planning.stages",
    "listen": "callers.steps",
    "pcma": "codecs.g711",
    "pcmu": "codecs.g711",
    "ramp": "load.planning.stages",
    "rate": "load.planning.stages",
    "say": "callers.steps",
    "speech_like": "codecs.speech",
    "wait": "callers.steps",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
