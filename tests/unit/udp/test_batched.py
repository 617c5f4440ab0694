"""Both back ends, held to one class of tests: batches by the kernel, and the portable twin."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.udp import mmsg
from pytest_ari_sla.udp.batched import (
    BACKEND_VARIABLE,
    DatagramMemory,
    backend,
    make_burst,
    make_receiver,
    make_sender,
    make_timer,
    open_udp_socket,
)
from pytest_ari_sla.udp.datagrams import prepare_socket, receive_drops

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

WIDTH = 32
LOOPBACK = "127.0.0.1"


@pytest.fixture(
    params=[
        pytest.param("mmsg", marks=pytest.mark.skipif(not mmsg.is_available(), reason="no sendmmsg here")),
        "python",
    ],
    autouse=True,
)
def chosen_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run every test with each back end."""
    monkeypatch.setenv(BACKEND_VARIABLE, request.param)
    return str(request.param)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two bound sockets: one to send by, one to receive by."""
    with open_udp_socket((LOOPBACK, 0)) as sending, open_udp_socket((LOOPBACK, 0)) as receiving:
        yield sending, receiving


class Outbox:
    """Rows to send: row k holds k bytes of the value k, for the receiving socket."""

    def __init__(self, rows: int, receiving: socket.socket) -> None:
        self.memory = DatagramMemory.allocate(rows, WIDTH)
        for row in range(rows):
            self.memory.data[row] = row
            self.memory.length[row] = row
            self.memory.set_address(row, receiving.getsockname())
        self._sender = make_sender(self.memory)

    def refuse(self, row: int) -> None:
        """Let the kernel refuse a row: nobody can be sent to at port 0."""
        self.memory.address["port"][row] = 0

    def send(self, sending: socket.socket, *rows: int) -> int:
        """Send these rows, or all."""
        return self._sender.send_rows(sending, np.array(rows or range(len(self.memory)), np.intp))


def outbox_of_bytes(values: bytes, receiving: socket.socket) -> DatagramMemory:
    """Rows of one byte each, for the receiving socket."""
    memory = DatagramMemory.allocate(len(values), 1)
    memory.data[:, 0] = np.frombuffer(values, np.uint8)
    for row in range(len(values)):
        memory.set_address(row, receiving.getsockname())
    return memory


def received(receiving: socket.socket, rows: int = 64) -> list[bytes]:
    """Take out all that is there."""
    memory = DatagramMemory.allocate(rows, WIDTH)
    count = make_receiver(memory).receive(receiving, 0, rows)
    return [memory.data[row, : memory.length[row]].tobytes() for row in range(count)]


class TestBothBackEnds:
    """What the media loop, the relay and the echo server build on."""

    def test_the_chosen_one_is_used(self, chosen_backend: str) -> None:
        """The report says which one it was."""
        assert backend() == chosen_backend

    def test_a_batch_arrives_whole_and_in_order(self, ends: tuple[socket.socket, socket.socket]) -> None:
        """Each datagram in a row of its own, with its own length and its sender's address."""
        sending, receiving = ends
        outbox = Outbox(10, receiving)
        assert outbox.send(sending) == 10
        inbox = DatagramMemory.allocate(16, WIDTH)
        assert make_receiver(inbox).receive(receiving, 0, 16) == 10
        assert inbox.length[:10].tolist() == list(range(10))
        assert all((inbox.data[row, :row] == row).all() for row in range(10))
        host, port = sending.getsockname()
        assert set(inbox.address["port"][:10]) == {port}
        assert set(inbox.address["host"][:10]) == {int.from_bytes(bytes(map(int, host.split("."))))}

    def test_an_empty_socket_gives_nothing_at_once(self, ends: tuple[socket.socket, socket.socket]) -> None:
        """Draining by clock must never wait."""
        assert received(ends[1]) == []

    def test_no_more_than_asked_for_is_taken_and_only_those_rows_are_written(
        self, ends: tuple[socket.socket, socket.socket]
    ) -> None:
        """A ring is filled piece by piece; what lies before and behind is somebody's."""
        sending, receiving = ends
        Outbox(8, receiving).send(sending)
        inbox = DatagramMemory.allocate(16, WIDTH)
        inbox.length[:] = 99
        receiver = make_receiver(inbox)
        assert receiver.receive(receiving, 4, 3) == 3
        assert inbox.length.tolist() == [99] * 4 + [0, 1, 2] + [99] * 9
        assert receiver.receive(receiving, 7, 9) == 5

    def test_chosen_rows_are_sent_by_their_present_lengths(self, ends: tuple[socket.socket, socket.socket]) -> None:
        """In the order that was asked for; nothing to send is no system call gone wrong."""
        sending, receiving = ends
        outbox = Outbox(8, receiving)
        outbox.memory.length[5] = 2
        assert outbox.send(sending, 7, 1, 5) == 3
        assert received(receiving) == [b"\7" * 7, b"\1", b"\5\5"]
        assert make_sender(outbox.memory).send_rows(sending, np.array([], np.intp)) == 0

    def test_a_burst_shares_beginning_and_end(self, ends: tuple[socket.socket, socket.socket]) -> None:
        """What is rewritten between two sends is in all packets of the next one; only their middle is their own."""
        sending, receiving = ends
        memory = outbox_of_bytes(b"abc", receiving)
        before, after = bytearray(b"<<"), bytearray(b">")
        burst = make_burst(memory, before, after, sending, 2)
        assert burst.send(3) == 3
        before[:], after[:] = b"[[", b"]"
        assert burst.send(3, 1) == 2
        assert received(receiving) == [b"<<a>", b"<<b>", b"<<c>", b"[[b]", b"[[c]"]

    def test_a_burst_knows_when_its_rows_left(self, ends: tuple[socket.socket, socket.socket]) -> None:
        """Every so many-th, as far as the system tells: after it was handed over, and before it came."""
        sending, receiving = ends
        burst = make_burst(outbox_of_bytes(b"abc", receiving), bytearray(b"<"), bytearray(b">"), sending, 2)
        for _ in range(2):
            began_ns = time.time_ns()
            assert burst.send(3) == 3
            stamps_ns = burst.stamps_ns()
            inbox = DatagramMemory.allocate(8, WIDTH)
            assert make_receiver(inbox).receive(receiving, 0, 8) == 3
            arrival_ns = inbox.arrival_ns(slice(3)).tolist()
            assert len(stamps_ns) == (2 if backend() == "mmsg" else 0)
            times_ns = [began_ns, *(ns for pair in zip(stamps_ns, arrival_ns[::2], strict=False) for ns in pair)]
            assert times_ns == sorted(times_ns)

    @pytest.mark.parametrize("refused", [0, 1, 2])
    def test_a_burst_can_go_on_behind_a_refused_row(
        self, ends: tuple[socket.socket, socket.socket], refused: int
    ) -> None:
        """One leg with an impossible address must not silence the others of its slot."""
        sending, receiving = ends
        memory = outbox_of_bytes(b"abc", receiving)
        memory.address["port"][refused] = 0
        burst = make_burst(memory, bytearray(b"<"), bytearray(b">"), sending, 2)
        assert burst.send(3) == refused
        assert burst.send(3, refused + 1) == 2 - refused
        assert len(received(receiving)) == 2

    def test_a_datagram_that_is_too_long_is_known_by_filling_its_row(
        self, ends: tuple[socket.socket, socket.socket]
    ) -> None:
        """Rows are one byte wider than the longest packet that is wanted."""
        sending, receiving = ends
        for length in (WIDTH - 1, WIDTH, 5 * WIDTH):
            sending.sendto(bytes(length), receiving.getsockname())
        assert [len(datagram) for datagram in received(receiving)] == [WIDTH - 1, WIDTH, WIDTH]

    @pytest.mark.parametrize("refused", [0, 3, 5])
    def test_a_refused_row_ends_the_batch_before_it(
        self, ends: tuple[socket.socket, socket.socket], refused: int
    ) -> None:
        """The sender says how many left, so that nobody takes a packet for sent that never was."""
        sending, receiving = ends
        outbox = Outbox(6, receiving)
        outbox.refuse(refused)
        assert outbox.send(sending) == refused
        assert len(received(receiving)) == refused

    def test_an_old_icmp_error_hides_no_datagram(self, ends: tuple[socket.socket, socket.socket]) -> None:
        """A port that nobody has any more answers with an error, which the next receive call may report."""
        sending, receiving = ends
        with open_udp_socket((LOOPBACK, 0)) as gone:
            address = gone.getsockname()
        sending.connect(address)
        sending.send(b"nobody")
        sending.connect(receiving.getsockname())
        receiving.sendto(b"reply", sending.getsockname())
        assert [*received(sending), *received(sending)] == [b"reply"]

    def test_the_time_of_arrival_is_the_kernels(self, ends: tuple[socket.socket, socket.socket]) -> None:
        """A packet that waited 50 ms for us to read it has not arrived 50 ms later."""
        sending, receiving = ends
        before_ns = time.time_ns()
        Outbox(1, receiving).send(sending)
        after_ns = time.time_ns()
        time.sleep(0.05)
        inbox = DatagramMemory.allocate(1, WIDTH)
        assert make_receiver(inbox).receive(receiving, 0, 1) == 1
        assert before_ns <= inbox.arrival_ns(slice(1))[0] <= after_ns

    def test_a_timer_that_is_late_fires_once_and_keeps_its_beat(self) -> None:
        """However many times were missed, the next one is awaited at its own absolute time."""
        period_ns = 20_000_000
        first_ns = time.monotonic_ns() - 5 * period_ns - period_ns // 2
        timer = make_timer(first_ns, period_ns)
        timer.wait()
        timer.wait()
        assert time.monotonic_ns() >= first_ns + 6 * period_ns
        timer.close()

    def test_a_timer_fires_no_earlier_than_told(self) -> None:
        """Neither the first time nor later: a packet before its time would be measured as jitter."""
        period_ns = 2_000_000
        first_ns = time.monotonic_ns() + period_ns
        timer = make_timer(first_ns, period_ns)
        for number in range(5):
            timer.wait()
            assert time.monotonic_ns() >= first_ns + number * period_ns
        timer.close()


def test_an_unknown_back_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt name must not quietly measure with the slow one."""
    monkeypatch.setenv(BACKEND_VARIABLE, "mmmsg")
    with pytest.raises(UsageError, match=r"ARI_SLA_UDP is 'mmmsg'.*mmsg or python"):
        backend()


def test_drops_of_a_full_buffer_are_counted_by_the_kernel(ends: tuple[socket.socket, socket.socket]) -> None:
    """What was received and what was dropped make up what was sent, also when no packet follows the last drop."""
    sending, receiving = ends
    granted = prepare_socket(receiving, buffer_bytes=8192)
    assert granted.kernel_time
    assert receive_drops(receiving) == 0
    for _ in range(200):
        sending.sendto(bytes(20), receiving.getsockname())
    arrived = len(received(receiving, 200))
    assert 0 < arrived < 200
    assert receive_drops(receiving) == 200 - arrived
