import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.capture.kept_packets import CapturePolicy, PacketKeeper, parse_policy, rebuilt_packets
from pytest_ari_sla.errors import UsageError
from tests.unit.batches import START_NS, Packet, batch_of


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("worst:5", CapturePolicy("worst", 5)),
        (" failed ", CapturePolicy("failed")),
        ("all", CapturePolicy("all")),
        ("off", CapturePolicy("off")),
    ],
)
def test_a_policy_is_read(text: str, policy: CapturePolicy) -> None:
    """These four forms are all there are."""
    assert parse_policy(text) == policy


@pytest.mark.parametrize("text", ["", "worst", "worst:0", "worst:-1", "worst:x", "every", "allx"])
def test_anything_else_is_refused_with_the_forms_that_exist(text: str) -> None:
    """A typing mistake is found before the run."""
    with pytest.raises(UsageError, match="write worst:5, failed, all or off"):
        parse_policy(text)


def test_each_policy_chooses_its_calls() -> None:
    """Of four calls one failed, and another stands out."""
    calls = ["a", "b", "c", "d"]
    chosen = {
        text: parse_policy(text).chosen(calls, worst=["c", "b"], failed={"c"})
        for text in ("worst:1", "worst:5", "failed", "all", "off")
    }
    assert chosen == {"worst:1": ["c"], "worst:5": ["c", "b"], "failed": ["c"], "all": calls, "off": []}


def packets(count: int, leg: int = 0, first: int = 0) -> list[Packet]:
    """Return consecutive packets of a leg; sequence number, time and payload tell which is which."""
    return [
        Packet(leg=leg, sequence=n, arrival_ns=START_NS + n, payload=bytes([n % 256] * 4), ssrc=leg + 7, payload_type=8)
        for n in range(first, first + count)
    ]


@given(st.lists(st.integers(0, 2), max_size=60), st.integers(1, 8), st.integers(1, 60))
def test_the_last_packets_of_each_leg_are_kept_in_order_however_they_were_batched(
    legs: list[int], depth: int, size: int
) -> None:
    """The law of a ring: what is kept is the end of what came."""
    stream = [packets(1, leg, first=n)[0] for n, leg in enumerate(legs)]
    keeper = PacketKeeper(legs=3, depth=depth, payload_bytes=4)
    for start in range(0, len(stream), size):
        keeper.observe(batch_of(stream[start : start + size], width=4))
    for leg in range(3):
        expected = [packet for packet in stream if packet.leg == leg][-depth:]
        kept = keeper.take(leg)
        assert kept.header["sequence"].tolist() == [packet.sequence for packet in expected]
        assert kept.time_ns.tolist() == [packet.arrival_ns for packet in expected]
        assert [row.tobytes() for row in kept.payload] == [packet.payload for packet in expected]


def test_headers_are_kept_as_they_were_on_the_wire() -> None:
    """Marker, type, time stamp and source are put together again."""
    keeper = PacketKeeper(legs=1)
    packet = Packet(
        sequence=0x1234, timestamp=0x89ABCDEF, ssrc=0xDEADBEEF, payload_type=101, marker=True, payload=b"xy"
    )
    keeper.observe(batch_of([packet]))
    kept = keeper.take(0)
    assert kept.header.tobytes() == bytes.fromhex("80 e5 1234 89abcdef deadbeef")
    assert kept.length.tolist() == [2]
    assert kept.payload.shape == (1, 0)


def test_what_is_taken_does_not_change_any_more() -> None:
    """The ring goes on; the evidence stays."""
    keeper = PacketKeeper(legs=1, depth=2)
    keeper.observe(batch_of(packets(2)))
    taken = keeper.take(0)
    keeper.observe(batch_of(packets(2, first=5)))
    assert taken.header["sequence"].tolist() == [0, 1]


def test_a_leg_that_is_used_again_begins_empty() -> None:
    """A call's evidence holds no packet of the call before."""
    keeper = PacketKeeper(legs=1)
    keeper.observe(batch_of(packets(3)))
    keeper.reset(0)
    assert len(keeper.take(0)) == 0


def test_sent_packets_are_rebuilt_from_the_log_alone() -> None:
    """Numbers of packets that were not sent are used up; sequence number and time stamp wrap around."""
    rebuilt = rebuilt_packets(
        np.array([10, 0, 30], np.int64),
        first_sequence=65_534,
        first_timestamp=2**32 - 160,
        ticks_per_packet=160,
        ssrc=9,
        payload_type=0,
        payload_length=160,
    )
    assert rebuilt.time_ns.tolist() == [10, 30]
    assert rebuilt.header["sequence"].tolist() == [65_534, 0]
    assert rebuilt.header["timestamp"].tolist() == [2**32 - 160, 160]
    assert rebuilt.length.tolist() == [160, 160]
