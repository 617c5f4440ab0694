"""Does every codec get through untouched? The same small load in each codec that Asterisk takes on ExternalMedia.

Echo() sends packets back as they came, so that loss, round trip and content are told for each packet, and voice quality
by the codec's own E-model values. Codecs with a dynamic payload type (Opus, L16 at 16 kHz) are missing: ExternalMedia
has no SDP, and Asterisk drops them. G.722 and GSM are skipped where the extra ``pytest-ari-sla[codecs]`` is missing.
"""

import pytest

pytestmark = pytest.mark.sla(
    "calls.success_ratio >= 100%", "loss.ratio <= 0.1%", "rtt.p99 < 60ms", "content.altered == 0", "calls.leaked == 0"
)

LIBRARIES = {"G722": "av", "GSM": "soundfile"}


@pytest.mark.parametrize("codec", ["PCMU", "PCMA", "G722", "GSM", "L16"])
async def test_codec(load, target, codec):
    """Ten callers talk to Echo() in a codec, in packets of 20 ms."""
    if codec == "L16" and target.version.startswith("16."):
        pytest.skip("Asterisk 16 sends µ-law where it is asked for slin")
    if codec in LIBRARIES:
        pytest.importorskip(LIBRARIES[codec], reason="needs pytest-ari-sla[codecs]")
    await load(calls=10, duration="5s", codec=codec)


@pytest.mark.parametrize("packet_time", ["10ms", "30ms", "60ms"])
async def test_packet_time(load, packet_time):
    """Ten callers talk to Echo() in shorter, and in longer packets than usual."""
    await load(calls=10, duration="5s", codec="PCMA", packet_time=packet_time)
