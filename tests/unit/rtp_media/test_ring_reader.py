from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.rtp_media import ring_reader
from pytest_ari_sla.rtp_media.memory import Gauge
from pytest_ari_sla.rtp_media.ring_reader import NOBODY, RingReader, SourceTable
from pytest_ari_sla.rtp_media.send_log import MediaSendLog
from tests.unit.rtp_media.memories import NONCE, Schedule, make_memory
from tests.unit.rtp_media.ring import ASTERISK, OTHER_HOST, OTHER_PORT, RingWriter, probe, rtp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.rtp.packet_batch import PacketBatch
    from pytest_ari_sla.rtp_media.memory import MediaMemory


NEVER_NS = 1 << 62


class Ring(RingWriter):
    """A ring with its reader."""

    def __init__(self, memory: MediaMemory) -> None:
        super().__init__(memory)
        self.memory = memory
        self.sources = SourceTable(sockets=2, legs=memory.layout.legs)
        self.reader = RingReader(memory, MediaSendLog(memory), self.sources, NONCE)

    def read(self, most: int = 1 << 14) -> list[PacketBatch]:
        """Read all that is new; batches are copied, since the reader uses their memory again."""
        self.reader.look(to_the_end=True)
        return [batch.select(np.arange(len(batch))) for batch in self.reader.batches(NEVER_NS, most)]


@pytest.fixture
def ring() -> Iterator[Ring]:
    """A ring whose leg 3 expects packets from ASTERISK by socket 0."""
    memory = make_memory()
    ring = Ring(memory)
    ring.sources.expect(3, 0, ASTERISK)
    yield ring
    memory.close()


class TestSourceTable:
    """Who sent a packet is decided by known addresses, never by who came first."""

    def legs_of(self, table: SourceTable, socket: int, source: Address) -> int:
        """Look one packet up."""
        host = int.from_bytes(bytes(map(int, source[0].split("."))))
        return int(
            table.legs_of(np.array([socket], np.int16), np.array([source[1]], np.uint16), np.array([host], np.uint32))[
                0
            ]
        )

    def test_an_expected_source_is_its_legs(self) -> None:
        """By socket, port and host together: each of them alone is a stranger's."""
        table = SourceTable(sockets=2, legs=4)
        table.expect(2, 1, ASTERISK)
        assert self.legs_of(table, 1, ASTERISK) == 2
        assert self.legs_of(table, 0, ASTERISK) == NOBODY
        assert self.legs_of(table, 1, OTHER_PORT) == NOBODY
        assert self.legs_of(table, 1, OTHER_HOST) == NOBODY

    def test_one_port_can_serve_a_leg_on_each_socket(self) -> None:
        """Asterisks on two hosts use the same port numbers."""
        table = SourceTable(sockets=2, legs=4)
        table.expect(0, 0, ASTERISK)
        table.expect(1, 1, OTHER_HOST)
        assert self.legs_of(table, 0, ASTERISK) == 0
        assert self.legs_of(table, 1, OTHER_HOST) == 1

    def test_a_forgotten_source_is_a_stranger_again(self) -> None:
        """What comes late for a call that is over belongs to nobody: no released port stays in the map."""
        table = SourceTable(sockets=1, legs=4)
        table.expect(2, 0, ASTERISK)
        table.forget(0, ASTERISK)
        assert self.legs_of(table, 0, ASTERISK) == NOBODY
        table.expect(1, 0, ASTERISK)
        assert self.legs_of(table, 0, ASTERISK) == 1


def test_a_packet_becomes_a_row_of_a_batch(ring: Ring) -> None:
    """With its header, payload and the kernel's time of arrival."""
    ring.write(rtp(7, payload=b"hello", pt=0x80 | 8), arrival_ns=5_000_000_123)
    (batch,) = ring.read()
    assert batch.leg.tolist() == [3]
    assert batch.sequence.tolist() == [7]
    assert batch.timestamp.tolist() == [7 * 160]
    assert batch.ssrc.tolist() == [77]
    assert batch.payload_type.tolist() == [8]
    assert batch.marker.tolist() == [True]
    assert batch.arrival_ns.tolist() == [5_000_000_123]
    assert batch.payload_length.tolist() == [5]
    assert batch.payload[0, :5].tobytes() == b"hello"
    assert (batch.source_leg[0], batch.probe[0], batch.sent_ns[0], batch.intended_ns[0]) == (-1, -1, 0, 0)


def test_a_probe_brings_the_times_of_its_send_along(ring: Ring) -> None:
    """Looked up in the send log by the turn that it carries."""
    schedule = Schedule(ring.memory)
    schedule.turns(1, 2)
    schedule.start(5, slot=1, first_turn=2)
    due_ns = schedule.turn(1, late_ns=40)
    ring.write(rtp(payload=probe(5, 2)))
    (batch,) = ring.read()
    assert (batch.source_leg[0], batch.probe[0]) == (5, 0)
    assert (batch.sent_ns[0], batch.intended_ns[0]) == (due_ns + 40, due_ns)


@pytest.mark.parametrize(
    "payload",
    [probe(5, 2, nonce=1), probe(5, 2)[:15], probe(5, 900), probe(600, 2), b""],
    ids=["another run's", "cut off", "never sent", "of no leg", "none"],
)
def test_what_is_no_probe_of_ours_names_no_leg(ring: Ring, payload: bytes) -> None:
    """The packet itself counts, for it came from the right address."""
    schedule = Schedule(ring.memory)
    schedule.start(5)
    schedule.turns(0, 3)
    ring.write(rtp(payload=probe(5, 2)))  # leaves its bytes in the next round's row
    ring.read()
    ring.memory.gauges[Gauge.RING_HEAD] = ring.memory.gauges[Gauge.RING_TAIL] = 0
    ring.write(rtp(payload=payload))
    (batch,) = ring.read()
    assert batch.leg.tolist() == [3]
    assert batch.source_leg.tolist() == batch.probe.tolist() == [-1]


def test_who_sent_foreign_packets_is_told(ring: Ring) -> None:
    """By address and port; those of the leg's own peer are not among them."""
    for source in (OTHER_PORT, OTHER_HOST, OTHER_PORT, ASTERISK):
        ring.write(rtp(), source)
    ring.read()
    ring.write(rtp(), OTHER_PORT)
    ring.read()
    assert ring.reader.strangers == {f"{OTHER_PORT[0]}:{OTHER_PORT[1]}": 3, f"{OTHER_HOST[0]}:{OTHER_HOST[1]}": 1}
    assert ring.reader.foreign == 4


def test_a_flood_from_countless_addresses_takes_no_memory(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    """All are counted; so many are told apart."""
    monkeypatch.setattr(ring_reader, "MOST_STRANGERS", 2)
    for port in range(1, 5):
        ring.write(rtp(), ("10.9.9.9", port))
    ring.read()
    assert (len(ring.reader.strangers), ring.reader.foreign) == (2, 4)


def test_foreign_packets_are_counted_and_dropped(ring: Ring) -> None:
    """From another port, another host, by another socket: also if they carry the right probe."""
    ring.write(rtp(payload=probe(3, 0)), OTHER_PORT)
    ring.write(rtp(payload=probe(3, 0)), OTHER_HOST)
    ring.write(rtp(1))
    ring.write(rtp(payload=probe(3, 0)), socket=1)
    (batch,) = ring.read()
    assert batch.sequence.tolist() == [1]
    assert (ring.reader.foreign, ring.reader.malformed) == (3, 0)


@pytest.mark.parametrize(
    "datagram",
    [b"", b"not RTP", rtp(flags=0x40), rtp(flags=0x8F), rtp(pt=200), rtp(payload=bytes(200))],
    ids=["empty", "short", "version 1", "beyond its end", "RTCP", "too long for its row"],
)
def test_malformed_datagrams_are_counted_and_dropped(ring: Ring, datagram: bytes) -> None:
    """From a leg's own address, but no RTP packet: nothing that a tracker should see."""
    ring.write(datagram)
    assert ring.read() == []
    assert (ring.reader.foreign, ring.reader.malformed) == (0, 1)
    assert ring.waiting == 0


def test_a_foreign_datagram_is_foreign_whatever_it_holds(ring: Ring) -> None:
    """It counts once."""
    ring.write(b"scan", OTHER_HOST)
    assert ring.read() == []
    assert (ring.reader.foreign, ring.reader.malformed) == (1, 0)


def test_payloads_behind_longer_headers_are_found(ring: Ring) -> None:
    """Contributing sources, an extension and padding, beside plain packets in one batch (RFC 3550, 5.1 and 5.3.1)."""
    extension = bytes([0xBE, 0xDE, 0, 1]) + b"data"
    ring.write(rtp(1, payload=b"plain"))
    ring.write(rtp(2, payload=b"mixed", flags=0x82, extra=b"CSRCcsrc"))
    ring.write(rtp(3, payload=b"extended", flags=0x90, extra=extension))
    ring.write(rtp(4, payload=b"padded" + bytes([0, 0, 3]), flags=0xA0))
    (batch,) = ring.read()
    payloads = [
        row[:length].tobytes() for row, length in zip(batch.payload, batch.payload_length.tolist(), strict=True)
    ]
    assert payloads == [b"plain", b"mixed", b"extended", b"padded"]


def test_a_probe_behind_a_longer_header_counts(ring: Ring) -> None:
    """An Asterisk that adds an extension does not hide it."""
    schedule = Schedule(ring.memory)
    schedule.start(5)
    schedule.turns(0, 1)
    ring.write(rtp(payload=probe(5, 0), flags=0x81, extra=b"CSRC"))
    (batch,) = ring.read()
    assert (batch.source_leg[0], batch.probe[0]) == (5, 0)


@given(st.lists(st.integers(0, 16), max_size=12), st.integers(1, 20))
def test_every_packet_is_read_once_and_in_order(bursts: list[int], most: int) -> None:
    """However many come between two looks, and wherever the ring's end cuts a batch."""
    memory = make_memory(ring_rows=16)
    ring = Ring(memory)
    ring.sources.expect(0, 0, ASTERISK)
    written, read = 0, []
    for burst in bursts:
        for _ in range(burst):
            ring.write(rtp(written))
            written += 1
        read += [number for batch in ring.read(most) for number in batch.sequence.tolist()]
        assert ring.waiting == 0
    assert read == list(range(written))
    memory.close()


def test_rows_are_given_back_only_when_their_batch_is_done_with(ring: Ring) -> None:
    """A batch is a view of the ring: the loop must not write over it while a tracker looks."""
    for number in range(4):
        ring.write(rtp(number))
    ring.reader.look(to_the_end=True)
    batches = ring.reader.batches(NEVER_NS, most=2)
    next(batches)
    assert ring.waiting == 4
    next(batches)
    assert ring.waiting == 2
    assert list(batches) == []
    assert ring.waiting == 0
