"""What does transcoding cost callers? Two ends of a call in two codecs, so that Asterisk codes all audio anew.

No packet survives that, but its sound does: a second of what an end hears is looked up in what the other end said.
``mouth_to_ear`` is the way through the transcoder, to be compared with the round trip that ``test_codecs.py`` shows;
G.722 adds the 5 ms that Asterisk's resampler takes. ``content.unheard`` counts ends that were never heard at all.
"""

import pytest

pytestmark = pytest.mark.sla(
    "calls.success_ratio >= 100%", "loss.ratio <= 0.1%", "content.unheard == 0", "audio.one_way_legs == 0"
)
LIBRARIES = {"G722": "av", "GSM": "soundfile"}


@pytest.mark.sla("mouth_to_ear.p95 < 60ms", "content.recognised >= 10")
@pytest.mark.parametrize("other_codec", ["PCMA", "G722", "GSM"])
async def test_transcode(load, target, other_codec):
    """Five callers on µ-law talk to five on another codec."""
    if target.kind == "simulator" and other_codec != "PCMA":
        pytest.skip("the simulator transcodes G.711 only")
    if other_codec in LIBRARIES:
        pytest.importorskip(LIBRARIES[other_codec], reason="needs pytest-ari-sla[codecs]")
    await load(calls=5, duration="10s", topology="transcode", codec="PCMU", other_codec=other_codec)
