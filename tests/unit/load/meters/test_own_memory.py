from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.load.meters.own_memory import OwnMemory
from pytest_ari_sla.metrics.histogram import Histogram

if TYPE_CHECKING:
    from pathlib import Path


def readings_of(memory: OwnMemory) -> Histogram:
    """Return what was read so far."""
    readings = memory.values()["harness.memory"]
    assert isinstance(readings, Histogram)
    return readings


def test_what_this_process_takes_is_read(tmp_path: Path) -> None:
    """In bytes, from the second number of the file, which counts pages."""
    statm = tmp_path / "statm"
    statm.write_text("900 300 20 1 0 500 0\n")
    memory = OwnMemory(statm)
    memory.read()
    statm.write_text("900 400 20 1 0 500 0\n")
    memory.read()
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    assert (readings_of(memory).min, readings_of(memory).max) == (300 * page_bytes, 400 * page_bytes)


def test_more_memory_reads_as_more() -> None:
    """Of the real process: 64 MB more, that are touched, show."""
    memory = OwnMemory()
    memory.read()
    block = np.ones(8_000_000)
    memory.read()
    assert readings_of(memory).max - readings_of(memory).min > 0.9 * block.nbytes


def test_a_system_that_does_not_tell_gives_no_samples(tmp_path: Path) -> None:
    """A threshold on it then fails for want of samples, and nothing is made up."""
    memory = OwnMemory(tmp_path / "missing")
    memory.read()
    assert readings_of(memory).count == 0
