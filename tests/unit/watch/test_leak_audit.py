"""Readings of a process that really takes and keeps things, and what the audit of it says."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from pytest_ari_sla.ari.endpoint import AriEndpoint
from pytest_ari_sla.watch import leak_audit
from pytest_ari_sla.watch.holdings import Holdings, read_holdings, server_at
from pytest_ari_sla.watch.leak_audit import LeakAudit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

PROGRAM = Path(__file__).with_name("leaking.py")


class Leaking:
    """The process.

    Attributes
    ----------
    port
        Where its server listens.
    """

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.port = int(self._answer())

    def do(self, what: str) -> None:
        """Let it take something."""
        assert self.process.stdin is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        assert self._answer() == "done\n"

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def reading(self) -> Holdings:
        """Return what it holds."""
        found = read_holdings(self.process.pid, self.port)
        assert found is not None
        return found

    def end(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def leaking() -> Iterator[Leaking]:
    """Return a process that keeps what it takes."""
    leaking = Leaking()
    yield leaking
    leaking.end()


def test_descriptors_are_told_apart(leaking: Leaking) -> None:
    """By what the kernel says of them."""
    before = leaking.reading()
    for what in ("udp 5", "eventfd 3", "pipe 1", "file 2"):
        leaking.do(what)
    after = leaking.reading()
    grown = {kind: number - before.files.get(kind, 0) for kind, number in after.files.items()}
    assert {kind: number for kind, number in grown.items() if number} == {
        "UDP sockets": 5,
        "eventfds": 3,
        "pipes": 2,
        "files": 2,
    }
    assert after.all_files - before.all_files == 12
    assert after.udp_sockets - before.udp_sockets == 5
    assert after.memory_bytes > 0


def test_threads_are_counted_but_for_those_of_the_servers_clients(leaking: Leaking) -> None:
    """Asterisk has a thread and a descriptor for each connection: those are ours, and end with us."""
    before = leaking.reading()
    leaking.do("thread 4")
    assert leaking.reading().threads - before.threads == 4
    with socket.create_connection(("127.0.0.1", leaking.port)):
        leaking.do("accept")
        now = leaking.reading()
        assert now.all_files == before.all_files
        assert now.threads - before.threads == 4 - 1


def test_a_server_is_found_by_its_port(leaking: Leaking) -> None:
    """Where it is the program that is looked for."""
    assert server_at(leaking.port, "leaking.py") == leaking.process.pid
    assert server_at(leaking.port) is None
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        assert server_at(nobody.getsockname()[1], "") is None


def test_a_process_that_has_gone_holds_nothing(leaking: Leaking) -> None:
    """Nor is a zombie read."""
    leaking.process.kill()
    os.waitid(os.P_PID, leaking.process.pid, os.WEXITED | os.WNOWAIT)
    assert read_holdings(leaking.process.pid, leaking.port) is None
    leaking.process.wait()
    assert read_holdings(leaking.process.pid, leaking.port) is None


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for long for what does not come back."""
    monkeypatch.setattr(leak_audit, "GRACE_S", 0.3)


@pytest.fixture
def channels() -> list[str]:
    """Return the channels that its ARI lists."""
    return []


@pytest.fixture
async def audit(leaking: Leaking, channels: list[str]) -> AsyncIterator[LeakAudit]:
    """Return an audit of it, whose channels are listed elsewhere: it is no Asterisk."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response([{"id": name} for name in channels])

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint = AriEndpoint(f"http://127.0.0.1:{runner.addresses[0][1]}/ari", "u", "p")
    yield LeakAudit(leaking.process.pid, endpoint, is_ours=False)
    await runner.cleanup()


async def test_what_is_kept_is_told(audit: LeakAudit, leaking: Leaking) -> None:
    """In the words of the report, and as figures."""
    await audit.begin()
    leaking.do("udp 38")
    found = await audit.end(400, 20, tls=True)
    assert found.notes == ("after 400 calls Asterisk holds 38 file descriptors more than before: 38 UDP sockets",)
    assert found.values["target.leaked_ports"] == 38


async def test_what_is_given_back_a_little_later_is_not_leaked(
    audit: LeakAudit, leaking: Leaking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asterisk's channels end after they were hung up."""
    monkeypatch.setattr(leak_audit, "GRACE_S", 60.0)
    await audit.begin()
    leaking.do("udp 38")
    ending = asyncio.create_task(audit.end(400, 20, tls=True))
    await asyncio.sleep(0.2)
    leaking.do("release")
    found = await ending
    assert found.notes == ()
    assert found.values["target.leaked_files"] == 0


async def test_next_load_begins_with_what_there_is(audit: LeakAudit, leaking: Leaking) -> None:
    """What one load has leaked is not told of the next one."""
    leaking.do("udp 38")
    await audit.begin()
    assert (await audit.end(400, 20, tls=True)).values["target.leaked_files"] == 0


async def test_channels_that_are_up_explain_what_is_held(
    audit: LeakAudit, leaking: Leaking, channels: list[str]
) -> None:
    """Whoever they belong to."""
    await audit.begin()
    leaking.do("udp 38")
    channels += ["one", "other"]
    found = await audit.end(400, 20, tls=True)
    assert found.values == {}
    assert "2 channels that may need them" in found.notes[0]


async def test_of_an_asterisk_that_has_ended_nothing_is_told(audit: LeakAudit, leaking: Leaking) -> None:
    """Others tell of that."""
    await audit.begin()
    leaking.end()
    found = await audit.end(400, 20, tls=True)
    assert (found.values, found.notes) == ({}, ())
