from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.ari_client.session import AriSession
from pytest_ari_sla.errors import AsteriskCrashed, AsteriskStartFailed, UsageError
from pytest_ari_sla.targets.asterisk import private as private_asterisk
from pytest_ari_sla.targets.asterisk.installation import find_installation
from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk

if TYPE_CHECKING:
    from collections.abc import Callable

# Starts an Asterisk, says its process id and folder, and waits for what its argument names.
_OWNER = """
import sys, time
from pytest_ari_sla.targets.asterisk.installation import find_installation
from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
asterisk = PrivateAsterisk(sys.argv[1])
asterisk.start()
print(asterisk.pid, asterisk.log_path.parent.parent, flush=True)
if sys.argv[2] == "stay":
    time.sleep(60)
"""


def status_of(asterisk: PrivateAsterisk, *, authorization: str, path: str = "/asterisk/info") -> int:
    """Ask ARI, for its version unless told otherwise, and return the HTTP status."""
    connection = http.client.HTTPConnection(asterisk.endpoint.host, asterisk.endpoint.port, timeout=5)
    connection.request("GET", f"/ari{path}", headers={"Authorization": authorization})
    status = connection.getresponse().status
    connection.close()
    return status


def bound_addresses(pid: int) -> list[tuple[str, str, int]]:
    """Return protocol, address and port of each network socket of a process that is bound and not connected."""
    links = (os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir())
    inodes = {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:")}
    found = []
    for protocol in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{protocol}").read_text().splitlines()[1:]:
            _, local, remote, *_, inode = line.split()[:10]
            if inode in inodes and remote.endswith(":0000"):
                host, port = local.split(":")
                # The kernel prints addresses as numbers of this machine's byte order.
                found.append((protocol, socket.inet_ntoa(bytes.fromhex(host)[::-1][-4:]), int(port, 16)))
    return found


def is_running(pid: int) -> bool:
    """Whether a process exists and is not only waiting to be reaped."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def comes_true(condition: Callable[[], bool], within_s: float = 10.0) -> bool:
    """Wait for a condition; return whether it came true."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.05)
    return True


def test_it_answers_with_its_own_credentials_only(asterisk: PrivateAsterisk) -> None:
    """ARI is ready when start returns; a wrong password is refused."""
    assert status_of(asterisk, authorization=asterisk.endpoint.authorization) == 200
    assert status_of(asterisk, authorization="Basic YXJpLXNsYTp3cm9uZw==") == 401
    assert asterisk.target.kind == "private"
    assert asterisk.target.version == asterisk.version
    assert asterisk.password not in repr(asterisk.target)


def test_it_listens_on_the_loopback_address_only(asterisk: PrivateAsterisk) -> None:
    """Nobody on the network can reach it: ARI and SIP are on 127.0.0.1.

    PJSIP's resolver has two sockets more, on any port, that take answers of name servers; no name is ever asked for.
    """
    bound = bound_addresses(asterisk.pid)
    served = [one for one in bound if one[0].startswith("tcp") or one[2] == asterisk.sip_port]
    expected = [("tcp", asterisk.endpoint.port), ("tcp", asterisk.sip_port), ("udp", asterisk.sip_port)]
    assert sorted(served) == sorted((kind, "127.0.0.1", port) for kind, port in expected)
    assert sorted(kind for kind, *_ in set(bound) - set(served)) == ["udp", "udp6"]


def test_its_console_takes_commands(asterisk: PrivateAsterisk) -> None:
    """The command line tool of Asterisk reaches this one and no other."""
    assert asterisk.version in asterisk.cli("core show version")
    assert "Echo()" in asterisk.cli("dialplan show default")


async def test_media_comes_back_from_its_echo_extension(asterisk: PrivateAsterisk) -> None:
    """ExternalMedia, codecs, and the dialplan are there: what is sent to Echo() returns."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind((asterisk.media_host, 0))
        ours.setblocking(False)
        async with AriSession(asterisk.url, asterisk.user, asterisk.password, app="echo", id_prefix="pa1") as session:
            channel_id = session.new_id("channel")
            host, port = ours.getsockname()
            media = await session.external_media(channel_id, f"{host}:{port}", "ulaw")
            await session.watch(channel_id).in_stasis()
            await session.continue_in_dialplan(channel_id, "default", "echo")
            payload = await echo_of(ours, media.local_address)
    assert payload == b"\x55" * 160


async def echo_of(ours: socket.socket, address: tuple[str, int]) -> bytes:
    """Send RTP packets until one comes back; return its payload."""
    loop = asyncio.get_running_loop()
    for sequence in range(250):
        header = b"\x80\x00" + sequence.to_bytes(2) + (160 * sequence).to_bytes(4) + b"ssrc"
        await loop.sock_sendto(ours, header + b"\x55" * 160, address)
        try:
            return (await asyncio.wait_for(loop.sock_recv(ours, 2048), 0.02))[12:]
        except TimeoutError:
            continue
    pytest.fail("nothing came back within 5 s")


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_its_sip_asks_a_caller_for_the_password(asterisk: PrivateAsterisk, protocol: str) -> None:
    """A call with our user's name comes to the endpoint that has it, over both transports."""
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as ours:
        ours.settimeout(30)
        ours.connect((asterisk.address, asterisk.sip_port))
        host, port = ours.getsockname()
        lines = [
            f"INVITE sip:echo@{asterisk.address}:{asterisk.sip_port} SIP/2.0",
            f"Via: SIP/2.0/{protocol.upper()} {host}:{port};branch=z9hG4bK-1",
            "Max-Forwards: 70",
            f"From: <sip:{asterisk.user}@{host}>;tag=1",
            f"To: <sip:echo@{asterisk.address}>",
            f"Call-ID: {protocol}-{port}",
            "CSeq: 1 INVITE",
            f"Contact: <sip:{asterisk.user}@{host}:{port};transport={protocol}>",
            "Content-Length: 0",
        ]
        ours.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = ours.recv(4096).decode()
    assert answer.startswith("SIP/2.0 401")
    assert "WWW-Authenticate: Digest" in answer


def test_two_run_side_by_side(asterisk22: PrivateAsterisk, asterisk16: PrivateAsterisk) -> None:
    """Each has its own port, password, console and folder."""
    assert asterisk22.url != asterisk16.url
    assert asterisk22.password != asterisk16.password
    assert status_of(asterisk22, authorization=asterisk16.endpoint.authorization) == 401
    assert asterisk22.version in asterisk22.cli("core show version")
    assert asterisk16.version in asterisk16.cli("core show version")


def test_a_crash_is_noticed_and_told_with_signal_and_log(asterisk_folder: Path) -> None:
    """Whoever asks next hears how Asterisk ended; it is not taken for a network problem."""
    with PrivateAsterisk(asterisk_folder) as asterisk:
        assert asterisk.alive
        os.kill(asterisk.pid, signal.SIGSEGV)
        assert comes_true(lambda: not asterisk.alive)
        with pytest.raises(AsteriskCrashed, match=r"ended by signal 11 \(SIGSEGV\)") as caught:
            asterisk.cli("core show version")
        assert "modules will be loaded" in caught.value.log_tail


def test_nothing_is_left_after_a_stop(asterisk_folder: Path, tmp_path: Path) -> None:
    """Process and folder are gone; the end of the log can still be read; a second stop does no harm."""
    asterisk = PrivateAsterisk(asterisk_folder, workdir=tmp_path)
    asterisk.start()
    pid = asterisk.pid
    assert asterisk.log_path.is_relative_to(tmp_path)
    asterisk.stop()
    asterisk.stop()
    assert not is_running(pid)
    assert list(tmp_path.iterdir()) == []
    assert "modules will be loaded" in asterisk.log_tail()
    with pytest.raises(UsageError, match="not running"):
        asterisk.ensure_alive()


def test_it_can_be_started_again(asterisk_folder: Path) -> None:
    """A test may restart its target; starting it twice without a stop is a mistake."""
    asterisk = PrivateAsterisk(asterisk_folder)
    with asterisk, pytest.raises(UsageError, match="started already"):
        asterisk.start()
    with asterisk:
        assert status_of(asterisk, authorization=asterisk.endpoint.authorization) == 200


@pytest.mark.parametrize("end", ["leave", "kill"])
def test_nothing_is_left_when_its_owner_ends(asterisk_folder: Path, end: str) -> None:
    """Neither after an owner that forgets to stop it, nor after one that is killed and can do nothing."""
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(asterisk_folder), "stay" if end == "kill" else "leave"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    pid, folder = owner.stdout.readline().split()
    if end == "kill":
        assert is_running(int(pid))
        owner.kill()
    owner.communicate(timeout=20)
    assert comes_true(lambda: not is_running(int(pid)))
    assert comes_true(lambda: not Path(folder).exists())


@pytest.mark.parametrize("protocol", ["ARI", "SIP"])
def test_a_port_that_is_taken_is_told_as_such(asterisk_folder: Path, tmp_path: Path, protocol: str) -> None:
    """Asterisk itself would go on without ARI, or without SIP."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        ari_port, sip_port = (port, None) if protocol == "ARI" else (None, port)
        asterisk = PrivateAsterisk(asterisk_folder, ari_port=ari_port, sip_port=sip_port, workdir=tmp_path)
        told = rf"port {port} on 127\.0\.0\.1, where its {protocol} should listen, is taken"
        with pytest.raises(AsteriskStartFailed, match=told):
            asterisk.start()
    assert list(tmp_path.iterdir()) == []


def test_another_port_is_tried_when_the_chosen_one_is_lost(
    asterisk_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between our choice and Asterisk's bind somebody else may take the port."""
    choose = private_asterisk._free_port
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        lost = [stranger.getsockname()[1]]
        monkeypatch.setattr(private_asterisk, "_free_port", lambda *kinds: lost.pop() if lost else choose(*kinds))
        with PrivateAsterisk(asterisk_folder) as asterisk:
            assert status_of(asterisk, authorization=asterisk.endpoint.authorization) == 200


def test_a_start_that_fails_shows_the_end_of_the_log(asterisk_folder: Path, tmp_path: Path) -> None:
    """The reason is in Asterisk's own words; nothing is left."""
    asterisk = PrivateAsterisk(
        asterisk_folder, files={"modules.conf": "[modules]\nautoload = no\nrequire = nowhere.so\n"}, workdir=tmp_path
    )
    with pytest.raises(AsteriskStartFailed, match=r"ended with exit code [12] while starting") as caught:
        asterisk.start()
    assert "nowhere.so" in caught.value.log_tail
    assert list(tmp_path.iterdir()) == []


def test_an_asterisk_without_ari_is_given_up_after_a_while(asterisk_folder: Path, tmp_path: Path) -> None:
    """The sentence says where an answer was expected, and for how long."""
    asterisk = PrivateAsterisk(
        asterisk_folder, files={"http.conf": "[general]\nenabled = no\n"}, workdir=tmp_path, start_timeout_s=1.0
    )
    with pytest.raises(AsteriskStartFailed, match=r"did not answer at http://127.*/ari within 1 s"):
        asterisk.start()
    assert list(tmp_path.iterdir()) == []


def test_a_command_prefix_that_does_not_exist_is_told(asterisk_folder: Path, tmp_path: Path) -> None:
    """The name of the missing program is in the sentence."""
    asterisk = PrivateAsterisk(asterisk_folder, command_prefix=["no-such-program"], workdir=tmp_path)
    with pytest.raises(AsteriskStartFailed, match="cannot run no-such-program"):
        asterisk.start()
    assert list(tmp_path.iterdir()) == []


def test_it_runs_under_a_command_prefix(asterisk_folder: Path) -> None:
    """A prefix that execs leaves Asterisk as the process that is watched."""
    with PrivateAsterisk(asterisk_folder, command_prefix=["nice", "-n", "5"]) as asterisk:
        assert os.getpriority(os.PRIO_PROCESS, asterisk.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 5


def test_folders_and_binaries_without_an_asterisk_are_usage_errors(tmp_path: Path) -> None:
    """They are found before anything starts."""
    with pytest.raises(UsageError, match="there is no file or folder"):
        PrivateAsterisk(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="holds no Asterisk"):
        PrivateAsterisk(tmp_path)
    with pytest.raises(UsageError, match="not a complete Asterisk"):
        PrivateAsterisk(sys.executable)


def test_a_binary_alone_is_enough(asterisk_folder: Path, tmp_path: Path) -> None:
    """The folders of modules and data are found beside it (here a script stands in, which knows the C library)."""
    version = "22" if "22" in asterisk_folder.name else "16"
    command = find_installation(asterisk_folder).command
    (tmp_path / "sbin").mkdir()
    script = tmp_path / "sbin" / "asterisk"
    script.write_text(f'#!/bin/sh\nexec {" ".join(command)} "$@"\n')
    script.chmod(0o755)
    for name, found in {
        "lib": next(asterisk_folder.glob("usr/lib/**/asterisk/modules")).parent.parent,
        "share": asterisk_folder / "usr/share",
    }.items():
        (tmp_path / name).symlink_to(found)
    with PrivateAsterisk(script) as asterisk:
        assert asterisk.version.startswith(version)


def test_a_folder_of_configuration_replaces_and_adds_files(asterisk_folder: Path, tmp_path: Path) -> None:
    """A team brings its dialplan, what that includes, and its prompts; ours stays where it brings nothing."""
    (tmp_path / "team").mkdir()
    (tmp_path / "sounds" / "en").mkdir(parents=True)
    (tmp_path / "sounds" / "en" / "hello.sln").write_bytes(bytes(1600))
    (tmp_path / "extensions.conf").write_text('[ivr]\nexten => 700,1,Playback(hello)\n#include "team/more.conf"\n')
    (tmp_path / "team" / "more.conf").write_text("[more]\nexten => 1,1,Hangup()\n")
    with PrivateAsterisk(asterisk_folder, configuration_folder=tmp_path) as asterisk:
        assert "Playback(hello)" in asterisk.cli("dialplan show ivr")
        assert "Hangup()" in asterisk.cli("dialplan show more")
        for sound in ("hello", "tt-monkeys"):
            assert status_of(asterisk, authorization=asterisk.endpoint.authorization, path=f"/sounds/{sound}") == 200
