"""Which packet belongs to which call of a relay, and how long its way to the echo server and back took.

Both for whole batches. Nothing here touches a socket or reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CALLS_PER_GROUP", "ECHO_LOST_AFTER_NS", "EchoStamps", "Matches", "RelayCalls"]

CALLS_PER_GROUP = 128
"""Calls that share a pair of sockets."""

ECHO_LOST_AFTER_NS = 3_000_000_000
"""A packet that the echo server has not returned by then counts as lost, and its entry is freed."""

_SLOT_BITS = 7  # the low bits of a call's SSRC are its slot: what comes back needs no search
_ENTRIES = 512  # per call; a power of two: 5 s of packets at 100 a second
_ANSWERED, _GIVEN_UP = -1, -2


class RelayCalls:
    """The calls of one pair of sockets, each in a numbered slot.

    Towards Asterisk a call is known by the address that Asterisk sends from, towards the echo server by the SSRC that
    the relay, as RTP allows a middlebox, puts into the packets of each call. Nobody is ever learned from a packet.

    Attributes
    ----------
    ssrc, host, port
        (CALLS_PER_GROUP,) uint32, uint32, uint16. Of each slot: its SSRC, and Asterisk's address.
    is_live
        (CALLS_PER_GROUP,) bool. Slots whose call is connected and not released.
    """

    def __init__(self) -> None:
        self.ssrc = np.arange(CALLS_PER_GROUP, dtype=np.uint32)
        self.host = np.zeros(CALLS_PER_GROUP, np.uint32)
        self.port = np.zeros(CALLS_PER_GROUP, np.uint16)
        self.is_live = np.zeros(CALLS_PER_GROUP, bool)
        self._slots: dict[str, int] = {}
        self._free_from_ns = [0] * CALLS_PER_GROUP
        self._keys = np.zeros(0, np.uint64)
        self._slot_of_key = np.zeros(0, np.intp)

    def reserve(self, call: str, now_ns: int, random_bits: int) -> bool:
        """Give a slot to a call; return False when none is free.

        Parameters
        ----------
        call
            Its name.
        now_ns
            Time on any one clock; a released slot rests until no packet of its old call can come any more.
        random_bits
            What sets the slot's SSRC apart from the one that it had for an earlier call.
        """
        taken = set(self._slots.values())
        for slot, free_from_ns in enumerate(self._free_from_ns):
            if slot not in taken and free_from_ns <= now_ns:
                self._slots[call] = slot
                self.ssrc[slot] = (random_bits << _SLOT_BITS | slot) & 0xFFFFFFFF
                self.host[slot] = self.port[slot] = 0
                return True
        return False

    def connect(self, call: str, host: int, port: int) -> None:
        """Say from which address Asterisk sends a call's packets, and gets them back at.

        Raises
        ------
        UsageError
            When another live call has that address.
        """
        slot = self._slots[call]
        same = np.flatnonzero((self.host == host) & (self.port == port))
        for other in same.tolist():
            if other != slot and self.is_live[other]:
                message = f"call {call}: Asterisk's port {port} belongs to another call"
                raise UsageError(message)
            self.host[other] = self.port[other] = 0  # a call that has ended: Asterisk uses its port again
        self.host[slot], self.port[slot], self.is_live[slot] = host, port, True
        self._sort_addresses()

    def release(self, call: str, now_ns: int) -> int:
        """Take a call's slot back and return its number; its packets are still known for a while, as strays."""
        slot = self._slots.pop(call)
        self.is_live[slot] = False
        self._free_from_ns[slot] = now_ns + ECHO_LOST_AFTER_NS
        return slot

    def _sort_addresses(self) -> None:
        # Sorted here, where a call begins: packets, of which there are thousands a second, only search.
        keys = _address_keys(self.host, self.port)
        order = np.argsort(keys)
        self._keys, self._slot_of_key = keys[order], order

    def slots_by_address(self, hosts: NDArray[np.uint32], ports: NDArray[np.uint16]) -> NDArray[np.intp]:
        """Return (n,) slots of packets by where they came from; -1 for foreign ones."""
        if not len(self._keys):
            return np.full(len(hosts), -1, np.intp)
        wanted = _address_keys(hosts, ports)
        # What is beyond the last key is looked up at the last one, which does not match.
        at = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        # Slots that are not connected have the key 0.
        return np.where((self._keys[at] == wanted) & (wanted != 0), self._slot_of_key[at], -1)

    def slots_by_ssrc(self, ssrc: NDArray[np.uint32]) -> NDArray[np.intp]:
        """Return (n,) slots of packets by their SSRC; -1 where it is none of ours."""
        slots = (ssrc & np.uint32(CALLS_PER_GROUP - 1)).astype(np.intp)
        return np.where(self.ssrc[slots] == ssrc, slots, -1)


def _address_keys(hosts: NDArray[np.uint32], ports: NDArray[np.uint16]) -> NDArray[np.uint64]:
    return hosts.astype(np.uint64) << np.uint64(16) | ports.astype(np.uint64)


@dataclass(frozen=True, eq=False)
class Matches:
    """What came back from the echo server.

    Attributes
    ----------
    rtt_ns
        (m,) int64. Round-trip times of the packets that were waited for.
    duplicates
        Packets that had come back before.
    late
        Packets that had been given up, or were never sent.
    """

    rtt_ns: NDArray[np.int64]
    duplicates: int
    late: int


class EchoStamps:
    """When each packet left for the echo server: 10 bytes for each of the last 512 packets of a call, 5 KiB a call."""

    def __init__(self) -> None:
        self._sent_ns = np.zeros((CALLS_PER_GROUP, _ENTRIES), np.int64)
        self._sequence = np.zeros((CALLS_PER_GROUP, _ENTRIES), np.uint16)
        self._sent_ns.fill(0)

    def note_sent(self, slots: NDArray[np.intp], sequence: NDArray[np.uint16], sent_ns: NDArray[np.int64]) -> int:
        """Note (n,) packets; return how many older ones had to be given up for them."""
        at = slots, (sequence & np.uint16(_ENTRIES - 1)).astype(np.intp)
        # Answered and given up are below 0, never used is 0: only what is still waited for is lost by this.
        given_up = int(np.count_nonzero((self._sent_ns[at] > 0) & (self._sequence[at] != sequence)))
        self._sent_ns[at] = sent_ns
        self._sequence[at] = sequence
        return given_up

    def match(self, slots: NDArray[np.intp], sequence: NDArray[np.uint16], arrival_ns: NDArray[np.int64]) -> Matches:
        """Match (n,) returned packets, in order of arrival, with when they were sent."""
        columns = (sequence & np.uint16(_ENTRIES - 1)).astype(np.intp)
        # A packet and its duplicate may come in one batch: only the first of them can be the one waited for.
        _, firsts = np.unique(slots * 65_536 + sequence, return_index=True)
        is_first = np.zeros(len(slots), bool)
        is_first[firsts] = True
        sent_ns = self._sent_ns[slots, columns]
        is_known = self._sequence[slots, columns] == sequence
        is_waited = is_first & is_known & (sent_ns > 0)
        is_duplicate = is_known & ((sent_ns == _ANSWERED) | (~is_first & (sent_ns > 0)))
        self._sent_ns[slots[is_waited], columns[is_waited]] = _ANSWERED
        rtt_ns = arrival_ns[is_waited] - sent_ns[is_waited]
        duplicates = int(np.count_nonzero(is_duplicate))
        return Matches(rtt_ns, duplicates, len(slots) - len(rtt_ns) - duplicates)

    def expire(self, now_ns: int) -> int:
        """Give up the packets that left too long before ``now_ns``; return how many."""
        is_lost = (self._sent_ns > 0) & (self._sent_ns < now_ns - ECHO_LOST_AFTER_NS)
        self._sent_ns[is_lost] = _GIVEN_UP
        return int(np.count_nonzero(is_lost))

    def clear(self, slot: int) -> int:
        """Forget a call; return how many of its packets have not come back."""
        lost = int(np.count_nonzero(self._sent_ns[slot] > 0))
        self._sent_ns[slot] = 0
        return lost
