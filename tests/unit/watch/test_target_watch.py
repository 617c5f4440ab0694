from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from pytest_ari_sla.ari.endpoint import AriEndpoint
from pytest_ari_sla.ari_client.queries import NO_CHANNEL
from pytest_ari_sla.errors import AsteriskCrashed
from pytest_ari_sla.watch import target_watch
from pytest_ari_sla.watch.target_watch import TargetWatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMIT_S = 60.0


class Target:
    """What answers probes; `started_at` can be changed."""

    def __init__(self) -> None:
        self.started_at: Any = "2026-01-01T00:00:00.000+0000"
        self.asked: list[str] = []
        self.status = 200

    async def answer(self, request: web.Request) -> web.Response:
        """Answer either probe."""
        self.asked.append(request.path_qs)
        if request.path.endswith("/variable"):
            return web.json_response({"message": "Provided variable was not found"}, status=404)
        return web.Response(text=json.dumps({"status": {"startup_time": self.started_at}}), status=self.status)


@pytest.fixture
def answering() -> Target:
    """Return a target."""
    return Target()


@pytest.fixture
async def endpoint(answering: Target) -> AsyncIterator[AriEndpoint]:
    """Return where it listens."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answering.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield AriEndpoint(f"http://127.0.0.1:{runner.addresses[0][1]}/ari", "u", "p")
    await runner.cleanup()


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for the next second."""
    monkeypatch.setattr(target_watch, "ENDS_NS", 0)
    monkeypatch.setattr(target_watch, "_EVERY_S", 0.0)


async def until(condition: Any) -> None:
    """Wait for something to come true."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            await asyncio.sleep(0.01)


async def test_it_asks_for_what_needs_a_lock_and_for_what_needs_none(answering: Target, endpoint: AriEndpoint) -> None:
    """A refusal is an answer as well."""
    async with TargetWatch(endpoint, True, lambda: "sla-1.c0000001.") as watch:
        await until(lambda: all(watch.values()[name].count for name in ("target.stall", "target.stopped_answering")))  # type: ignore[union-attr]
    assert any(path.startswith("/ari/channels/sla-1.c0000001./variable") for path in answering.asked)
    assert any(path.startswith("/ari/asterisk/info?only=status") for path in answering.asked)
    assert watch.finding() is None


async def test_every_other_time_it_asks_for_a_channel_that_there_is_not(
    answering: Target, endpoint: AriEndpoint
) -> None:
    """Ours may be found before Asterisk gets to the one that is stuck; to find none it has to take each one's lock."""
    async with TargetWatch(endpoint, True, lambda: "ours"):
        await until(lambda: len(answering.asked) > 12)
    asked = [path.split("/")[3] for path in answering.asked if "channels" in path]
    assert asked[:4] == ["ours", NO_CHANNEL, "ours", NO_CHANNEL]


async def test_before_the_first_call_only_that_one_is_asked_for(answering: Target, endpoint: AriEndpoint) -> None:
    """There is none of ours yet."""
    async with TargetWatch(endpoint, True, str):
        await until(lambda: len(answering.asked) > 12)
    assert {path.split("/")[3] for path in answering.asked if "channels" in path} == {NO_CHANNEL}


async def test_an_asterisk_that_was_started_anew_is_found_out(answering: Target, endpoint: AriEndpoint) -> None:
    """Once; a start time that cannot be read is none."""
    async with TargetWatch(endpoint, True, str) as watch:
        for started_at in ("2026-01-01T00:00:00.000+0000", None, "2026-01-01T00:01:00.000+0000"):
            answering.started_at = started_at
            seen = len(answering.asked)
            await until(lambda seen=seen: len(answering.asked) > seen + 2)
    assert watch.values()["target.restarts"] == 1
    found = watch.finding()
    assert isinstance(found, AsteriskCrashed)
    assert "Asterisk was restarted" in str(found)


async def test_a_target_that_begins_anew_is_waited_for_once_all_calls_are_gone(
    answering: Target, endpoint: AriEndpoint
) -> None:
    """They ended before anybody could ask whether it was the same one; while it starts it answers 503."""
    async with TargetWatch(endpoint, True, str) as watch:
        await until(lambda: len(answering.asked) >= 2)
        answering.status = 503
        asyncio.get_running_loop().call_later(0.5, setattr, answering, "status", 200)
        answering.started_at = "2026-01-01T00:05:00.000+0000"
        await watch.look_again(lambda: False, time.monotonic_ns())
    assert isinstance(watch.finding(), AsteriskCrashed)
    assert watch.values()["target.restarts"] == 1


async def test_a_target_that_ended_all_calls_and_is_gone_is_to_blame(
    answering: Target, endpoint: AriEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shutdown in good order hangs up first, so that nobody waits for its calls."""
    monkeypatch.setattr(target_watch, "BEGINS_ANEW_S", 0.5)
    async with TargetWatch(endpoint, True, str) as watch:
        await until(lambda: answering.asked)
        answering.status = 503
        await watch.look_again(lambda: True, time.monotonic_ns())
    assert str(watch.finding()) == "Asterisk ended all calls, and ARI has not answered for 0.5 s since"


async def test_when_a_target_was_gone_does_not_depend_on_when_one_asks(
    answering: Target, endpoint: AriEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left there is counted in between, which takes long without an answer; blame is laid by that time."""
    monkeypatch.setattr(target_watch, "BEGINS_ANEW_S", 0.1)
    async with TargetWatch(endpoint, True, str) as watch:
        await until(lambda: answering.asked)
        answering.status = 503
        lost_ns = time.monotonic_ns()
        await asyncio.sleep(0.2)  # evidence is taken first
        await watch.look_again(lambda: True, lost_ns)
    told = watch.incidents()
    assert told[0].from_s == pytest.approx((lost_ns - watch._began_ns) / 1e9)
    await asyncio.sleep(0.01)
    assert watch.incidents() == told
    assert told[0].words.startswith("it ended all calls")


async def test_a_target_that_is_the_same_has_not_to_be_waited_for(answering: Target, endpoint: AriEndpoint) -> None:
    """It dropped the calls for another reason."""
    async with TargetWatch(endpoint, True, str) as watch:
        await until(lambda: answering.asked)
        await watch.look_again(lambda: True, time.monotonic_ns())
    assert watch.finding() is None
