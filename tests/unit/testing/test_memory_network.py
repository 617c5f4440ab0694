from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.far_end.impairment import Impairment
from pytest_ari_sla.testing import ManualClock, MemoryNetwork

MS = 1_000_000


def received_numbers(impairment: Impairment, packets: int = 400) -> list[int]:
    """Send numbered datagrams every 20 ms, and return the numbers in order of arrival."""
    clock = ManualClock()
    network = MemoryNetwork(clock, impairment)
    sender, receiver = network.endpoint("sender"), network.endpoint("receiver")
    numbers = []
    for number in range(packets):
        sender.send(number.to_bytes(2), "receiver")
        clock.advance(20 * MS)
        numbers += [int.from_bytes(arrival.datagram) for arrival in receiver.receive()]
    clock.advance(1000 * MS)
    return numbers + [int.from_bytes(arrival.datagram) for arrival in receiver.receive()]


def test_a_good_network_delivers_everything_at_once_and_in_order() -> None:
    """Without faults a datagram is there in the moment that it is sent."""
    network = MemoryNetwork(ManualClock(7))
    sender, receiver = network.endpoint("a"), network.endpoint("b")
    sender.send(b"1", "b")
    sender.send(b"2", "b")
    assert receiver.receive() == [(7, "a", b"1"), (7, "a", b"2")]
    assert receiver.receive() == []


@given(delay_ms=st.integers(1, 500))
def test_a_datagram_arrives_when_its_delay_is_over_and_not_before(delay_ms: int) -> None:
    """The stamp is the moment of arrival, however late it is looked at."""
    clock = ManualClock(0)
    network = MemoryNetwork(clock, Impairment(delay_ns=delay_ms * MS))
    network.endpoint("a").send(b"x", "b")
    assert network.next_arrival_ns() == delay_ms * MS
    clock.advance(delay_ms * MS - 1)
    assert network.endpoint("b").receive() == []
    clock.advance(5 * MS)
    assert network.endpoint("b").receive() == [(delay_ms * MS, "a", b"x")]
    assert network.next_arrival_ns() is None


@given(seed=st.integers(0, 2**32 - 1))
def test_the_same_seed_makes_the_same_faults(seed: int) -> None:
    """Loss, duplication, jitter and reordering are decided by the seed alone."""
    faults = Impairment(loss=0.1, duplicate=0.1, reorder=0.1, delay_ns=10 * MS, jitter_ns=9 * MS, seed=seed)
    assert received_numbers(faults, 50) == received_numbers(faults, 50)


def test_loss_duplication_and_reordering_happen_as_asked_for() -> None:
    """Of 400 datagrams, shares near the ones asked for are lost, doubled, and overtaken."""
    assert 340 < len(received_numbers(Impairment(loss=0.1, seed=1))) < 380
    assert 420 < len(received_numbers(Impairment(duplicate=0.1, seed=1))) < 460
    numbers = received_numbers(Impairment(reorder=0.1, seed=1))
    assert sorted(numbers) == list(range(400))
    overtaken = sum(later < earlier for earlier, later in pairwise(numbers))
    assert 20 < overtaken < 60


def test_each_direction_can_be_bad_in_its_own_way() -> None:
    """One-way loss: what goes is lost, what comes back is not."""
    network = MemoryNetwork(ManualClock())
    network.impair("a", "b", Impairment(loss=1.0))
    network.endpoint("a").send(b"lost", "b")
    network.endpoint("b").send(b"heard", "a")
    assert network.endpoint("b").receive() == []
    assert [arrival.datagram for arrival in network.endpoint("a").receive()] == [b"heard"]


def test_a_datagram_is_a_copy() -> None:
    """The sender may use its buffer again while the datagram is on its way."""
    network = MemoryNetwork(ManualClock())
    buffer = bytearray(b"first")
    network.endpoint("a").send(buffer, "b")
    buffer[:] = b"other"
    assert network.endpoint("b").receive()[0].datagram == b"first"
