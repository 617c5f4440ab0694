"""Faults of a real Asterisk and in front of it: exit code, who is blamed, what is counted, what is left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import urllib.request
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiohttp import web

from pytest_ari_sla.targets.private_asterisk import PrivateAsterisk
from tests.asterisk.ari_proxy import CUT, TRUNCATE, AriProxy, Fault
from tests.asterisk.conftest import provisioned_folder
from tests.sessions.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from tests.sessions.session import Finished

CALLS = 4
SCENARIO = f"""
import pytest

@pytest.mark.sla("calls.success_ratio >= 100%", "calls.dropped == 0")
async def test_talk(load):
    await load(calls={CALLS}, duration="3s", topology="echo")
"""


class OneListingFails(Fault):
    """The first listing of channels at the end answers 500."""

    def __init__(self) -> None:
        self.deleted = self.failed = False

    def request(self, method: str, path: str) -> web.Response | None:
        """Refuse the first listing after a DELETE."""
        self.deleted |= method == "DELETE" and path.count("/") == 2 and self._made
        self._made = True
        if (method, path) == ("GET", "/channels") and self.deleted and not self.failed:
            self.failed = True
            return web.json_response({"message": "Internal"}, status=500)
        return None

    _made = False


class NoStasisStart(Fault):
    """StasisStart never comes."""

    def event(self, event: dict[str, Any]) -> int:
        """Drop it."""
        return int(event["type"] != "StasisStart")


class EventsTwice(Fault):
    """Each event comes twice."""

    def event(self, event: dict[str, Any]) -> int:
        """Double it."""
        return 2


class StreamCutInSetUp(Fault):
    """The event WebSocket is cut at the first StasisEnd, when calls go to the dialplan."""

    cut = False

    def event(self, event: dict[str, Any]) -> int:
        """Cut once."""
        if event["type"] == "StasisEnd" and "UnicastRTP" in event["channel"]["name"] and not self.cut:
            self.cut = True
            return -1
        return 1


class Redirected(Fault):
    """A proxy sends everybody to https."""

    def request(self, method: str, path: str) -> web.Response:
        """Send on."""
        return web.Response(status=308, headers={"Location": f"https://pbx.example/ari{path}"})


class AnswersCut(Fault):
    """The answers to externalMedia end in the middle."""

    def request(self, method: str, path: str) -> str | None:
        """Cut them."""
        return TRUNCATE if path == "/channels/externalMedia" else None


class OneGetCut(Fault):
    """A connection is cut in the middle of a request that may be repeated."""

    cut = False

    def request(self, method: str, path: str) -> str | None:
        """Cut once."""
        if (method, path) == ("GET", "/asterisk/info") and not self.cut:
            self.cut = True
            return CUT
        return None


class HungUpByOthers(Fault):
    """Somebody hangs all channels up in mid-call."""

    after_s = 1.5

    async def act(self, upstream: Callable[..., Any]) -> None:
        """Hang up."""
        for channel in json.loads(await upstream("GET", "/channels")):
            await upstream("DELETE", f"/channels/{channel['id']}")


class HungUpAndNotTold(HungUpByOthers):
    """Likewise, and no event tells of it."""

    def event(self, event: dict[str, Any]) -> int:
        """Drop the events of the end."""
        return int(event["type"] not in ("ChannelDestroyed", "ChannelHangupRequest"))


class Slow(Fault):
    """Every request is answered a second late, and every event a fifth."""

    async def pause(self, method: str, path: str) -> None:
        """Wait."""
        await asyncio.sleep(0.2 if path == "/events" else 1.0)


class Reordered(Fault):
    """Of every two events the second comes first."""

    held = ""

    def passed(self, text: str) -> list[str]:
        """Keep one back."""
        if not self.held:
            self.held = text
            return []
        first, self.held = self.held, ""
        return [text, first]


class RefusedInMidRun(Fault):
    """From the third call on, channels are refused."""

    asked = 0

    def request(self, method: str, path: str) -> web.Response | None:
        """Refuse."""
        self.asked += path == "/channels/externalMedia"
        if path == "/channels/externalMedia" and self.asked > 2:
            return web.json_response({"message": "Channel with given unique ID already exists"}, status=409)
        return None


class RefusedToAnybody(RefusedInMidRun):
    """Likewise, since the password has been changed."""

    def request(self, method: str, path: str) -> web.Response | None:
        """Refuse."""
        refused = super().request(method, path)
        return None if refused is None else web.json_response({"message": "Unauthorized"}, status=401)


class DeleteReplyCut(Fault):
    """A channel is hung up, and the reply that says so is cut."""

    cut = False

    def request(self, method: str, path: str) -> str | None:
        """Cut once."""
        if method == "DELETE" and path.startswith("/channels/") and not self.cut:
            self.cut = True
            return TRUNCATE
        return None


class ChannelsLocked(Fault):
    """For 2.6 s nothing answers that needs a channel; lists do."""

    after_s = 0.5
    locked = False

    async def act(self, upstream: Callable[..., Any]) -> None:
        """Lock, and unlock."""
        self.locked = True
        await asyncio.sleep(2.6)
        self.locked = False

    async def pause(self, method: str, path: str) -> None:
        """Hold what needs a channel."""
        while self.locked and (path.endswith("/variable") or method in ("POST", "DELETE")):
            await asyncio.sleep(0.05)


@dataclass(frozen=True)
class Row:
    """A fault, and what must come of it."""

    fault: type[Fault]
    exit_code: int
    words: str
    counts: dict[str, int] = field(default_factory=dict)


GOOD = {"established": CALLS, "failed": 0, "dropped": 0, "leaked": 0}
HALF = {"established": 2, "failed": 2, "dropped": 0, "leaked": 0}
DROPPED = {"established": CALLS, "failed": 0, "dropped": CALLS, "leaked": 0}
TABLE = [
    Row(Fault, 0, "SLA verdict: PASS", GOOD),
    Row(OneListingFails, 0, "SLA verdict: PASS", GOOD),
    Row(NoStasisStart, 0, "SLA verdict: PASS", GOOD),
    Row(EventsTwice, 0, "SLA verdict: PASS", GOOD),
    Row(StreamCutInSetUp, 0, "SLA verdict: PASS", GOOD),
    Row(OneGetCut, 0, "SLA verdict: PASS", GOOD),
    Row(Slow, 0, "SLA verdict: PASS", GOOD),
    Row(Reordered, 0, "SLA verdict: PASS", GOOD),
    Row(DeleteReplyCut, 0, "SLA verdict: PASS", GOOD),
    Row(RefusedInMidRun, 1, "2 calls failed: POST /channels/externalMedia answered 409", HALF),
    Row(RefusedToAnybody, 1, "2 calls failed: ARI at {host} refused POST /channels/externalMedia", HALF),
    Row(ChannelsLocked, 1, "answered: Asterisk's channels were locked (at fault: Asterisk)", GOOD),
    Row(Redirected, 4, "give --ari-url https://pbx.example/ari"),
    Row(AnswersCut, 1, "was cut off in the middle", {"established": 0, "failed": CALLS, "leaked": 0}),
    Row(HungUpByOthers, 1, "was hung up by Asterisk", DROPPED),
    Row(HungUpAndNotTold, 1, "was hung up by Asterisk", DROPPED),
]


def run_against(
    endpoint: AriEndpoint, folder: Path, *options: str, meanwhile: Callable[[], None] = lambda: None
) -> Finished:
    """Run the scenario, as a user would, against this address."""
    session = Session(folder, cast("PrivateAsterisk", SimpleNamespace(endpoint=endpoint)))
    session.write("test_talk.py", SCENARIO)
    running = session.start("--sla-live", "off", "--ari-realtime", "off", *options, "test_talk.py")
    meanwhile()
    return running.finish()


def listed(endpoint: AriEndpoint) -> list[str]:
    """Return the ids of the channels that Asterisk has."""
    request = urllib.request.Request(f"{endpoint.base_url}/channels")
    request.add_header("Authorization", endpoint.authorization)
    with urllib.request.urlopen(request, timeout=5) as response:
        return [channel["id"] for channel in json.load(response)]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.fault.__name__)
def test_a_fault_has_its_exit_code_culprit_counts_and_leaves_nothing(
    row: Row, asterisk22: PrivateAsterisk, tmp_path: Path
) -> None:
    """One Asterisk for all; what is judged of loss is only what was sent to calls that lived."""
    with AriProxy(asterisk22.endpoint, row.fault()) as proxy:
        finished = run_against(proxy.endpoint, tmp_path)
    assert finished.exit_code == row.exit_code, finished.output
    host = proxy.endpoint.base_url.split("/")[2]
    assert row.words.format(host=host) in " ".join(finished.output.split()), finished.output
    if row.counts:
        (scenario,) = finished.scenarios.values()
        assert {name: scenario["calls"][name] for name in row.counts} == row.counts, finished.output
        assert scenario["metrics"].get("loss", {}).get("lost", 0) == 0, finished.output
    assert listed(asterisk22.endpoint) == []


def test_an_external_asterisk_that_is_killed_drops_its_calls_and_is_to_blame(tmp_path: Path) -> None:
    """The load ends early, and says since when ARI is gone."""
    with PrivateAsterisk(provisioned_folder("22")) as asterisk:

        def kill() -> None:
            deadline_s = time.monotonic() + 60
            while len(listed(asterisk.endpoint)) < CALLS and time.monotonic() < deadline_s:
                time.sleep(0.05)
            time.sleep(1)
            os.kill(asterisk.pid, signal.SIGKILL)

        finished = run_against(asterisk.endpoint, tmp_path, "--ari-duration", "20s", meanwhile=kill)
    assert finished.exit_code == 1, finished.output
    assert "ARI refuses connections since" in finished.output
    assert "at fault: Asterisk" in " ".join(finished.output.split())
    (scenario,) = finished.scenarios.values()
    assert scenario["duration_s"] < 15
    assert (scenario["calls"]["established"], scenario["calls"]["dropped"]) == (CALLS, CALLS)
    assert (scenario["calls"]["leaked"], scenario["calls"]["failed"]) == (0, 0)
