"""Listening sockets of peers where there are no more open files."""

from __future__ import annotations

import errno
import socket
import time
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.peers.door import Door
from pytest_ari_sla.peers.ready_loop import REST_NS, ReadyLoop

if TYPE_CHECKING:
    from collections.abc import Iterator


class Failing(socket.socket):
    """A listener that cannot accept the first few times."""

    failures: tuple[int, ...] = ()
    tries = 0

    def accept(self) -> tuple[socket.socket, object]:
        """Fail, or accept."""
        self.tries += 1
        if self.tries <= len(self.failures):
            raise OSError(self.failures[self.tries - 1], "as the test says")
        return super().accept()


@pytest.fixture
def listener() -> Iterator[Failing]:
    """A listener with a client in its backlog."""
    with Failing() as made:
        made.bind(("127.0.0.1", 0))
        made.listen()
        with socket.create_connection(made.getsockname()):
            yield made


def served_one(listener: socket.socket) -> Door:
    """Run a loop until somebody was let in."""
    with ReadyLoop() as loop:

        def serve(tcp: socket.socket) -> None:
            tcp.close()
            loop.stop()

        door = Door(loop, listener, serve)
        loop.run(lambda: None, lambda: None)
    return door


@pytest.mark.parametrize(("number", "words"), [(errno.EMFILE, "ulimit -n"), (errno.ENFILE, "fs.file-max")])
def test_without_open_files_whoever_connects_waits_and_it_is_told_once(
    listener: Failing, number: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The loop goes on with all others, and does not spin."""
    listener.failures = (number, number)
    door = served_one(listener)
    assert (door.kept_waiting, listener.tries) == (2, 3)
    said = capsys.readouterr().err
    assert said.count("no more open files") == 1
    assert "of this tool" in said or number == errno.ENFILE
    assert words in said


def test_a_connection_that_is_gone_before_it_was_accepted_is_none(
    listener: Failing, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next one is served at once."""
    listener.failures = (errno.ECONNABORTED, errno.EPROTO)
    assert served_one(listener).kept_waiting == 0
    assert capsys.readouterr().err == ""


def test_a_socket_at_rest_may_be_forgotten(listener: Failing) -> None:
    """It is not watched again."""
    called: list[int] = []
    with ReadyLoop() as loop:

        def ready() -> None:
            called.append(time.monotonic_ns())
            loop.rest(listener)
            loop.forget(listener)

        loop.watch(listener, ready)
        loop.run(lambda: called[0] + 2 * REST_NS if called else None, loop.stop)
    assert len(called) == 1
