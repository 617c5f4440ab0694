"""Holds packets until they are due: a priority queue over arrays, which takes and gives whole batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.peers.echo.impairment_log import LOG_RECORD
from pytest_ari_sla.udp.datagrams import DatagramMemory

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DelayLine"]


class DelayLine:
    """Copies of packets, each with the time when it is due.

    The due times are kept sorted: a batch goes in by one binary search and one copy of the waiting times (3,000 of
    them at 2,000 calls and 30 ms), what is due comes out as a slice from the front.

    Parameters
    ----------
    capacity
        Most packets that wait at one time.
    width
        Bytes of the longest packet.

    Attributes
    ----------
    memory
        The waiting packets, to be sent from.
    records
        LOG_RECORD, (capacity,). What is known of each row's packet.
    """

    def __init__(self, capacity: int, width: int) -> None:
        self.memory = DatagramMemory.allocate(capacity, width)
        self.records: NDArray[np.void] = np.zeros(capacity, LOG_RECORD)
        self._due_ns = np.zeros(0, np.int64)
        self._rows = np.zeros(0, np.intp)
        self._free = np.arange(capacity)
        self._free_count = capacity

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def room(self) -> int:
        """How many more packets can wait."""
        return self._free_count

    @property
    def next_due_ns(self) -> int | None:
        """When the next packet is due; None when none waits."""
        return int(self._due_ns[0]) if len(self._due_ns) else None

    def push(
        self, source: DatagramMemory, rows: NDArray[np.intp], due_ns: NDArray[np.int64], records: NDArray[np.void]
    ) -> None:
        """Let copies of rows of ``source`` wait; at most :attr:`room` of them.

        Parameters
        ----------
        source, rows
            The packets: (n,) row numbers, of which one may occur several times.
        due_ns
            (n,) int64. When each is due, on any one clock; packets due at the same time keep their order.
        records
            LOG_RECORD, (n,).
        """
        first = self._free_count - len(rows)
        places = self._free[first : self._free_count]
        self._free_count = first
        lengths = source.length[rows]
        width = int(lengths.max(initial=0))
        # Only as wide as the longest: a row has 1,601 bytes, a packet of 20 ms of G.711 is 172.
        self.memory.data[places, :width] = source.data[rows, :width]
        self.memory.length[places] = lengths
        self.memory.address[places] = source.address[rows]
        self.records[places] = records
        order = np.argsort(due_ns, kind="stable")
        due_ns = due_ns[order]
        # To the right: behind what is due at the same time and came before.
        at = np.searchsorted(self._due_ns, due_ns, side="right")
        # places is a view of the stack of free rows, which later calls overwrite; indexing by order copies it.
        self._rows = np.insert(self._rows, at, places[order])
        self._due_ns = np.insert(self._due_ns, at, due_ns)

    def due(self, now_ns: int, most: int) -> NDArray[np.intp]:
        """Take out at most ``most`` packets that are due by now, in the order in which they are due.

        Their rows stay as they are until :meth:`free`.
        """
        count = min(int(np.searchsorted(self._due_ns, now_ns, side="right")), most)
        rows = self._rows[:count]
        self._rows = self._rows[count:]
        self._due_ns = self._due_ns[count:]
        return rows

    def free(self, rows: NDArray[np.intp]) -> None:
        """Use rows that :meth:`due` has returned again."""
        self._free[self._free_count : self._free_count + len(rows)] = rows
        self._free_count += len(rows)
