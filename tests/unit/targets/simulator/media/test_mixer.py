"""Mixing: everybody hears the sum of the others."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.targets.simulator.media.formats import FRAME_SAMPLES
from pytest_ari_sla.targets.simulator.media.mixer import Mixer


def level(value: int, samples: int = FRAME_SAMPLES) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """Return audio of one level."""
    return np.full(samples, value, np.int16)


@given(st.lists(st.integers(-32768, 32767), min_size=3, max_size=6))
def test_each_hears_the_clipped_sum_of_the_others(levels: list[int]) -> None:
    """And never itself."""
    mixer = Mixer(range(len(levels)))
    for leg, value in enumerate(levels):
        mixer.hear(leg, level(value))
    heard = mixer.mix()
    expected = [min(max(sum(levels) - value, -32768), 32767) for value in levels]
    assert heard[:, 0].tolist() == heard[:, -1].tolist() == expected


def test_silence_is_heard_when_nobody_speaks() -> None:
    """A packet comes all the same."""
    assert not Mixer([1, 2, 3]).mix().any()


def test_half_a_packet_waits_for_its_other_half() -> None:
    """10 ms packets are joined, not torn apart by silence."""
    mixer = Mixer([0, 1, 2])
    mixer.hear(0, level(100, FRAME_SAMPLES // 2))
    assert not mixer.mix().any()
    mixer.hear(0, level(100, FRAME_SAMPLES // 2))
    assert mixer.mix()[1].tolist() == level(100).tolist()


def test_what_waits_too_long_is_dropped() -> None:
    """Of a burst the latest 100 ms are kept."""
    mixer = Mixer([0, 1, 2])
    for number in range(1, 11):
        mixer.hear(0, level(number))
    assert [int(mixer.mix()[1, 0]) for _ in range(6)] == [6, 7, 8, 9, 10, 0]


def test_members_that_stay_keep_what_they_said() -> None:
    """Coming and going of others tears nothing."""
    mixer = Mixer([0, 1, 2])
    mixer.hear(0, level(50))
    mixer.set_legs([0, 2, 3])
    heard = mixer.mix()
    assert heard.shape == (3, FRAME_SAMPLES)
    assert heard[:, 0].tolist() == [0, 50, 50]
