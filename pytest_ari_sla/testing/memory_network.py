"""A network in memory: datagrams between named endpoints, with seeded faults, in a time that the test moves."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_ari_sla.far_end.impairment import Impairment

if TYPE_CHECKING:
    from pytest_ari_sla.testing.manual_clock import ManualClock

__all__ = ["Arrival", "MemoryEndpoint", "MemoryNetwork"]


class Arrival(NamedTuple):
    """A datagram that has reached an endpoint."""

    arrival_ns: int
    source: str
    datagram: bytes


@dataclass(order=True)
class _InFlight:
    """A datagram on its way; sorted by arrival, and then as sent."""

    arrival_ns: int
    order: int
    source: str = field(compare=False)
    datagram: bytes = field(compare=False)


class MemoryNetwork:
    """Carries datagrams between endpoints; each way of each pair is a link with its own faults.

    Faults are decided by :class:`~pytest_ari_sla.far_end.impairment.Impairment` from the seed, the link and the
    datagram's number on it, so a test sees the same ones in every run.

    Parameters
    ----------
    clock
        The time in which datagrams travel.
    impairment
        What every link does to datagrams, unless :meth:`impair` says otherwise.

    Examples
    --------
    >>> clock = ManualClock()
    >>> network = MemoryNetwork(clock, Impairment(delay_ns=5_000_000))
    >>> caller, asterisk = network.endpoint("caller"), network.endpoint("asterisk")
    >>> caller.send(b"hello", "asterisk")
    >>> asterisk.receive()
    []
    >>> clock.advance(5_000_000) > 0
    True
    >>> [arrival.datagram for arrival in asterisk.receive()]
    [b'hello']
    """

    def __init__(self, clock: ManualClock, impairment: Impairment | None = None) -> None:
        self._clock = clock
        self._default = impairment or Impairment()
        self._impairments: dict[tuple[str, str], Impairment] = {}
        self._link_numbers: dict[tuple[str, str], int] = {}
        self._sent: Counter[tuple[str, str]] = Counter()
        self._arriving: dict[str, list[_InFlight]] = {}
        self._order = count()

    def endpoint(self, name: str) -> MemoryEndpoint:
        """Return the endpoint of this name; datagrams sent to it before it was asked for are waiting in it."""
        return MemoryEndpoint(self, name)

    def impair(self, source: str, destination: str, impairment: Impairment) -> None:
        """Give one direction between two endpoints faults of its own, from the next datagram on."""
        self._impairments[source, destination] = impairment

    def send(self, source: str, datagram: bytes | bytearray, destination: str) -> None:
        """Put a datagram on its way."""
        link = (source, destination)
        number, self._sent[link] = self._sent[link], self._sent[link] + 1
        link_number = self._link_numbers.setdefault(link, len(self._link_numbers))
        impairment = self._impairments.get(link, self._default)
        decisions = impairment.decide(np.array([link_number]), np.array([number]))
        if decisions.dropped[0]:
            return
        arrival_ns = self._clock.now_ns + int(decisions.delay_ns[0])
        for _ in range(1 + int(decisions.duplicated[0])):
            in_flight = _InFlight(arrival_ns, next(self._order), source, bytes(datagram))
            heapq.heappush(self._arriving.setdefault(destination, []), in_flight)

    def receive(self, destination: str) -> list[Arrival]:
        """Return and forget what has arrived at an endpoint by now, in order of arrival."""
        queue = self._arriving.get(destination, [])
        arrived = []
        while queue and queue[0].arrival_ns <= self._clock.now_ns:
            in_flight = heapq.heappop(queue)
            arrived.append(Arrival(in_flight.arrival_ns, in_flight.source, in_flight.datagram))
        return arrived

    def next_arrival_ns(self) -> int | None:
        """Return when the next datagram reaches any endpoint; None when none is on its way."""
        return min((queue[0].arrival_ns for queue in self._arriving.values() if queue), default=None)


@dataclass(frozen=True)
class MemoryEndpoint:
    """One end of a :class:`MemoryNetwork`, used as a socket is."""

    network: MemoryNetwork
    name: str

    def send(self, datagram: bytes | bytearray, destination: str) -> None:
        """Send a datagram to the endpoint of another name."""
        self.network.send(self.name, datagram, destination)

    def receive(self) -> list[Arrival]:
        """Return what has arrived by now."""
        return self.network.receive(self.name)
