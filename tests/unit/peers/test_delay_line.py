from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.peers.echo.delay_line import DelayLine
from pytest_ari_sla.peers.echo.impairment_log import LOG_RECORD
from pytest_ari_sla.udp.datagrams import DatagramMemory


def packets(count: int) -> DatagramMemory:
    """Return packets of growing length that hold their row number."""
    memory = DatagramMemory.allocate(count, 16)
    memory.length[:] = 1 + np.arange(count) % 16
    memory.data[:, 0] = np.arange(count)
    memory.address["port"] = np.arange(count)
    return memory


def push(line: DelayLine, memory: DatagramMemory, due_ns: list[int], first: int = 0) -> None:
    """Let packets wait, each under its row number."""
    rows = np.arange(first, first + len(due_ns))
    records = np.zeros(len(rows), LOG_RECORD)
    records["number"] = rows
    line.push(memory, rows, np.array(due_ns, np.int64), records)


def test_packets_come_out_when_they_are_due_and_in_that_order() -> None:
    """Nothing comes before its time, and what is due comes in the order of due times."""
    line = DelayLine(8, 16)
    push(line, packets(4), [30, 10, 20, 40])
    assert line.next_due_ns == 10
    assert not len(line.due(9, 8))
    rows = line.due(30, 8)
    assert line.records["number"][rows].tolist() == [1, 2, 0]
    assert line.next_due_ns == 40
    assert len(line) == 1


def test_equal_times_keep_their_order() -> None:
    """Packets that are due together leave in the order in which they came: a duplicate right after its original."""
    line = DelayLine(8, 16)
    memory = packets(6)
    push(line, memory, [10, 10, 10])
    push(line, memory, [10, 10], first=3)
    assert line.records["number"][line.due(10, 8)].tolist() == [0, 1, 2, 3, 4]


def test_packets_are_copies() -> None:
    """The source may be overwritten while packets wait; bytes, lengths and addresses come out as they went in."""
    line = DelayLine(8, 16)
    memory = packets(4)
    push(line, memory, [1, 2, 3, 4])
    memory.data.fill(99)
    rows = line.due(4, 8)
    assert line.memory.data[rows, 0].tolist() == [0, 1, 2, 3]
    assert line.memory.length[rows].tolist() == [1, 2, 3, 4]
    assert line.memory.address["port"][rows].tolist() == [0, 1, 2, 3]


def test_no_more_than_asked_for_comes_out() -> None:
    """A batch is bounded; the rest stays due."""
    line = DelayLine(8, 16)
    push(line, packets(4), [1, 2, 3, 4])
    assert len(line.due(10, 3)) == 3
    assert line.next_due_ns == 4


@given(st.lists(st.tuples(st.lists(st.integers(0, 100), max_size=8), st.integers(0, 100)), max_size=30))
def test_it_behaves_like_a_sorted_list(steps: list[tuple[list[int], int]]) -> None:
    """Through any sequence of pushes and pops it holds what a plain sorted list would, and loses no row."""
    line = DelayLine(16, 16)
    memory = packets(16)
    model: list[int] = []
    for due_ns, now_ns in steps:
        accepted = due_ns[: line.room]
        push(line, memory, accepted)
        model = sorted(model + accepted)
        rows = line.due(now_ns, 4)
        expected = [time for time in model if time <= now_ns][:4]
        model = model[len(expected) :]
        assert len(rows) == len(expected)
        assert line.next_due_ns == (model[0] if model else None)
        line.free(rows)
        assert line.room == 16 - len(model)
