"""Public helpers for authors of codecs, trackers and topologies: contracts, and a network without sockets."""

import pytest

# Before the modules themselves: a contract's assertions should explain themselves in other people's test runs too.
pytest.register_assert_rewrite(
    "pytest_ari_sla.testing.codec_contract",
    "pytest_ari_sla.testing.topology_contract",
    "pytest_ari_sla.testing.tracker_contract",
)

from pytest_ari_sla.peers.echo.impairment import Impairment  # noqa: E402
from pytest_ari_sla.testing.codec_contract import CodecContract  # noqa: E402
from pytest_ari_sla.testing.echoed_streams import EchoedStreams  # noqa: E402
from pytest_ari_sla.testing.manual_clock import ManualClock  # noqa: E402
from pytest_ari_sla.testing.memory_media import MemoryMedia  # noqa: E402
from pytest_ari_sla.testing.per_packet_tracker import Packet, PerPacketTracker  # noqa: E402
from pytest_ari_sla.testing.topology_contract import RecordingCall, TopologyContract  # noqa: E402
from pytest_ari_sla.testing.tracker_contract import TrackerContract  # noqa: E402

__all__ = [
    "CodecContract",
    "EchoedStreams",
    "Impairment",
    "ManualClock",
    "MemoryMedia",
    "Packet",
    "PerPacketTracker",
    "RecordingCall",
    "TopologyContract",
    "TrackerContract",
]
