from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from pytest_ari_sla.ari_client.tls import held_certificates
from pytest_ari_sla.children import guard, guarding
from pytest_ari_sla.children.channel import Channel
from pytest_ari_sla.children.wards import EndProgram, Release, RemoveFolder, RemoveResources
from pytest_ari_sla.settings import TlsTrust
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


# Forks while its lock is held, as by another thread, and says how its child ended that released its copy of the ward.
_FORKER = """
import os, signal, sys
from pytest_ari_sla.children import guarding
from pytest_ari_sla.children.wards import RemoveFolder
protection = guarding.protect(RemoveFolder(path=sys.argv[1]))
with guarding._current._lock:
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        protection.release()
        os._exit(0)
    print(os.waitpid(child, 0)[1])
protection.release()
"""


def test_a_child_that_was_forked_while_a_thread_spoke_to_the_guard_does_not_hang(folder: Path) -> None:
    """The lock that it inherits is released by nobody."""
    command = [sys.executable, "-c", _FORKER, str(folder)]
    assert subprocess.run(command, capture_output=True, timeout=30, check=True).stdout == b"0\n"


def test_what_no_guard_could_be_told_is_forgotten(
    folder: Path, deaf: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its descriptor is closed; what is guarded next gets a guard that knows nothing of it."""
    ours = guarding._Guard()

    def refuse(*arguments: object, **options: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")  # as fork does where there are too many

    handle = os.pidfd_open(deaf.pid)
    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patched:
        patched.setattr(guarding, "Child", refuse)
        with pytest.raises(BlockingIOError):
            ours.take(EndProgram(), handle)
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(handle)
    told: list[object] = []
    monkeypatch.setattr(guarding, "_send", lambda child, order, handle: told.append(order))
    protection = ours.take(RemoveFolder(path=str(folder)), None)
    protection.release()
    assert told == [RemoveFolder(number=2, path=str(folder))]


def test_a_guard_that_could_not_be_told_everything_is_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what it missed would be guarded by nobody."""
    ours = guarding._Guard()
    first = ours.take(RemoveFolder(path=str(folder)), None)
    told: list[object] = []

    def break_off(child: object, order: object, handle: object) -> None:
        told.append(order)
        if len(told) < 3:
            raise BrokenPipeError

    monkeypatch.setattr(guarding, "_send", break_off)
    with pytest.raises(BrokenPipeError):
        ours.take(RemoveFolder(path="/second"), None)
    third = ours.take(RemoveFolder(path="/third"), None)
    assert told[2:] == [RemoveFolder(number=1, path=str(folder)), RemoveFolder(number=3, path="/third")]
    first.release()
    third.release()


def test_a_ca_file_that_is_gone_costs_only_what_needs_it(folder: Path, tmp_path: Path) -> None:
    """The certificates come with the order; without them, the rest is removed all the same."""
    gone = TlsTrust(str(tmp_path / "gone.pem"))
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours: Channel[None] = Channel(control)
    ward = RemoveResources(number=1, url="https://localhost:1/ari", user="u", password="p", prefix="sla-", trust=gone)
    ours.send(ward)
    ours.send(RemoveFolder(number=2, path=str(folder)))
    ours.close()
    with theirs:
        command = [sys.executable, "-m", "pytest_ari_sla.children.guard", "1", str(theirs.fileno())]
        assert subprocess.run(command, pass_fds=[theirs.fileno()], timeout=30, capture_output=True).returncode == 0
    assert not folder.exists()


async def test_a_guard_believes_a_ca_whose_file_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of certificates may be as short-lived as the test that made it."""
    import asyncio

    monkeypatch.setattr(guard, "PATIENCE_S", 0.0)
    ca_file = tmp_path / "ca.pem"
    authority = trustme.CA()
    authority.cert_pem.write_to_path(ca_file)
    trust = TlsTrust(str(ca_file))
    handle = held_certificates(trust)
    ca_file.unlink()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with FakeAri(context) as fake_ari:
        fake_ari.channels["sla-aaaaaa-001-c1"] = {"id": "sla-aaaaaa-001-c1"}
        wards = guard.Wards()
        ward = RemoveResources(
            number=1, url=f"{fake_ari.url}/ari", user=USER, password=PASSWORD, prefix="sla-", trust=trust
        )
        wards.take(ward, handle)
        await asyncio.to_thread(wards.remove)
        assert not fake_ari.channels
    wards.take(Release(number=1), None)
