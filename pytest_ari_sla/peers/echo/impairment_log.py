"""What an echo server with impairments did to each packet: its own record, to compare measured figures with."""

from __future__ import annotations

from enum import IntEnum, auto
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["LOG_RECORD", "Action", "ImpairmentLog", "load_log", "overtaken"]

LOG_RECORD = np.dtype(
    [
        ("leg", "i8"),
        ("number", "i8"),
        ("arrival_ns", "i8"),
        ("delay_ns", "i8"),
        ("done_ns", "i8"),
        ("has_probe", "?"),
        ("held", "?"),
        ("action", "u1"),
    ]
)
"""One packet: leg and number of its probe (without one: SSRC and sequence number), the kernel's time of arrival, the
delay that was decided, the delay that came out (arrival until after the send; 0 where it was not sent), whether it was
held back for its successor to overtake it, and an :class:`Action`."""

_FIRST_ROOM = 1 << 12


class Action(IntEnum):
    """What was done."""

    SENT = 0
    """Sent back."""
    SENT_AGAIN = auto()
    """Sent back a second time: a duplicate."""
    DROPPED = auto()
    """Dropped on purpose."""
    CROWDED_OUT = auto()
    """Dropped since too many packets were waiting for their time: a fault of the echo server, not an impairment."""
    REFUSED = auto()
    """Not sent since the kernel refused it: likewise."""


class ImpairmentLog:
    """Records in the order in which they were done.

    Parameters
    ----------
    most
        Records to keep; later ones are only counted.

    Attributes
    ----------
    cut
        Records that were not kept.
    """

    def __init__(self, most: int = 4_000_000) -> None:
        self.cut = 0
        self._most = most
        self._records: NDArray[np.void] = np.zeros(min(_FIRST_ROOM, most), LOG_RECORD)
        self._count = 0

    @property
    def records(self) -> NDArray[np.void]:
        """LOG_RECORD, (n,): what has been kept."""
        return self._records[: self._count]

    def append(self, records: NDArray[np.void]) -> None:
        """Keep (n,) records."""
        kept = records[: self._most - self._count]
        self.cut += len(records) - len(kept)
        needed = self._count + len(kept)
        if needed > len(self._records):
            # Doubling copies each record about once, however long the log gets.
            room = min(max(needed, 2 * len(self._records)), self._most)
            grown = np.zeros(room, LOG_RECORD)
            grown[: self._count] = self.records
            self._records = grown
        self._records[self._count : needed] = kept
        self._count = needed

    def save(self, path: Path) -> None:
        """Write all records: as NumPy's ``.npz`` (array ``records``) where the name ends so, else as lines of JSON.

        Raises
        ------
        OSError
            When the file cannot be written.
        """
        if path.suffix == ".npz":
            np.savez(path, records=self.records, cut=self.cut)
            return
        names = LOG_RECORD.names or ()
        with path.open("wb") as file:
            for record in self.records.tolist():
                line = dict(zip(names, record, strict=True))
                line["action"] = Action(line["action"]).name.lower()
                file.write(msgspec.json.encode(line) + b"\n")


def load_log(path: Path) -> NDArray[np.void]:
    """Read the records of a log saved as ``.npz``: LOG_RECORD, (n,)."""
    # A pickle in a file from elsewhere could run code.
    with np.load(path, allow_pickle=False) as saved:
        records: NDArray[np.void] = saved["records"]
    return records


def overtaken(records: NDArray[np.void]) -> int:
    """Count packets that left after a later one of their leg had left: what a receiver must see as reordered.

    Second copies do not count.
    """
    sent = records[records["action"] == Action.SENT]
    # Sorted by leg last, and stably: each leg's packets stay in the order in which they left.
    sent = sent[np.argsort(sent["arrival_ns"] + sent["done_ns"], kind="stable")]
    sent = sent[np.argsort(sent["leg"], kind="stable")]
    # Offsets larger than any number keep the running maximum of one leg out of the next one's.
    _, leg_index = np.unique(sent["leg"], return_inverse=True)
    place = sent["number"] + leg_index * (int(sent["number"].max(initial=0)) + 1)
    return int(np.count_nonzero(place < np.maximum.accumulate(place)))
