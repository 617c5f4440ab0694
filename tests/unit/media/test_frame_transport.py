"""A transport that moves frame by frame: which frame of which voice is due."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pytest_ari_sla.codecs.g711 import pcmu
from pytest_ari_sla.codecs.l16 import l16_wideband
from pytest_ari_sla.codecs.speech import frames
from pytest_ari_sla.hookspecs.codec import Voice
from pytest_ari_sla.media.call_media import CallMedia
from pytest_ari_sla.media.frame_transport import FrameTransport
from tests.unit.media.callers import plan_for

if TYPE_CHECKING:
    from pytest_ari_sla.media.transport import LegEndpoint

PERIOD_NS = 20_000_000


class Endpoint:
    """The only leg."""

    leg = 0


def test_a_voice_that_begins_with_the_very_first_frame_has_begun() -> None:
    """A caller that speaks at once waits for that; frame 0 is a beginning, and nothing said yet is none."""
    first, second = (Voice(pcmu(), frames(pcmu(), 20)[shift:]) for shift in (0, 7))
    transport = FrameTransport(plan_for(1, CallMedia((-1,), (first, second), (0,))))
    endpoint = cast("LegEndpoint", Endpoint())
    transport.start(endpoint, None, 1000)
    assert transport.voice_began_ns(endpoint) == 0
    transport.play(endpoint, 1)
    began_ns = transport.voice_began_ns(endpoint)
    assert 0 < began_ns <= transport.now_ns()
    assert [frame for _, frame in transport.frames_due(began_ns)] == [second.frames[0].tobytes()]
    transport.play(endpoint, 1)
    assert transport.voice_began_ns(endpoint) == began_ns + PERIOD_NS


def test_telephone_events_have_the_clock_of_the_audio_where_that_was_agreed_on() -> None:
    """By SIP; else Asterisk stamps them by 8 kHz."""
    wide = CallMedia((-1,), (Voice(l16_wideband(), frames(l16_wideband(), 20)),))
    assert plan_for(1, wide).events_clock_hz == 8000
    assert plan_for(1, wide, tells_reception=True).events_clock_hz == 16_000
