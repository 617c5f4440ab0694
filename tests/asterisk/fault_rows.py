"""Faults of a real Asterisk, in front of it, and of our own processes, and what must come of each.

``tests/asterisk/test_fault_table.py`` tries each once, ``python -m tests.fault_table`` as often as it is told.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from pytest_ari_sla.peers.echo.echo_process import EchoServerProcess
from pytest_ari_sla.peers.echo.impairment import Impairment
from tests.asterisk import faults
from tests.asterisk.ari_proxy import AriProxy, Fault
from tests.sessions.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from http.client import HTTPResponse

    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
    from tests.sessions.session import Finished, Running

__all__ = ["SESSIONS", "TABLE", "Outcome", "Row", "come_of", "why_wrong"]

CALLS = 4
SESSIONS = 60
"""``sessionlimit`` of the Asterisk that some faults have for themselves."""

FOREIGN = ("127.0.0.66", 6666)
OURS_BEGIN = "sla-"
"""What the ids of all channels of a session begin with."""

SCENARIO = """
import pytest
from pytest_ari_sla import hang_up, listen, wait

@pytest.mark.sla("calls.success_ratio >= 100%", "calls.dropped == 0"{also})
async def test_talk(load):
    await load(calls={calls}, duration="{duration}", {load})
"""


@dataclass(frozen=True)
class Scene:
    """A session that runs, its Asterisk, and the proxy in between; None where there is none."""

    running: Running
    asterisk: PrivateAsterisk
    proxy: AriProxy | None
    folder: Path

    def wait_until_up(self) -> None:
        """Wait until its calls are in the midst of their load."""
        self.running.wait_until(lambda: self._channels() >= CALLS, 180)
        time.sleep(1)

    def _channels(self) -> int:
        return len(listed(self.asterisk.endpoint) if self.proxy is None else self.proxy.created)

    def process(self, pattern: str) -> int:
        """Return the first process of the session, or started in its folder, whose command line holds this."""
        return min(pid for pid, command in self._processes() if re.search(pattern, command))

    def _processes(self) -> Iterator[tuple[int, str]]:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                session = int((folder / "stat").read_text().rpartition(")")[2].split()[3])
                if session == self.running.process.pid or (folder / "cwd").resolve() == self.folder:
                    yield int(folder.name), (folder / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue  # ended meanwhile


def stop(pattern: str, stopped_s: float | None = 1.5) -> Callable[[Scene], None]:
    """Let a process of ours stand still in mid-load, for a while or (None) for good."""

    def act(scene: Scene) -> None:
        scene.wait_until_up()
        pid = scene.process(pattern)
        os.kill(pid, signal.SIGSTOP)
        if stopped_s is not None:
            time.sleep(stopped_s)
            os.kill(pid, signal.SIGCONT)

    return act


def flood(scene: Scene) -> None:
    """Send what nobody has asked for to where calls expect their media, and more than its buffer holds."""
    assert scene.proxy is not None
    scene.wait_until_up()
    (address,) = scene.proxy.media
    host, _, port = address.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(FOREIGN)
        for _ in range(10):
            for _ in range(300):
                udp.sendto(bytes(60_000), (host, int(port)))
            time.sleep(0.02)


@contextmanager
def all_sessions_held(asterisk: PrivateAsterisk) -> Iterator[Sequence[str]]:
    """Use Asterisk's HTTP sessions up before our session begins, and until it has ended."""
    address = asterisk.endpoint.host, asterisk.endpoint.port
    over = threading.Event()
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(address)) for _ in range(SESSIONS)]

        def hold() -> None:
            while not over.wait(0.01):
                for place in (place for place, connection in enumerate(held) if _is_closed(connection)):
                    held[place] = stack.enter_context(socket.create_connection(address))

        holder = threading.Thread(target=hold)
        holder.start()
        try:
            while _is_served(asterisk.endpoint):
                time.sleep(0.05)
            yield ()
        finally:
            over.set()
            holder.join()


def _is_closed(connection: socket.socket) -> bool:
    """Tell whether Asterisk has closed it: it was one too many, or idle for too long."""
    try:
        return not connection.recv(1, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def _is_served(endpoint: AriEndpoint) -> bool:
    try:
        _ask(endpoint, "GET", "/asterisk/ping").close()
    except (OSError, HTTPException):
        return False
    return True


def restart(scene: Scene) -> None:
    """Let Asterisk end in good order and begin anew, on the same port."""
    scene.wait_until_up()
    scene.asterisk.stop()
    scene.asterisk.start()


def end_asterisk(number: signal.Signals) -> Callable[[Scene], None]:
    """Let Asterisk vanish by a signal."""

    def act(scene: Scene) -> None:
        scene.wait_until_up()
        os.kill(scene.asterisk.pid, number)

    return act


def stop_asterisk(scene: Scene) -> None:
    """Let Asterisk stand still for 5 s."""
    scene.wait_until_up()
    os.kill(scene.asterisk.pid, signal.SIGSTOP)
    time.sleep(5)
    os.kill(scene.asterisk.pid, signal.SIGCONT)


def _killed(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def end(pattern: str) -> Callable[[Scene], None]:
    """Let a process of the session vanish in mid-load."""

    def act(scene: Scene) -> None:
        scene.wait_until_up()
        while not _killed(scene.process(pattern)):
            time.sleep(0.05)  # one that lives for a moment only, on its way to another program

    return act


@contextmanager
def losing_network(asterisk: PrivateAsterisk) -> Iterator[Sequence[str]]:
    """Send calls through an echo server that is a bad network: it loses a packet in ten."""
    with EchoServerProcess(impairment=Impairment(loss=0.1, seed=7), realtime=False) as echo:
        host, port = echo.address
        yield ("--ari-echo", f"{host}:{port}")


@dataclass(frozen=True)
class Row:
    """A fault, and what must come of it.

    Attributes
    ----------
    name
        Of the fault.
    exit_code, words, counts, verdict
        What must come of it; ``{host}`` is where ARI is.
    blame
        What must be said of bad calls, and of who is to blame for them.
    fault, act
        What the proxy does, and what is done to the session or to Asterisk.
    beside
        What is done to Asterisk from before the session until after it; gives options for the session.
    alone
        Whether Asterisk is hit itself: then it is one that no other session uses, and there is no proxy.
    duration, load, also, options
        What is loaded: also with these thresholds.
    unsaid
        What nothing may say.
    lost
        Whether packets may be lost, since we ourselves stop moving them for good.
    left
        How many channels stay, since nobody can remove them.
    is_further
        Whether it takes long, or is a further variant of another row.
    """

    name: str
    exit_code: int
    words: str
    counts: dict[str, int] = field(default_factory=dict)
    verdict: str = ""
    blame: str = ""
    fault: type[Fault] = Fault
    act: Callable[[Scene], None] = lambda scene: None
    beside: Callable[[PrivateAsterisk], AbstractContextManager[Sequence[str]]] = lambda asterisk: nullcontext(())
    alone: bool = False
    load: str = 'topology="echo"'
    duration: str = "3s"
    also: str = ""
    options: tuple[str, ...] = ()
    unsaid: str = ""
    lost: bool = False
    left: int = 0
    is_further: bool = False


GOOD = {"established": CALLS, "failed": 0, "dropped": 0, "leaked": 0}
HALF = {"established": 2, "failed": 2, "dropped": 0, "leaked": 0}
DROPPED = {"established": CALLS, "failed": 0, "dropped": CALLS, "leaked": 0}
DEAD = DROPPED | {"left_unknown": 0}
"""Nothing is left in a process of this machine that has ended, though nobody can be asked."""

UNTOLD = {"established": CALLS, "failed": 0, "dropped": 0, "leaked": 0, "left_unknown": CALLS}
PASS = "SLA verdict: PASS"
OURS = "(at fault: this tool)"
MEDIA_LOOP, RELAY, ECHO, PUMP = r"rtp_media\.loop", "relay_worker", "echo_server", r"pump\.py"
STOPPED = f"did not answer within 5 s; it was stopped by signal 19 (SIGSTOP) {OURS}"
RELAY_LOAD = 'topology="relay"'
UNIQUE = "UNIQUE"
"""Stands for what is different each time: Asterisk lists an application that died for as long as its bridges stay."""

BOT = ("--app", f"{sys.executable} -m pytest_ari_sla bot --app bot{UNIQUE} --log bot.jsonl")
BOT_LOAD = f"""topology="caller", to="bot{UNIQUE}@stasis", via="local", script=[listen(), wait("15s"), hang_up()]"""
WORKER = "-c import sys;exec"
TWO = ("-n", "2")
HUNG_UP = "4 hung up by Asterisk (at fault: Asterisk)"
CUT_OFF = "4 cut off from ARI (at fault: the network)"
REFUSED = "2 refused by ARI (at fault: Asterisk's control plane)"
RESTARTED = "4 lost to Asterisk's restart, noticed at"
ENDED = "4 lost to Asterisk's end at"
STOOD_STILL = "4 hit by Asterisk's standstill from"
LOSES = ', "loss.ratio <= 0%"'


def through(
    fault: type[Fault],
    exit_code: int,
    words: str,
    counts: dict[str, int] | None = None,
    blame: str = "",
    left: int = 0,
    **more: Any,
) -> Row:
    """Return the row of a fault that a proxy has."""
    return Row(fault.__name__, exit_code, words, counts or {}, blame=blame, fault=fault, left=left, **more)


# Those that take longest come first.
TABLE = [
    through(faults.HalfOpen, 1, "ARI answered no request for", UNTOLD, left=CALLS),
    Row("media loop stopped for good", 1, "the process that moves packets stands still since", GOOD,
        act=stop(MEDIA_LOOP, None), duration="60s", lost=True),
    Row("relay stopped for good", 1, f"the relay {STOPPED}", GOOD,
        act=stop(RELAY, None), duration="60s", load=RELAY_LOAD, lost=True, is_further=True),
    Row("echo server stopped for good", 1, f"the echo server {STOPPED}", GOOD,
        act=stop(ECHO, None), duration="60s", load=RELAY_LOAD, lost=True, is_further=True),
    Row("sessions used up", 4, "its HTTP sessions are used up (sessionlimit", beside=all_sessions_held,
        alone=True),
    Row("Asterisk restarted", 1, "all calls of then are gone (at fault: Asterisk)", DROPPED, blame=RESTARTED,
        act=restart, alone=True, duration="20s"),
    Row("Asterisk killed", 1, "ARI refuses connections since", DEAD, blame=ENDED,
        act=end_asterisk(signal.SIGKILL), alone=True, duration="20s"),
    Row("Asterisk ended by a fault of its memory", 1, "ARI refuses connections since", DEAD, blame=ENDED,
        act=end_asterisk(signal.SIGSEGV), alone=True, duration="20s", is_further=True),
    Row("Asterisk killed under two workers", 1, "ARI refuses connections since", DEAD, blame=ENDED,
        act=end_asterisk(signal.SIGKILL), alone=True, duration="20s", options=TWO, is_further=True),
    Row("Asterisk restarted under two workers", 1, "all calls of then are gone (at fault: Asterisk)", DROPPED,
        blame=RESTARTED, act=restart, alone=True, duration="20s", options=TWO, is_further=True),
    Row("Asterisk stopped for 5 s", 1, "Asterisk stood still, or could not be reached (at fault: Asterisk)", GOOD,
        blame=STOOD_STILL, act=stop_asterisk, alone=True, duration="15s", lost=True, is_further=True),
    Row("Asterisk stopped for 5 s under two workers", 1, "stood still, or could not be reached (at fault: Asterisk)",
        GOOD, blame=STOOD_STILL, act=stop_asterisk, alone=True, duration="15s", options=TWO, lost=True,
        is_further=True),
    Row("application killed", 1, "(at fault: the application under test)", blame="lost to the end of the application",
        act=end(r"^\S+ -m pytest_ari_sla bot"), alone=True, duration="20s", load=BOT_LOAD, options=BOT),
    Row("media loop killed", 1, OURS, act=end(MEDIA_LOOP), duration="20s", lost=True),
    Row("worker killed", 1, OURS, act=end(WORKER), duration="20s", options=TWO, lost=True, is_further=True),
    Row("media loop stopped", 1, "The process that moves packets stood still for", GOOD, "inconclusive",
        act=stop(MEDIA_LOOP), duration="5s", also=', "rtt.max < 1us"'),
    Row("relay stopped", 1, "The relay stood still for", GOOD, "inconclusive",
        act=stop(RELAY), duration="5s", load=RELAY_LOAD, also=', "rtt.max < 1us"', is_further=True),
    Row("echo server stopped", 1, "The echo server stood still for", GOOD, "inconclusive",
        act=stop(ECHO), duration="5s", load=RELAY_LOAD, also=', "rtt.max < 1us"'),
    Row("measuring worker stopped", 0, "The measuring process stood still for", GOOD,
        act=stop(WORKER, 2.5), duration="6s", options=("-n", "1")),
    Row("event pump stopped", 0, PASS, GOOD, act=stop(PUMP), is_further=True),
    Row("event pump stopped for good", 0, PASS, GOOD, act=stop(PUMP, None)),
    Row("foreign packets", 1, f"They came from {FOREIGN[0]}:{FOREIGN[1]}", GOOD,
        act=flood, also=LOSES, unsaid="fewer calls"),
    Row("network loses packets", 1, "loss.ratio was", GOOD, beside=losing_network, also=LOSES, lost=True,
        blame="4 heard in time, but with packets lost (at fault: the network)", load=RELAY_LOAD),
    through(Fault, 0, PASS, GOOD),
    through(faults.OneListingFails, 0, PASS, GOOD, is_further=True),
    through(faults.NoStasisStart, 0, PASS, GOOD),
    through(faults.EventsTwice, 0, PASS, GOOD),
    through(faults.StreamCutInSetUp, 0, PASS, GOOD),
    through(faults.StreamCutForGood, 1, "(at fault: the network)", DROPPED, CUT_OFF, duration="60s", is_further=True),
    through(faults.OneGetCut, 0, PASS, GOOD, is_further=True),
    through(faults.Slow, 0, PASS, GOOD),
    Row("Slow, with a limit", 1, "ari.request.p50 < 500ms was missed", GOOD, "fail", fault=faults.Slow,
        blame="(at fault: Asterisk's control plane)", also=', "ari.request.p50 < 500ms"',
        is_further=True),
    through(faults.Reordered, 0, PASS, GOOD, is_further=True),
    through(faults.DeleteReplyCut, 0, PASS, GOOD, is_further=True),
    through(faults.UnavailableForAWhile, 0, PASS, GOOD),
    through(faults.RefusedInMidRun, 1, "2 calls failed: POST /channels/externalMedia answered 409", HALF, REFUSED,
            is_further=True),
    through(faults.FailsInMidRun, 1, "2 calls failed: POST /channels/externalMedia answered 500", HALF, REFUSED),
    through(faults.RefusedToAnybody, 1, "2 calls failed: ARI at {host} refused POST /channels/externalMedia", HALF,
            REFUSED),
    through(faults.NotFoundInMidRun, 1, "2 calls failed: POST /channels/externalMedia answered 404", HALF, REFUSED,
            is_further=True),
    through(faults.UnavailableInMidRun, 1, "2 calls failed: POST /channels/externalMedia answered 503", HALF, REFUSED,
            is_further=True),
    through(faults.ChannelsLocked, 1, "answered: Asterisk's channels were locked (at fault: Asterisk)", GOOD),
    through(faults.Redirected, 4, "give --ari-url https://pbx.example/ari"),
    through(faults.AnswersCut, 1, "was cut off in the middle", {"established": 0, "failed": CALLS, "leaked": 0},
            CUT_OFF),
    through(faults.HungUpByOthers, 1, "was hung up by Asterisk", DROPPED, HUNG_UP),
    through(faults.HungUpAndNotTold, 1, "was hung up by Asterisk", DROPPED, HUNG_UP),
]  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What came of a fault: ``left`` are channels of the session that Asterisk still has."""

    finished: Finished
    host: str
    left: list[str]


def listed(endpoint: AriEndpoint) -> list[str]:
    """Return the ids of the channels that Asterisk has; none where there is no Asterisk any more."""
    with suppress(urllib.error.URLError), _ask(endpoint, "GET", "/channels") as response:
        return [channel["id"] for channel in json.load(response)]
    return []


def _ask(endpoint: AriEndpoint, method: str, path: str) -> HTTPResponse:
    request = urllib.request.Request(endpoint.base_url + path, method=method)
    request.add_header("Authorization", endpoint.authorization)
    response: HTTPResponse = urllib.request.urlopen(request, timeout=10)
    return response


def come_of(row: Row, asterisk: PrivateAsterisk, folder: Path) -> Outcome:
    """Run a session with a fault, as a user would."""
    with ExitStack() as stack:
        if row.alone:
            _revive(asterisk)
        proxy = None if row.alone else stack.enter_context(AriProxy(asterisk.endpoint, row.fault()))
        endpoint = asterisk.endpoint if proxy is None else proxy.endpoint
        session = Session(folder, cast("PrivateAsterisk", SimpleNamespace(endpoint=endpoint)))
        unique = secrets.token_hex(3)
        values = {"load": row.load.replace(UNIQUE, unique), "duration": row.duration, "also": row.also}
        session.write("test_talk.py", SCENARIO.format(calls=CALLS, **values))
        with row.beside(asterisk) as options:
            usual = ("--sla-live", "off", "--ari-realtime", "off", "test_talk.py")
            own = [option.replace(UNIQUE, unique) for option in row.options]
            running = session.start(*own, *options, *usual)
            try:
                row.act(Scene(running, asterisk, proxy, folder))
            except BaseException:
                with suppress(ProcessLookupError):  # it has ended already, which may be why
                    os.killpg(running.process.pid, signal.SIGKILL)
                raise
            finished = running.finish(180)
        ids = listed(asterisk.endpoint)
        made = ids if proxy is None else [identity for identity in ids if identity in proxy.created]
        for identity in made:
            with suppress(urllib.error.HTTPError):  # it may have ended with another one
                _ask(asterisk.endpoint, "DELETE", f"/channels/{identity}").close()
        # What an application that was killed had made is its own.
        left = [identity for identity in made if identity.startswith(OURS_BEGIN)]
        return Outcome(finished, f"{endpoint.host}:{endpoint.port}", left)


def _revive(asterisk: PrivateAsterisk) -> None:
    """Start an Asterisk again that an earlier row has ended."""
    if not _is_served(asterisk.endpoint):
        asterisk.stop()
        asterisk.start()


def why_wrong(row: Row, outcome: Outcome) -> str:
    """Return what came of a fault that must not; empty where all is right.

    Of loss only what was sent to calls that lived is judged.
    """
    finished, words = outcome.finished, " ".join(outcome.finished.output.split())
    wrong = []
    if finished.exit_code != row.exit_code:
        wrong.append(f"exit code {finished.exit_code}, not {row.exit_code}")
    wrong += [
        f"it does not say {said!r}" for said in (row.words, row.blame) if said.format(host=outcome.host) not in words
    ]
    if row.unsaid and row.unsaid in words:
        wrong.append(f"it says {row.unsaid!r}")
    if len(outcome.left) != row.left:
        wrong.append(f"{len(outcome.left)} channels are left, not {row.left}: {', '.join(outcome.left)}")
    if row.counts:
        (scenario,) = finished.scenarios.values()
        counts = {name: scenario["calls"][name] for name in row.counts}
        lost = scenario["metrics"].get("loss", {}).get("lost", 0)
        wrong += [f"calls are {counts}, not {row.counts}"] * (counts != row.counts)
        wrong += [f"the verdict is {scenario['verdict']}"] * (row.verdict not in ("", scenario["verdict"]))
        wrong += [f"{lost} packets are lost"] * (lost != 0 and not row.lost)
    return "; ".join(wrong)
