"""What is missing at the beginning of an utterance, told by how loud it was said and came back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_ari_sla.callers.clipping import DEPTH, LATEST_NS, LevelMemory, clipped_ns
from pytest_ari_sla.callers.detector import BLOCK_NS, levels_db
from pytest_ari_sla.codecs.speech import speech_like

if TYPE_CHECKING:
    from numpy.typing import NDArray

MS = 1_000_000
BEGAN_NS = 1_700_000_000_000_000_000
SPEECH = levels_db(speech_like(1.5, 8000, 5).reshape(-1, 80))
SPEECH = SPEECH[np.flatnonzero(SPEECH > -50)[0] :]
TONE = np.full(100, -15.0)


def came_back(
    said: NDArray[np.float64], cut: int = 0, late_ns: int = 40 * MS, quieter_db: float = 0.0
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return what an echo gives back of what was said, in packets of two blocks that come unevenly by up to 4 ms."""
    levels = said - quieter_db
    levels[:cut] = -96.0
    uneven_ns = np.random.default_rng(1).integers(-4 * MS, 4 * MS, len(said))
    blocks = np.arange(len(said))
    at_ns = BEGAN_NS + late_ns + blocks * BLOCK_NS + uneven_ns[blocks // 2]
    return at_ns, levels.astype(np.float32)


@pytest.mark.parametrize("said", [SPEECH, TONE], ids=["speech", "a tone"])
@pytest.mark.parametrize("cut", [0, 5, 20, 60])
@pytest.mark.parametrize(("late_ns", "quieter_db"), [(0, 0.0), (37 * MS, 0.0), (1500 * MS, 0.0), (40 * MS, 12.0)])
def test_what_is_missing_at_the_beginning_is_told_to_a_frame(
    said: NDArray[np.float64], cut: int, late_ns: int, quieter_db: float
) -> None:
    """However late it comes back, and quieter."""
    # What is cut within a pause of the speech is not missed before the speech goes on, and the other way round.
    audible = np.flatnonzero(said - quieter_db > -50)
    expected = int(audible[audible >= cut][0] - audible[0]) if cut else 0
    at_ns, levels = came_back(said, cut, late_ns, quieter_db)
    found = clipped_ns(said, BEGAN_NS, at_ns, levels, is_whole=True)
    assert found is not None
    assert abs(found - expected * BLOCK_NS) <= 2 * BLOCK_NS


def test_where_nothing_came_back_all_of_it_is_missing() -> None:
    """Once it must have come; and the noise of a line is nothing."""
    at_ns = BEGAN_NS + np.arange(300) * BLOCK_NS
    for level in (-96.0, -47.0):
        noise = np.full(300, level, np.float32)
        assert clipped_ns(TONE, BEGAN_NS, at_ns, noise, is_whole=True) == len(TONE) * BLOCK_NS
        assert clipped_ns(TONE, BEGAN_NS, at_ns, noise, is_whole=False) is None


def test_a_beginning_that_came_back_is_enough_where_the_call_ends() -> None:
    """Its rest may be on its way."""
    at_ns, levels = came_back(SPEECH)
    assert clipped_ns(SPEECH, BEGAN_NS, at_ns[:60], levels[:60], is_whole=False) == 0


def test_what_was_heard_is_kept_leg_by_leg_and_found_by_time() -> None:
    """As long as it may be asked for."""
    memory = LevelMemory(2)
    legs, began = np.array([0, 1]), BEGAN_NS // BLOCK_NS
    for number in range(3 * DEPTH):
        memory.keep(legs, np.full(2, began + number) * BLOCK_NS, np.array([-float(number % 90), -20.0]))
    latest = began + 3 * DEPTH - 1
    found = memory.between(0, (latest - 2) * BLOCK_NS, latest * BLOCK_NS)
    assert found is not None
    assert sorted(zip(*(column.tolist() for column in found), strict=True)) == [
        ((latest - back) * BLOCK_NS, -float((latest - began - back) % 90)) for back in (2, 1)
    ]
    assert memory.between(0, (latest - DEPTH) * BLOCK_NS, latest * BLOCK_NS) is None
    one = LevelMemory(1)
    one.keep(np.array([0]), np.array([BEGAN_NS]), np.array([-20.0]))
    assert [len(column) for column in one.between(0, BEGAN_NS, BEGAN_NS + LATEST_NS) or ()] == [1, 1]
