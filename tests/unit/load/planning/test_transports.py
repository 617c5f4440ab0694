"""Which transport each leg travels by, and what it carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.load.planning.transports import carriers, check_codecs, transport_of_load, usual_codec
from pytest_ari_sla.load.planning.voices import call_media
from pytest_ari_sla.media.joined_transport import JoinedSendLog
from pytest_ari_sla.session.plugins.registry import builtin_registry
from tests.unit.trackers.loads import FixedLog

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.media.frame_send_log import FrameSendLog

REGISTRY = builtin_registry()
RTP, AUDIOSOCKET, WEBSOCKET = (REGISTRY.transport(name) for name in ("rtp", "audiosocket", "websocket"))


def test_every_second_leg_travels_by_the_other_transport() -> None:
    """In a conference of three, the first and the third by the first one."""
    joined = transport_of_load(REGISTRY.topology("conference"), RTP, AUDIOSOCKET)
    assert carriers(joined, 3) == [RTP, AUDIOSOCKET, RTP]
    assert joined.name == "rtp + audiosocket"
    assert transport_of_load(REGISTRY.topology("pair"), RTP, None) is RTP
    assert carriers(RTP, 2) == [RTP, RTP]


def test_a_topology_of_one_leg_has_no_use_for_another_transport() -> None:
    """Said before the first call."""
    with pytest.raises(UsageError, match="other_transport='audiosocket' has none"):
        transport_of_load(REGISTRY.topology("echo"), RTP, AUDIOSOCKET)


def test_a_load_that_names_no_codec_has_one_that_all_its_transports_carry() -> None:
    """AudioSocket carries uncompressed audio only; probes pass between it and RTP untouched then."""
    assert usual_codec([RTP], "PCMU") == usual_codec([RTP, WEBSOCKET], "PCMU") == "PCMU"
    assert usual_codec([RTP, AUDIOSOCKET], "PCMU") == "L16"


def test_a_codec_that_a_leg_cannot_carry_is_refused_by_its_own_transport() -> None:
    """RTP's first leg may speak what AudioSocket's second one cannot, and the other way round."""
    pair = REGISTRY.topology("pair")
    joined = transport_of_load(pair, RTP, AUDIOSOCKET)
    check_codecs(joined, call_media(pair, REGISTRY.codec("L16"), None, 20), pair)
    with pytest.raises(UsageError, match="AudioSocket carries uncompressed audio only"):
        check_codecs(joined, call_media(pair, REGISTRY.codec("PCMU"), None, 20), pair)
    with pytest.raises(UsageError, match="dynamic RTP payload type 118"):
        check_codecs(RTP, call_media(pair, REGISTRY.codec("L16/16000"), None, 20), pair)


class Log(FixedLog):
    """A log that also tells the times of its own legs' probes."""

    def times_of(
        self, legs: NDArray[np.int32], stamps: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Each leg's probe n was sent at n, and due at leg."""
        return stamps.copy(), stamps.copy(), legs.astype(np.int64)


def test_frames_of_all_legs_are_looked_up_where_their_leg_is() -> None:
    """Legs 0 and 2 in one log, leg 1 in the other; a probe of nobody is nobody's."""
    joined = JoinedSendLog(np.array([0, 1, 0]))
    joined.parts = cast("list[FrameSendLog]", [Log([10, 11, 12]), Log([20, 21, 22], unsent={(1, 3)})])
    assert joined.due().tolist() == [10, 21, 12]
    assert joined.sent_by([1, 2]).tolist() == [20, 12]
    legs, probes = np.array([0, 1, 1], np.int32), np.array([3, 3, 4])
    assert joined.was_sent(legs, probes).tolist() == [True, False, True]
    numbers, sent_ns, due_ns = joined.times_of(np.array([1, 2], np.int32), np.array([5, 6]))
    assert (numbers.tolist(), sent_ns.tolist(), due_ns.tolist()) == ([5, 6], [5, 6], [1, 2])
