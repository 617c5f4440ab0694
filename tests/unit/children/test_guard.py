from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.children import guard, guarding
from pytest_ari_sla.children.channel import Channel
from pytest_ari_sla.children.wards import EndProgram, Release, RemoveFolder, RemoveResources
from tests.unit.ari_client.ari_server import PASSWORD, USER, FakeAri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Guards a folder, says who it and its guard are, and then ends in the way that its argument names.
_OWNER = """
import os, signal, sys
from pytest_ari_sla.children.guarding import guard_pid, protect
from pytest_ari_sla.children.wards import RemoveFolder
protect(RemoveFolder(path=sys.argv[1]))
print(guard_pid(), flush=True)
if sys.argv[2] == "forks":
    if os.fork() == 0:
        os.close(1)
        signal.pause()
if sys.argv[2] == "group":
    os.killpg(0, signal.SIGTERM)
if sys.argv[2] == "crash":
    os.abort()
os.kill(os.getpid(), signal.SIGKILL)
"""


def comes_true(condition: Callable[[], bool]) -> bool:
    """Wait up to ten seconds for a condition; return whether it came true."""
    deadline_s = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    return condition()


def is_running(pid: int) -> bool:
    """Whether a process exists and is not only waiting to be reaped."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with something in it."""
    (tmp_path / "folder" / "below").mkdir(parents=True)
    return tmp_path / "folder"


@pytest.fixture
def deaf() -> Iterator[subprocess.Popen[bytes]]:
    """Return a program that does not listen to SIGTERM."""
    code = "import signal; signal.signal(15, signal.SIG_IGN); print(1, flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        program.stdout.readline()
        yield program
        program.kill()


@pytest.mark.parametrize("ending", ["killed", "crash", "group", "forks"])
def test_what_a_dead_process_had_guarded_is_removed_and_the_guard_ends(folder: Path, ending: str) -> None:
    """Also when the signal went to its whole group, and when a child that it forked still holds the channel."""
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(folder), ending], stdout=subprocess.PIPE, start_new_session=True
    )
    assert owner.stdout is not None
    guard_number = int(owner.stdout.readline())
    owner.wait(10)
    assert comes_true(lambda: not folder.exists())
    assert comes_true(lambda: not is_running(guard_number))
    owner.stdout.close()
    if ending == "forks":
        os.killpg(owner.pid, signal.SIGKILL)


def test_what_was_released_is_left_alone(folder: Path) -> None:
    """The guard goes with the last thing that it guards."""
    first = guarding.protect(RemoveFolder(path=str(folder)))
    second = guarding.protect(RemoveFolder(path=str(folder / "below")))
    pid = guarding.guard_pid()
    assert pid is not None
    first.release()
    assert is_running(pid)
    second.release()
    second.release()
    assert not is_running(pid)
    assert guarding.guard_pid() is None
    assert (folder / "below").exists()


def test_a_guard_that_was_killed_is_replaced_by_one_that_knows_everything(folder: Path) -> None:
    """With the next thing to guard."""
    first = guarding.protect(RemoveFolder(path=str(folder)))
    pid = guarding.guard_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert comes_true(lambda: not is_running(pid))
    second = guarding.protect(RemoveFolder(path=str(folder / "below")))
    assert guarding.guard_pid() not in (None, pid)
    first.release()
    second.release()


def test_a_program_that_does_not_listen_is_killed(
    deaf: subprocess.Popen[bytes], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked first; the time that it has is shortened here. Its folder goes after it."""
    monkeypatch.setattr(guard, "GRACE_S", 0.1)
    wards = guard.Wards()
    wards.take(EndProgram(number=1), os.pidfd_open(deaf.pid))
    wards.take(RemoveFolder(number=2, path=str(folder)), None)
    wards.remove()
    assert deaf.wait(5) == -signal.SIGKILL
    assert not folder.exists()


def test_a_program_that_ended_before_is_left_in_peace(folder: Path) -> None:
    """Only the folder is left to remove."""
    program = subprocess.Popen(["sleep", "60"])
    wards = guard.Wards()
    wards.take(EndProgram(number=1), os.pidfd_open(program.pid))
    wards.take(RemoveFolder(number=2, path=str(folder)), None)
    program.kill()
    program.wait()
    wards.remove()
    assert not folder.exists()


def test_a_parent_that_died_before_the_guard_had_started_counts_as_dead(folder: Path) -> None:
    """What it had asked for by then is still done."""
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours: Channel[None] = Channel(control)
    ours.send(RemoveFolder(number=1, path=str(folder)))
    ours.send(RemoveFolder(number=2, path="/nonexistent"))
    ours.send(Release(2))
    not_our_parent = 1 << 30  # above the highest process id there can be
    with theirs:
        command = [sys.executable, "-m", "pytest_ari_sla.children.guard", str(not_our_parent), str(theirs.fileno())]
        assert subprocess.run(command, pass_fds=[theirs.fileno()], timeout=30).returncode == 0
    ours.close()
    assert not folder.exists()


async def test_a_guard_removes_what_carries_the_runs_prefix(tmp_path: Path) -> None:
    """Behind a proxy as well; the password is in neither its command line nor its environment."""
    import asyncio

    async with FakeAri() as fake_ari:
        for identity in ("sla-aaaaaa-001-0001.c1.", "sla-bbbbbb-001-0001.c1."):
            fake_ari.channels[identity] = {"id": identity}
        ward = RemoveResources(url=f"{fake_ari.url}/ari", user=USER, password=PASSWORD, prefix="sla-aaaaaa-001-")
        assert PASSWORD not in repr(ward)
        code = f"""
import sys, os, signal
import msgspec
from pytest_ari_sla.children.guarding import guard_pid, protect
from pytest_ari_sla.children.wards import RemoveResources
protect(msgspec.msgpack.decode(sys.stdin.buffer.read(), type=RemoveResources))
told = [open(f"/proc/{{guard_pid()}}/{{name}}", "rb").read() for name in ("cmdline", "environ")]
print(any(b"{PASSWORD}" in text for text in told), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
        import msgspec

        owner = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", code],
            input=msgspec.msgpack.encode(ward),
            capture_output=True,
            check=False,
        )
        assert owner.stdout.decode().strip() == "False", owner.stderr
        assert await asyncio.to_thread(comes_true, lambda: len(fake_ari.channels) == 1)
        assert list(fake_ari.channels) == ["sla-bbbbbb-001-0001.c1."]


def test_a_program_of_another_user_does_not_keep_the_rest_from_being_removed(
    folder: Path, deaf: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of an application that is started by sudo: the kernel lets nobody else end it."""

    def refuse(handle: int, number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
    monkeypatch.setattr(guard, "GRACE_S", 0.0)
    wards = guard.Wards()
    wards.take(EndProgram(number=1), os.pidfd_open(deaf.pid))
    wards.take(RemoveFolder(number=2, path=str(folder)), None)
    wards.remove()
    wards.take(Release(number=1), None)
    assert not folder.exists()
