from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from pytest_ari_sla.errors import PortsExhausted, UsageError
from pytest_ari_sla.peers.control import Release, Reserve, TakeSnapshot, decode_reply, encode
from pytest_ari_sla.peers.ready_loop import LONGEST_WAIT_NS, STALL_NS, ControlSession, ReadyLoop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_ari_sla.peers.control import AnyRequest


@pytest.fixture
def loop() -> Iterator[ReadyLoop]:
    """A loop that watches nothing yet."""
    with ReadyLoop() as made:
        yield made


def test_a_deadline_is_kept_while_nothing_is_ready(loop: ReadyLoop) -> None:
    """What is due is done at its time, not before, and each time again."""
    due_ns = time.monotonic_ns() + 3_000_000
    called_ns: list[int] = []

    def act() -> None:
        called_ns.append(time.monotonic_ns())
        if len(called_ns) == 3:
            loop.stop()

    loop.run(lambda: due_ns + 2_500_000 * len(called_ns), act)
    assert all(called >= due_ns + 2_500_000 * number for number, called in enumerate(called_ns))


def test_stopping_wakes_a_loop_that_waits_for_nothing(loop: ReadyLoop) -> None:
    """A loop without deadline ends when another thread, or a signal handler, says so."""
    thread = threading.Thread(target=loop.run, args=(lambda: None, lambda: None))
    thread.start()
    loop.stop()
    thread.join(5)
    assert not thread.is_alive()
    loop.stop()  # twice does no harm


def test_a_loop_that_stood_still_knows_for_how_long(loop: ReadyLoop) -> None:
    """Whatever it was doing; what it waits for idly is not a stall."""
    ours, theirs = socket.socketpair()

    def stand_still() -> None:
        assert loop.stalls.count == 0
        loop.forget(ours)
        time.sleep((STALL_NS + LONGEST_WAIT_NS) / 1e9)

    with ours, theirs:
        threading.Timer(2 * LONGEST_WAIT_NS / 1e9, theirs.send, (b"x",)).start()
        loop.watch(ours, stand_still)
        loop.run(lambda: 0 if loop.stalls.count else None, loop.stop)
    assert loop.stalls.count == 1
    assert loop.stalls.max >= STALL_NS


def test_a_socket_that_another_one_closed_is_not_called(loop: ReadyLoop) -> None:
    """Of two that are ready at once, the first may end the second: its number may be somebody else's by then."""
    called = []
    pairs = [socket.socketpair() for _ in range(2)]

    def end_all(number: int) -> None:
        called.append(number)
        for ours, theirs in pairs:
            loop.forget(ours)
            ours.close()
            theirs.close()
        loop.stop()

    for number, (ours, theirs) in enumerate(pairs):
        theirs.send(b"x")
        loop.watch(ours, lambda number=number: end_all(number))  # type: ignore[misc]  # binds the loop's variable
    loop.run(lambda: None, lambda: None)
    assert len(called) == 1


def answers(request: AnyRequest) -> Any:
    """Answer, refuse, or run out of ports."""
    if isinstance(request, Reserve):
        raise PortsExhausted("no port left", leased=3, resting=4)
    if isinstance(request, Release):
        raise UsageError("no such call")
    return {"of": request.number}


def test_a_session_answers_refuses_and_ends_with_its_connection(loop: ReadyLoop) -> None:
    """Results, refusals and exhausted ports reach the client; when it closes, the session says so once."""
    ours, theirs = socket.socketpair()
    ends: list[bool] = []

    def closed() -> None:
        ends.append(True)
        loop.stop()

    ControlSession(loop, ours, answers, closed).greet("hello")
    for request in (TakeSnapshot(number=1), Reserve(number=2, call="a"), Release(number=3, call="a")):
        theirs.sendall(encode(request))
    theirs.shutdown(socket.SHUT_WR)
    loop.run(lambda: None, lambda: None)
    with theirs:
        greeting, answer, exhausted, refused = map(decode_reply, theirs.recv(1 << 16).splitlines())
    assert (greeting.number, greeting.result) == (0, "hello")
    assert (answer.number, answer.result) == (1, {"of": 1})
    assert (exhausted.error, exhausted.leased, exhausted.resting) == ("no port left", 3, 4)
    assert (refused.number, refused.error) == (3, "no such call")
    assert ends == [True]
