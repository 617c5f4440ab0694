from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from pytest_ari_sla.udp.port_table import PortCounts, PortTable

if TYPE_CHECKING:
    from collections.abc import Callable

QUARANTINE_NS = 100


class PortTableModel(RuleBasedStateMachine):
    """A table agrees with a model that keeps one state per port and looks at all of them every time."""

    leased = Bundle("leased")

    @initialize(pairs=st.integers(0, 6))
    def begin(self, pairs: int) -> None:
        """Start with a few free pairs."""
        self.now_ns = 0
        self.table = PortTable(QUARANTINE_NS)
        self.next_port = 20_000
        self.in_use: set[int] = set()
        self.rests_until: dict[int, int] = {}
        self.refused: set[int] = set()
        self.known: set[int] = set()
        self.add(pairs)

    @rule(pairs=st.integers(0, 3))
    def add(self, pairs: int) -> None:
        """One more block of pairs is claimed."""
        ports = range(self.next_port, self.next_port + 2 * pairs, 2)
        self.table.add(ports)
        self.known.update(ports)
        self.next_port += 2 * pairs

    @rule(step_ns=st.integers(0, 2 * QUARANTINE_NS))
    def let_time_pass(self, step_ns: int) -> None:
        """Time passes, in steps shorter and longer than the quarantine."""
        self.now_ns += step_ns

    @rule(target=leased)
    def take(self) -> int | None:
        """A pair that is taken is neither leased nor resting; none is given only if none is free."""
        port = self.table.take(self.now_ns)
        if port is None:
            assert not self.free()
        else:
            assert port in self.free()
            self.in_use.add(port)
            self.rests_until.pop(port, None)
        return port

    @rule(port=consumes(leased))
    def give_back(self, port: int | None) -> None:
        """A released pair rests for exactly the quarantine."""
        if port is not None:
            self.table.give_back(port, self.now_ns)
            self.rest(port)

    @rule(port=consumes(leased))
    def refuse(self, port: int | None) -> None:
        """A pair that a stranger has rests just as long."""
        if port is not None:
            self.table.refuse(port, self.now_ns)
            self.rest(port)
            self.refused.add(port)

    @rule(port=consumes(leased))
    def put_back(self, port: int | None) -> None:
        """A pair whose lease is undone is free at once."""
        if port is not None:
            self.table.put_back(port)
            self.in_use.remove(port)

    @invariant()
    def counts_agree(self) -> None:
        """The counts are those of the model."""
        resting = {port for port, until in self.rests_until.items() if until > self.now_ns}
        expected = PortCounts(len(self.free()), len(self.in_use), len(resting), len(resting & self.refused))
        assert self.table.counts(self.now_ns) == expected

    def rest(self, port: int) -> None:
        """Note in the model that a port rests."""
        self.in_use.remove(port)
        self.refused.discard(port)
        self.rests_until[port] = self.now_ns + QUARANTINE_NS

    def free(self) -> set[int]:
        """Return the model's free ports."""
        resting = {port for port, until in self.rests_until.items() if until > self.now_ns}
        return self.known - self.in_use - resting


TestPortTableModel = PortTableModel.TestCase


def test_pairs_are_used_in_turn_so_that_each_is_idle_for_as_long_as_possible() -> None:
    """A pair that has been free for longest is leased first."""
    table = PortTable(quarantine_ns=10)
    table.add([20, 22, 24])
    first = table.take(0)
    assert first is not None
    table.give_back(first, 0)
    assert [table.take(10) for _ in range(4)] == [22, 24, 20, None]


def test_a_resting_pair_wakes_on_the_last_nanosecond_and_not_before() -> None:
    """The quarantine ends exactly when it is over."""
    table = PortTable(quarantine_ns=10)
    table.add([20])
    assert table.take(0) == 20
    table.give_back(20, 5)
    assert table.take(14) is None
    assert table.take(15) == 20


@pytest.mark.parametrize("end", [PortTable.give_back, PortTable.refuse])
def test_a_pair_that_is_not_leased_cannot_be_released(end: Callable[[PortTable, int, int], None]) -> None:
    """A second release is an error of the caller, not a second free pair."""
    table = PortTable(quarantine_ns=10)
    table.add([20])
    assert table.take(0) == 20
    end(table, 20, 0)
    with pytest.raises(KeyError):
        end(table, 20, 0)
    assert table.counts(10) == PortCounts(free=1, leased=0, resting=0, refused=0)
