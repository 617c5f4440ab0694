from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.peers.relay.relay_calls import CALLS_PER_GROUP, ECHO_LOST_AFTER_NS, EchoStamps, RelayCalls

SECOND = 1_000_000_000


def hosts(*numbers: int) -> np.ndarray:
    """Return hosts or SSRCs."""
    return np.array(numbers, np.uint32)


def ports(*numbers: int) -> np.ndarray:
    """Return ports or sequence numbers."""
    return np.array(numbers, np.uint16)


def slots(*numbers: int) -> np.ndarray:
    """Return slots."""
    return np.array(numbers, np.intp)


def times(*numbers: int) -> np.ndarray:
    """Return times in ns."""
    return np.array(numbers, np.int64)


def test_a_packet_is_known_by_where_it_came_from() -> None:
    """Only registered pairs of host and port belong to a call; one that matches in half is foreign."""
    calls = RelayCalls()
    for number, call in enumerate(("a", "b")):
        assert calls.reserve(call, 0, 0)
        calls.connect(call, 0x7F000001, 4000 + 2 * number)
    found = calls.slots_by_address(hosts(0x7F000001, 0x7F000001, 0x7F000001, 0x7F000002), ports(4002, 4000, 4004, 4000))
    assert found.tolist() == [1, 0, -1, -1]


def test_a_call_that_is_not_connected_gets_nothing() -> None:
    """Reserving alone lets no packet in: nobody is learned from a packet."""
    calls = RelayCalls()
    calls.reserve("a", 0, 0)
    assert calls.slots_by_address(hosts(0, 1), ports(0, 1)).tolist() == [-1, -1]
    calls.connect("a", 1, 1)
    assert calls.slots_by_address(hosts(0, 1), ports(0, 1)).tolist() == [-1, 0]


def test_an_echo_is_known_by_the_ssrc_of_its_call() -> None:
    """Each call has an SSRC of its own; any other number is foreign."""
    calls = RelayCalls()
    for call in ("a", "b"):
        calls.reserve(call, 0, 0x1234567)
    ssrc = calls.ssrc
    assert calls.slots_by_ssrc(hosts(int(ssrc[1]), int(ssrc[0]), int(ssrc[0]) ^ 1 << 20)).tolist() == [1, 0, -1]


def test_a_released_slot_rests_until_no_old_packet_can_come() -> None:
    """A new call gets another slot, and the old one with a new SSRC only after the time that echoes are waited for."""
    calls = RelayCalls()
    for number in range(CALLS_PER_GROUP):
        assert calls.reserve(f"call {number}", 0, 1)
    old_ssrc = int(calls.ssrc[5])
    calls.connect("call 5", 1, 4000)
    assert calls.release("call 5", 7) == 5
    assert not calls.reserve("new", 7 + ECHO_LOST_AFTER_NS - 1, 2)
    assert calls.slots_by_address(hosts(1), ports(4000)).tolist() == [5]
    assert not calls.is_live[5]
    assert calls.reserve("new", 7 + ECHO_LOST_AFTER_NS, 2)
    assert calls.slots_by_ssrc(hosts(old_ssrc)).tolist() == [-1]


def test_asterisk_may_use_the_port_of_an_ended_call_again() -> None:
    """The address goes over to the new call."""
    calls = RelayCalls()
    for call in ("old", "new"):
        calls.reserve(call, 0, 0)
    calls.connect("old", 1, 4000)
    calls.release("old", 0)
    calls.connect("new", 1, 4000)
    assert calls.slots_by_address(hosts(1), ports(4000)).tolist() == [1]


def test_two_live_calls_cannot_have_one_address() -> None:
    """Packets of two calls could not be told apart: refused."""
    calls = RelayCalls()
    for call in ("a", "b"):
        calls.reserve(call, 0, 0)
    calls.connect("a", 1, 4000)
    with pytest.raises(UsageError, match="another call"):
        calls.connect("b", 1, 4000)


def test_a_round_trip_lasts_from_sending_until_arrival() -> None:
    """Packets that come back are matched by call and sequence number, across the wrap."""
    stamps = EchoStamps()
    assert stamps.note_sent(slots(3, 3, 4), ports(65535, 0, 0), times(100, 200, 300)) == 0
    matches = stamps.match(slots(4, 3, 3), ports(0, 65535, 0), times(1300, 1100, 1201))
    assert matches.rtt_ns.tolist() == [1000, 1000, 1001]
    assert (matches.duplicates, matches.late) == (0, 0)


def test_a_second_copy_is_a_duplicate_in_the_same_batch_or_a_later_one() -> None:
    """Only the first copy has a round-trip time."""
    stamps = EchoStamps()
    stamps.note_sent(slots(0), ports(9), times(100))
    matches = stamps.match(slots(0, 0), ports(9, 9), times(150, 190))
    assert (matches.rtt_ns.tolist(), matches.duplicates, matches.late) == ([50], 1, 0)
    matches = stamps.match(slots(0), ports(9), times(200))
    assert (matches.rtt_ns.tolist(), matches.duplicates, matches.late) == ([], 1, 0)


def test_what_is_not_back_in_time_is_lost_and_then_late() -> None:
    """An entry is given up after 3 s, once; its packet no longer counts as a round trip."""
    stamps = EchoStamps()
    stamps.note_sent(slots(0, 0), ports(1, 2), times(SECOND, 2 * SECOND))
    assert stamps.expire(SECOND + ECHO_LOST_AFTER_NS) == 0
    assert stamps.expire(SECOND + ECHO_LOST_AFTER_NS + 1) == 1
    assert stamps.expire(SECOND + ECHO_LOST_AFTER_NS + 1) == 0
    matches = stamps.match(slots(0, 0), ports(1, 2), times(5 * SECOND, 3 * SECOND))
    assert (matches.rtt_ns.tolist(), matches.duplicates, matches.late) == ([SECOND], 0, 1)


def test_a_released_call_leaves_its_unanswered_packets_as_lost() -> None:
    """Ending a call settles its count: what is not back is lost, and nothing of it is left."""
    stamps = EchoStamps()
    stamps.note_sent(slots(0, 0, 1), ports(1, 2, 1), times(10, 20, 30))
    stamps.match(slots(0), ports(1), times(15))
    assert stamps.clear(0) == 1
    assert stamps.clear(0) == 0
    assert stamps.match(slots(0), ports(2), times(40)).late == 1
    assert stamps.match(slots(1), ports(1), times(40)).rtt_ns.tolist() == [10]


def test_an_entry_that_is_needed_again_gives_up_its_packet() -> None:
    """Memory is bounded by calls: 512 packets later an unanswered one is lost, even before its 3 s are over."""
    stamps = EchoStamps()
    stamps.note_sent(slots(0), ports(5), times(1))
    assert stamps.note_sent(slots(0), ports(5 + 512), times(2)) == 1
    assert stamps.match(slots(0), ports(5), times(3)).late == 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30), st.booleans()), max_size=60), st.data())
def test_every_packet_is_answered_lost_or_waited_for(events: list[tuple[int, int, bool]], data: st.DataObject) -> None:
    """Sent packets are answered or lost in the end, never both, whatever comes back in whatever batches."""
    stamps = EchoStamps()
    sent = {(slot, sequence) for slot, sequence, _ in events}
    order = sorted(sent)
    stamps.note_sent(slots(*(s for s, _ in order)), ports(*(n for _, n in order)), times(*[100] * len(order)))
    returned = [(slot, sequence) for slot, sequence, comes_back in events if comes_back]
    cut = data.draw(st.integers(0, len(returned)))
    answered = duplicates = 0
    for batch in (returned[:cut], returned[cut:]):
        matches = stamps.match(slots(*(s for s, _ in batch)), ports(*(n for _, n in batch)), times(*[200] * len(batch)))
        answered += len(matches.rtt_ns)
        duplicates += matches.duplicates
        assert matches.late == 0
    assert answered == len(set(returned))
    assert duplicates == len(returned) - answered
    assert stamps.expire(10 * SECOND) == len(sent) - answered
