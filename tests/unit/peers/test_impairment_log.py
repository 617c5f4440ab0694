from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.peers.echo.impairment_log import LOG_RECORD, Action, ImpairmentLog, load_log, overtaken

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def records(*rows: tuple[int, int, int], action: Action = Action.SENT) -> NDArray[np.void]:
    """Return records of (leg, number, time of leaving)."""
    made = np.zeros(len(rows), LOG_RECORD)
    made["action"] = action
    for row, (leg, number, left_ns) in enumerate(rows):
        made[row]["leg"], made[row]["number"], made[row]["done_ns"] = leg, number, left_ns
    return made


def test_a_log_keeps_all_records_in_order() -> None:
    """Appending beyond the first room loses nothing."""
    log = ImpairmentLog()
    for first in range(0, 10_000, 100):
        log.append(records(*((0, number, 0) for number in range(first, first + 100))))
    assert log.records["number"].tolist() == list(range(10_000))
    assert log.cut == 0


def test_a_full_log_counts_what_it_does_not_keep() -> None:
    """Memory is bounded, and the log says how much is missing."""
    log = ImpairmentLog(most=3)
    log.append(records((0, 0, 0), (0, 1, 0)))
    log.append(records((0, 2, 0), (0, 3, 0), (0, 4, 0)))
    assert log.records["number"].tolist() == [0, 1, 2]
    assert log.cut == 2


def test_a_saved_log_reads_back_equal(tmp_path: Path) -> None:
    """The NumPy form loses nothing."""
    log = ImpairmentLog()
    log.append(records((1, 2, 3), (4, 5, 6)))
    log.save(tmp_path / "echo.npz")
    np.testing.assert_array_equal(load_log(tmp_path / "echo.npz"), log.records)


def test_other_names_get_lines_of_json(tmp_path: Path) -> None:
    """The text form names each field and action."""
    log = ImpairmentLog()
    log.append(records((1, 2, 3), action=Action.DROPPED))
    log.save(tmp_path / "echo.jsonl")
    (line,) = (tmp_path / "echo.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "leg": 1,
        "number": 2,
        "arrival_ns": 0,
        "delay_ns": 0,
        "done_ns": 3,
        "has_probe": False,
        "held": False,
        "action": "dropped",
    }


def test_overtaken_counts_packets_that_left_after_a_later_one_of_their_leg() -> None:
    """Legs are apart; each packet behind the highest number so far counts once."""
    in_order = records((0, 0, 10), (0, 1, 20), (1, 5, 5), (1, 6, 15))
    assert overtaken(in_order) == 0
    swapped = records((0, 0, 30), (0, 1, 20), (0, 2, 25), (1, 5, 50), (1, 6, 15), (1, 7, 60))
    assert overtaken(swapped) == 2
    assert overtaken(records((0, 0, 30), (0, 1, 20), action=Action.SENT_AGAIN)) == 0
    assert overtaken(records()) == 0
