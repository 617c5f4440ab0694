"""Processes of ours: told over their socket, ended with it, and never left behind."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from pytest_ari_sla.children.channel import Channel
from pytest_ari_sla.children.child import Child
from tests.unit.children.parrot import Word

PARROT = "tests.unit.children.parrot"


@pytest.fixture(autouse=True)
def _find_the_parrot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children do not look for modules in the present folder."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))


def test_a_child_hears_messages_and_answers_with_descriptors() -> None:
    """Each message is whole, and a descriptor that came with it can be sent back."""
    child = Child(PARROT, grace_s=30.0)
    channel: Channel[Word] = Channel(child.control, Word)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel.send(Word("hello"))
        channel.send(Word("take this"), theirs.fileno())
        first, second = channel.receive(), channel.receive()
        assert first is not None
        assert (first.message, first.handle) == (Word("hello"), None)
        assert second is not None
        assert second.handle is not None
        with socket.socket(fileno=second.handle) as returned:
            returned.sendall(b"!")
        assert ours.recv(1) == b"!"
    assert child.end() == 0


def test_a_child_ends_with_its_socket_and_says_how() -> None:
    """In order, without being killed; ending it twice does no harm."""
    child = Child(PARROT, grace_s=30.0)
    assert not child.has_ended
    assert child.end() == 0 == child.end()
    assert child.ending() == "ended with exit code 0"


def test_a_child_that_does_not_end_is_killed() -> None:
    """The grace is over at once here."""
    child = Child(PARROT, ["stubborn"], grace_s=0.0)
    channel: Channel[Word] = Channel(child.control, Word)
    channel.send(Word("are you there?"))
    assert channel.receive() is not None
    assert child.end() == -signal.SIGKILL
    assert child.ending() == "was ended by signal 9 (SIGKILL)"


def test_the_end_of_a_child_is_the_end_of_its_channel() -> None:
    """What it said before is still received."""
    child = Child(PARROT)
    channel: Channel[Word] = Channel(child.control, Word)
    channel.send(Word("last words"))
    os.kill(child.pid, 0)
    assert channel.receive() is not None
    assert not channel.is_over()
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert channel.is_over()
    assert channel.receive() is None
    assert child.has_ended
    child.end()


def test_a_module_of_the_present_folder_takes_nobodys_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders with tests have files called ``select.py`` or ``socket.py``; ours import the real ones."""
    (tmp_path / "msgspec.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert Child(PARROT, grace_s=30.0).end() == 0


def test_a_child_that_cannot_be_started_leaves_no_socket_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever starts it is told."""
    before = set(os.listdir("/proc/self/fd"))
    monkeypatch.setattr("sys.executable", "/nonexistent")
    with pytest.raises(FileNotFoundError):
        Child(PARROT)
    assert set(os.listdir("/proc/self/fd")) == before
