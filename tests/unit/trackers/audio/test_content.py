from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.codecs.g711 import pcmu
from pytest_ari_sla.hookspecs.codec import Voice
from pytest_ari_sla.rtp.probe import PROBE_BYTES
from pytest_ari_sla.trackers.audio.content import CHECKED_ONE_IN, ContentTracker
from tests.unit.batches import MILLISECOND, Packet, batch_sizes, split
from tests.unit.trackers.loads import FixedLog, context_of, echo, intended_ns

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAMES: NDArray[np.uint8] = np.random.default_rng(1).integers(0, 256, (7, 40), np.uint8)


def intact(probe: int, leg: int = 0, source_leg: int = 0) -> Packet:
    """Return a probe that came back with the audio it was sent with, behind a stamp of 16 bytes."""
    payload = bytes(PROBE_BYTES) + FRAMES[probe % len(FRAMES), PROBE_BYTES:].tobytes()
    return echo(probe, leg=leg, source_leg=source_leg)._replace(payload=payload)


def checked(
    packets: list[Packet], sizes: list[int] | None = None, frames: NDArray[np.uint8] = FRAMES
) -> ContentTracker:
    """Return a tracker of a pair that has heard these packets."""
    tracker = ContentTracker()
    tracker.begin(replace(context_of(FixedLog([100, 100]), [1, 0]), voices=(Voice(pcmu(), frames),)))
    for batch in split(packets, sizes or [10]):
        tracker.observe(batch)
    tracker.advance(0)
    return tracker


def test_audio_that_came_through_untouched_is_not_altered() -> None:
    """Over several turns of the loop of frames."""
    tracker = checked([intact(probe, leg=1) for probe in range(80)])
    assert tracker.snapshot() == {"content.checked": 80 // CHECKED_ONE_IN, "content.altered": 0}


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(intact(8).payload[:-1] + bytes([intact(8).payload[-1] ^ 1]), id="last bit"),
        pytest.param(intact(8).payload[:-1], id="shorter"),
        pytest.param(intact(8).payload + b"\0", id="longer"),
        pytest.param(intact(9).payload, id="another frame's"),
    ],
)
@pytest.mark.parametrize("neighbours", [0, 8])
def test_other_audio_behind_the_probe_is_altered(payload: bytes, neighbours: int) -> None:
    """A changed bit, another length, or audio of another packet; alone in a batch or among others."""
    packets = [intact(8, leg=1)._replace(payload=payload)] + [intact(16, leg=1)] * neighbours
    tracker = checked(packets)
    assert tracker.snapshot() == {"content.checked": 1 + neighbours, "content.altered": 1}
    assert tracker.per_leg()["content.altered"].tolist() == [0, 1]


@pytest.mark.parametrize("step_ns", [-3 * MILLISECOND, 3 * MILLISECOND])
def test_a_clock_that_was_set_does_not_shift_the_frames(step_ns: int) -> None:
    """The times of a probe and of the audio's start may differ by what the clock was corrected in between."""
    shifted = intact(16, leg=1)._replace(intended_ns=intended_ns(16) + step_ns)
    assert checked([shifted]).snapshot() == {"content.checked": 1, "content.altered": 0}


def test_only_what_can_be_compared_is() -> None:
    """Not another leg's audio, not a packet without a probe, not one whose times are forgotten."""
    strange = [intact(8, leg=0), intact(8, leg=1)._replace(intended_ns=0), Packet(leg=1, payload=b"audio")]
    assert checked(strange).snapshot()["content.checked"] == 0


@given(st.lists(st.tuples(st.integers(0, 99), st.booleans()), max_size=40), batch_sizes())
def test_any_batches_give_what_single_packets_give(fates: list[tuple[int, bool]], sizes: list[int]) -> None:
    """The same packets are compared, with the same result."""
    packets = [
        intact(probe, leg=1)._replace(payload=b"\0" * 40 if spoilt else intact(probe).payload)
        for probe, spoilt in fates
    ]
    chosen = [spoilt for probe, spoilt in fates if probe % CHECKED_ONE_IN == 0]
    expected = {"content.checked": len(chosen), "content.altered": sum(chosen)}
    assert checked(packets, sizes).snapshot() == expected


def test_a_later_call_begins_at_nothing() -> None:
    """What is counted stays, what the leg heard is forgotten."""
    tracker = checked([intact(8, leg=1)._replace(payload=b"\0" * 40)])
    tracker.release(np.array([1], np.int32))
    assert tracker.per_leg()["content.altered"].tolist() == [0, 0]
    assert tracker.snapshot()["content.altered"] == 1
