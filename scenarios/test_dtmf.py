"""Do digits arrive, once each? All sixteen are dialled as tones, again and again, and followed by ear.

ExternalMedia carries no telephone-events (RFC 4733) in either direction: there, a digit is a sound, which speech codecs
were not made for. ``tones.lost`` counts digits that were missing in the order of dialling, ``tones.wrong`` those that
nobody dialled.
"""

import pytest

DIGITS = "0123456789*#ABCD"
LIBRARIES = {"G722": "av", "GSM": "soundfile"}

pytestmark = pytest.mark.sla(
    "calls.success_ratio >= 100%", "tones.lost == 0", "tones.wrong == 0", "tones.digits >= 250"
)


async def test_digits_through_a_bridge(load):
    """Five pairs dial at each other in one codec."""
    await load(calls=5, duration="10s", topology="pair", digits=DIGITS)


@pytest.mark.parametrize("other_codec", ["PCMA", "G722", "GSM"])
async def test_digits_through_a_transcoder(load, target, other_codec):
    """Five pairs dial at each other in two codecs."""
    if target.kind == "simulator" and other_codec != "PCMA":
        pytest.skip("the simulator transcodes G.711 only")
    if other_codec in LIBRARIES:
        pytest.importorskip(LIBRARIES[other_codec], reason="needs pytest-ari-sla[codecs]")
    await load(calls=5, duration="10s", topology="transcode", codec="PCMU", other_codec=other_codec, digits=DIGITS)
