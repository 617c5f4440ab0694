from __future__ import annotations

import errno
import os

import msgspec
import numpy as np
import pytest

from pytest_ari_sla.rtp_media.memory import BURST, BURST_RECORD, LEG, NONE, Gauge, MediaLayout, MediaMemory
from tests.unit.rtp_media.memories import make_memory

ARRAYS = (
    "gauges",
    "legs",
    "bursts",
    "group_slot",
    "unsent_turn",
    "turns",
    "ring_socket",
    "ring_step_ns",
    "drained_ns",
    "frames",
)


def all_arrays(memory: MediaMemory) -> list[np.ndarray[tuple[int, ...], np.dtype[np.void]]]:
    """Return every array of a memory."""
    ring = memory.ring
    return [*(getattr(memory, name) for name in ARRAYS), ring.data, ring.length, ring.address, ring.control]


def test_both_sides_see_the_same() -> None:
    """What one side writes into any array is what the other one reads."""
    ours = make_memory()
    theirs = MediaMemory(ours.layout, ours.descriptor)
    for number, (here, there) in enumerate(zip(all_arrays(ours), all_arrays(theirs), strict=True), 1):
        here.view(np.uint8).reshape(-1)[-1] = number
        there.view(np.uint8).reshape(-1)[0] = 100 + number
        assert here.tobytes() == there.tobytes()
    for memory in (ours, theirs):
        memory.close()


@pytest.mark.parametrize("step", ["mmap.mmap", "os.ftruncate"])
def test_a_memory_that_there_is_no_room_for_leaves_no_file_open(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither our own nor the copy of another process's."""

    def fail(*_: object) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    before = set(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(f"pytest_ari_sla.media.loop.memory.{step}", fail)
        with pytest.raises(OSError, match="Cannot allocate"):
            make_memory()
    assert set(os.listdir("/proc/self/fd")) <= before


def test_arrays_do_not_overlap() -> None:
    """Filling one leaves the others as they were."""
    memory = make_memory()
    arrays = all_arrays(memory)
    for array in arrays:
        array.view(np.uint8)[...] = 0
    for number, array in enumerate(arrays, 1):
        array.view(np.uint8)[...] = number
    for number, array in enumerate(arrays, 1):
        assert (array.view(np.uint8) == number).all()
    memory.close()


def test_shapes_follow_the_layout() -> None:
    """A turn of a group is one record, so that a send is one write; rows of the ring are as wide as told."""
    memory = make_memory(legs=5, ring_rows=32, packet_width=128)
    layout = memory.layout
    assert memory.gauges.shape == (len(Gauge),)
    assert memory.legs.shape == (5,)
    assert memory.bursts.shape == (layout.groups, layout.burst_window)
    assert memory.group_slot.shape == (layout.groups,)
    assert memory.unsent_turn.shape == (layout.burst_window, 5)
    assert memory.turns.shape == (layout.cycle,)
    assert memory.ring.data.shape == (32, 128)
    assert len(memory.ring) == len(memory.ring_socket) == len(memory.ring_step_ns) == 32
    assert memory.drained_ns.shape == (layout.sockets,)
    assert memory.frames.shape == (layout.frame_bytes,)
    memory.close()


def test_the_memory_of_a_leg_is_what_the_layout_says() -> None:
    """One more leg takes so many bytes, whatever the number of packets: memory is bounded by calls, not by time."""
    sizes = []
    for legs in (1000, 2000):
        memory = make_memory(legs=legs, groups=legs // 10)
        sizes.append(os.fstat(memory.descriptor).st_size)
        memory.close()
    per_leg = memory.layout.bytes_per_leg()
    assert per_leg > memory.layout.probe_window * 4 + LEG.itemsize + memory.layout.burst_window * BURST.itemsize / 10
    assert abs(sizes[1] - sizes[0] - 1000 * per_leg) <= 1000  # a leg's share of its group's bytes is rounded up


def test_touching_changes_nothing() -> None:
    """It only faults pages in."""
    memory = make_memory()
    memory.bursts["due_ns"] = 7
    memory.ring_socket[:] = 3
    memory.touch()
    assert (memory.bursts["due_ns"] == 7).all()
    assert (memory.ring_socket == 3).all()
    memory.close()


def test_a_burst_is_written_at_once() -> None:
    """The format that the loop writes by is the record that the measuring side reads."""
    bursts = np.zeros(2, BURST)
    BURST_RECORD.pack_into(bursts.view(np.uint8).data, BURST.itemsize, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
    assert [value.tolist() for value in bursts[1]] == [1, 2, 3, 4, 5, 6, [7, 8, 9, 10]]
    assert not bursts[0]["turn"]


def test_a_new_memory_has_no_groups_and_no_turns() -> None:
    """Zero is a slot and a turn like any other."""
    memory = make_memory()
    assert (memory.group_slot == NONE).all()
    assert (memory.bursts["turn"] == NONE).all()
    memory.close()


def test_a_descriptor_is_duplicated_and_given_up() -> None:
    """Each side closes its own; nothing stays open."""
    before = set(os.listdir("/proc/self/fd"))
    ours = make_memory()
    theirs = MediaMemory(ours.layout, ours.descriptor)
    assert theirs.descriptor != ours.descriptor
    for memory in (ours, theirs):
        memory.close()
    del ours, theirs, memory
    assert set(os.listdir("/proc/self/fd")) <= before


def test_a_layout_crosses_to_the_other_process_as_json() -> None:
    """It is an argument on a command line."""
    memory = make_memory()
    text = msgspec.json.encode(memory.layout).decode()
    assert msgspec.json.decode(text, type=MediaLayout) == memory.layout
    memory.close()
