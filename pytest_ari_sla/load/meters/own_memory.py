"""How much memory this process takes, second by second: a load of many hours must not need more and more of it."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_ari_sla.metrics.histogram import Histogram

__all__ = ["OwnMemory"]

_STATM = Path("/proc/self/statm")


class OwnMemory:
    """Reads the memory in RAM (resident set); where the system does not tell, there are no samples.

    Parameters
    ----------
    source
        A file like Linux's ``/proc/self/statm``: its second number counts pages.
    """

    def __init__(self, source: Path = _STATM) -> None:
        self._source = source
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._readings = Histogram()

    def read(self) -> None:
        """Take a reading."""
        try:
            pages = int(self._source.read_text().split()[1])  # not getrusage(): its ru_maxrss never falls
        except OSError:
            return
        self._readings.record_one(pages * self._page_bytes)

    def values(self) -> dict[str, Histogram | int]:
        """Return all readings since the beginning, by metric name."""
        return {"harness.memory": self._readings}
