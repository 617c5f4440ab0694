"""Faults of a real Asterisk, in front of it, and of our own processes: exit code, culprit, counts, what is left."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
from tests.asterisk import faults
from tests.asterisk.ari_proxy import AriProxy, Fault
from tests.asterisk.conftest import provisioned_folder
from tests.sessions.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from http.client import HTTPResponse

    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from tests.sessions.session import Finished, Running

pytestmark = pytest.mark.timeout(600)  # whole sessions, on whatever else the machine does

CALLS = 4
SESSIONS = 60
"""``sessionlimit`` of the Asterisk that some faults have for themselves."""

SIDE_BY_SIDE = 3
"""Sessions mostly wait: more of them than there are cores."""

FOREIGN = ("127.0.0.66", 6666)
SCENARIO = """
import pytest

@pytest.mark.sla("calls.success_ratio >= 100%", "calls.dropped == 0"{also})
async def test_talk(load):
    await load(calls={calls}, duration="{duration}", topology="{topology}")
"""


@dataclass(frozen=True)
class Scene:
    """A session that runs, its Asterisk, and the proxy in between; None where there is none."""

    running: Running
    asterisk: PrivateAsterisk
    proxy: AriProxy | None

    def wait_until_up(self) -> None:
        """Wait until its calls are in the midst of their load."""
        self.running.wait_until(lambda: self._channels() >= CALLS, 180)
        time.sleep(1)

    def _channels(self) -> int:
        return len(listed(self.asterisk.endpoint) if self.proxy is None else self.proxy.created)

    def process(self, pattern: str) -> int:
        """Return the process of the session whose command line holds this."""
        (pid,) = (pid for pid, command in self._processes() if re.search(pattern, command))
        return pid

    def _processes(self) -> Iterator[tuple[int, str]]:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                session = int((folder / "stat").read_text().rpartition(")")[2].split()[3])
                if session == self.running.process.pid:
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
def all_sessions_held(asterisk: PrivateAsterisk) -> Iterator[None]:
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
            yield
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


def kill(scene: Scene) -> None:
    """Let Asterisk vanish."""
    scene.wait_until_up()
    os.kill(scene.asterisk.pid, signal.SIGKILL)


@dataclass(frozen=True)
class Row:
    """A fault, and what must come of it.

    Attributes
    ----------
    name
        Of the fault.
    exit_code, words, counts, verdict
        What must come of it; ``{host}`` is where ARI is.
    fault, act
        What the proxy does, and what is done to the session or to Asterisk.
    beside
        What is done to Asterisk from before the session until after it.
    alone
        Whether Asterisk is hit itself: then it is one that no other session uses, and there is no proxy.
    topology, duration, also, options
        What is loaded: also with these thresholds.
    unsaid
        What nothing may say.
    lost
        Whether packets may be lost, since we ourselves stop moving them for good.
    left
        How many channels stay, since nobody can remove them.
    """

    name: str
    exit_code: int
    words: str
    counts: dict[str, int] = field(default_factory=dict)
    verdict: str = ""
    fault: type[Fault] = Fault
    act: Callable[[Scene], None] = lambda scene: None
    beside: Callable[[PrivateAsterisk], AbstractContextManager[None]] = lambda asterisk: nullcontext()
    alone: bool = False
    topology: str = "echo"
    duration: str = "3s"
    also: str = ""
    options: tuple[str, ...] = ()
    unsaid: str = ""
    lost: bool = False
    left: int = 0


GOOD = {"established": CALLS, "failed": 0, "dropped": 0, "leaked": 0}
HALF = {"established": 2, "failed": 2, "dropped": 0, "leaked": 0}
DROPPED = {"established": CALLS, "failed": 0, "dropped": CALLS, "leaked": 0}
UNTOLD = {"established": CALLS, "failed": 0, "dropped": 0, "leaked": 0, "left_unknown": CALLS}
PASS = "SLA verdict: PASS"
OURS = "(at fault: this tool)"
MEDIA_LOOP, RELAY, ECHO, PUMP = r"rtp_media\.loop", "relay_worker", "echo_server", r"pump\.py"
STOPPED = f"did not answer within 5 s; it was stopped by signal 19 (SIGSTOP) {OURS}"
RELAYED = "4 calls, relay topology"


def through(fault: type[Fault], exit_code: int, words: str, counts: dict[str, int] | None = None, left: int = 0) -> Row:
    """Return the row of a fault that a proxy has."""
    return Row(fault.__name__, exit_code, words, counts or {}, fault=fault, left=left)


# Those that take longest come first.
TABLE = [
    through(faults.HalfOpen, 1, "ARI answered no request for", UNTOLD, left=CALLS),
    Row("media loop stopped for good", 1, "the process that moves packets stands still since", GOOD,
        act=stop(MEDIA_LOOP, None), duration="60s", lost=True),
    Row("relay stopped for good", 1, f"the relay {STOPPED}", GOOD,
        act=stop(RELAY, None), duration="60s", topology="relay", lost=True),
    Row("echo server stopped for good", 1, f"the echo server {STOPPED}", GOOD,
        act=stop(ECHO, None), duration="60s", topology="relay", lost=True),
    Row("sessions used up", 4, "its HTTP sessions are used up (sessionlimit", beside=all_sessions_held,
        alone=True),
    Row("Asterisk restarted", 1, "all calls of then are gone (at fault: Asterisk)", DROPPED,
        act=restart, alone=True, duration="20s"),
    Row("Asterisk killed", 1, "ARI refuses connections since", DROPPED, act=kill, alone=True, duration="20s"),
    Row("media loop stopped", 1, "The process that moves packets stood still for", GOOD, "inconclusive",
        act=stop(MEDIA_LOOP), duration="5s", also=', "rtt.max < 1us"'),
    Row("relay stopped", 1, "The relay stood still for", GOOD, "inconclusive",
        act=stop(RELAY), duration="5s", topology="relay", also=', "rtt.max < 1us"'),
    Row("echo server stopped", 1, "The echo server stood still for", GOOD, "inconclusive",
        act=stop(ECHO), duration="5s", topology="relay", also=', "rtt.max < 1us"'),
    Row("measuring worker stopped", 0, "The measuring process stood still for", GOOD,
        act=stop("-c import sys;exec", 2.5), duration="6s", options=("-n", "1")),
    Row("event pump stopped", 0, PASS, GOOD, act=stop(PUMP)),
    Row("event pump stopped for good", 0, PASS, GOOD, act=stop(PUMP, None)),
    Row("foreign packets", 1, f"They came from {FOREIGN[0]}:{FOREIGN[1]}", GOOD,
        act=flood, also=', "loss.ratio <= 0%"', unsaid="fewer calls"),
    through(Fault, 0, PASS, GOOD),
    through(faults.OneListingFails, 0, PASS, GOOD),
    through(faults.NoStasisStart, 0, PASS, GOOD),
    through(faults.EventsTwice, 0, PASS, GOOD),
    through(faults.StreamCutInSetUp, 0, PASS, GOOD),
    through(faults.OneGetCut, 0, PASS, GOOD),
    through(faults.Slow, 0, PASS, GOOD),
    through(faults.Reordered, 0, PASS, GOOD),
    through(faults.DeleteReplyCut, 0, PASS, GOOD),
    through(faults.UnavailableForAWhile, 0, PASS, GOOD),
    through(faults.RefusedInMidRun, 1, "2 calls failed: POST /channels/externalMedia answered 409", HALF),
    through(faults.RefusedToAnybody, 1, "2 calls failed: ARI at {host} refused POST /channels/externalMedia", HALF),
    through(faults.NotFoundInMidRun, 1, "2 calls failed: POST /channels/externalMedia answered 404", HALF),
    through(faults.UnavailableInMidRun, 1, "2 calls failed: POST /channels/externalMedia answered 503", HALF),
    through(faults.ChannelsLocked, 1, "answered: Asterisk's channels were locked (at fault: Asterisk)", GOOD),
    through(faults.Redirected, 4, "give --ari-url https://pbx.example/ari"),
    through(faults.AnswersCut, 1, "was cut off in the middle", {"established": 0, "failed": CALLS, "leaked": 0}),
    through(faults.HungUpByOthers, 1, "was hung up by Asterisk", DROPPED),
    through(faults.HungUpAndNotTold, 1, "was hung up by Asterisk", DROPPED),
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
        proxy = None if row.alone else stack.enter_context(AriProxy(asterisk.endpoint, row.fault()))
        endpoint = asterisk.endpoint if proxy is None else proxy.endpoint
        session = Session(folder, cast("PrivateAsterisk", SimpleNamespace(endpoint=endpoint)))
        values = {"topology": row.topology, "duration": row.duration, "also": row.also}
        session.write("test_talk.py", SCENARIO.format(calls=CALLS, **values))
        with row.beside(asterisk):
            running = session.start("--sla-live", "off", "--ari-realtime", "off", *row.options, "test_talk.py")
            try:
                row.act(Scene(running, asterisk, proxy))
            except BaseException:
                os.killpg(running.process.pid, signal.SIGKILL)
                raise
            finished = running.finish(180)
        ids = listed(asterisk.endpoint)
        left = ids if proxy is None else [identity for identity in ids if identity in proxy.created]
        for identity in left:
            _ask(asterisk.endpoint, "DELETE", f"/channels/{identity}").close()
        return Outcome(finished, f"{endpoint.host}:{endpoint.port}", left)


class Outcomes:
    """What comes of faults: begun side by side, since sessions mostly wait; one that is asked for again is tried again.

    Parameters
    ----------
    submit
        Begins one.
    rows
        Those to begin at once.
    """

    def __init__(self, submit: Callable[[Row], Future[Outcome]], rows: list[Row]) -> None:
        self._submit = submit
        self._begun = {row.name: submit(row) for row in rows}

    def take(self, row: Row) -> Outcome:
        """Wait for the outcome of a fault."""
        begun = self._begun.pop(row.name, None)
        return (self._submit(row) if begun is None else begun).result()


_HAVE_BEGUN: pytest.StashKey[bool] = pytest.StashKey()


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, asterisk22: PrivateAsterisk, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Outcomes]:
    """Return what comes of every fault that is asked for."""
    wanted = [row for row in TABLE if any(f"[{row.name}]" in item.name for item in request.session.items)]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    own = PrivateAsterisk(provisioned_folder("22"), ari_port=port)
    own.session_limit = SESSIONS
    with ExitStack() as stack:
        if any(row.alone for row in wanted):
            stack.enter_context(own)
        pool, one_by_one = (stack.enter_context(ThreadPoolExecutor(workers)) for workers in (SIDE_BY_SIDE, 1))

        def submit(row: Row) -> Future[Outcome]:
            folder = tmp_path_factory.mktemp("fault")
            workers, asterisk = (one_by_one, own) if row.alone else (pool, asterisk22)
            return workers.submit(come_of, row, asterisk, folder)

        # Where the last test is run again, this begins again as well: not with all of them.
        begin_now = [] if request.config.stash.get(_HAVE_BEGUN, False) else wanted
        request.config.stash[_HAVE_BEGUN] = True
        yield Outcomes(submit, begin_now)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_a_fault_has_its_exit_code_culprit_counts_and_leaves_nothing(row: Row, outcomes: Outcomes) -> None:
    """Of loss only what was sent to calls that lived is judged."""
    outcome = outcomes.take(row)
    finished, words = outcome.finished, " ".join(outcome.finished.output.split())
    assert finished.exit_code == row.exit_code, finished.output
    assert row.words.format(host=outcome.host) in words, finished.output
    assert not row.unsaid or row.unsaid not in words, finished.output
    assert len(outcome.left) == row.left, finished.output
    if row.counts:
        (scenario,) = finished.scenarios.values()
        assert {name: scenario["calls"][name] for name in row.counts} == row.counts, finished.output
        assert row.verdict in ("", scenario["verdict"]), finished.output
        assert row.lost or scenario["metrics"].get("loss", {}).get("lost", 0) == 0, finished.output
