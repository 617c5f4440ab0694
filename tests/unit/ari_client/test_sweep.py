from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.ari.endpoint import AriEndpoint, parse_ari_url
from pytest_ari_sla.ari_client.removal.sweep import Sweeper, Swept
from pytest_ari_sla.ari_client.tls import tls_context
from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.settings import TRUST_SYSTEM
from tests.unit.ari_client.ari_server import PASSWORD, USER, FakeAri, hang, refusal

if TYPE_CHECKING:
    from aiohttp import web

TLS = tls_context(TRUST_SYSTEM)


class Waiting:
    """A clock that only pauses move, and what else happens in them."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds


def sweeper(fake_ari: FakeAri, password: str = PASSWORD, timeout_s: float = 5.0) -> Sweeper:
    """Return one for a small ARI."""
    return Sweeper(AriEndpoint(parse_ari_url(fake_ari.url).base_url, USER, password), TLS, timeout_s)


@pytest.fixture
def leftovers(fake_ari: FakeAri) -> list[str]:
    """Return ids that a run left behind, beside those of others."""
    for identity in ("run.c0000001.", "run.c0000002.", "other", "run-2.c0000001."):
        fake_ari.channels[identity] = {"id": identity}
    fake_ari.bridges["run.b0000003."] = {"id": "run.b0000003."}
    return ["run.c0000001.", "run.c0000002.", "run.b0000003."]


async def test_a_sweep_removes_what_carries_the_prefix(fake_ari: FakeAri, leftovers: list[str]) -> None:
    """And nothing else."""
    assert await asyncio.to_thread(sweeper(fake_ari).sweep, "run.") == Swept(removed=tuple(leftovers))
    assert set(fake_ari.channels) == {"other", "run-2.c0000001."}


async def test_a_sweep_goes_on_after_a_refusal(fake_ari: FakeAri, leftovers: list[str]) -> None:
    """What is gone meanwhile is not left; what is refused, and still there, is."""

    async def refuse(request: web.Request) -> web.StreamResponse | None:
        identity = request.path.rpartition("/")[2]
        if identity == leftovers[0]:
            fake_ari.channels.pop(identity, None)
            return refusal(404, "no")
        return refusal(500, "no") if identity == leftovers[1] else None

    fake_ari.interfere = refuse
    swept = await asyncio.to_thread(sweeper(fake_ari).sweep, "run.")
    assert swept == Swept(removed=(leftovers[2],), left=(leftovers[1],))


async def test_a_sweep_that_cannot_look_says_why(fake_ari: FakeAri) -> None:
    """It does not raise: it runs where an exception helps nobody."""
    swept = await asyncio.to_thread(sweeper(fake_ari, "wrong-secret").sweep, "run.")
    assert "401" in swept.problem
    assert "wrong-secret" not in swept.problem


async def test_a_sweep_of_something_else_says_why(fake_ari: FakeAri) -> None:
    """What answers is not ARI."""

    async def greet(_: web.Request) -> web.StreamResponse | None:
        from aiohttp import web

        return web.Response(text="It works!")

    fake_ari.interfere = greet
    assert "ended early" in (await asyncio.to_thread(sweeper(fake_ari).sweep, "run.")).problem


async def test_a_request_of_a_sweep_is_bounded_in_time(fake_ari: FakeAri) -> None:
    """Asterisk may hang, and that is when sweeps are needed."""
    fake_ari.interfere = hang
    assert "timed out" in (await asyncio.to_thread(sweeper(fake_ari, timeout_s=0.1).sweep, "run.")).problem


async def test_a_sweep_tries_again_while_asterisk_is_out_of_reach(fake_ari: FakeAri, leftovers: list[str]) -> None:
    """For as long as it has patience."""
    waiting = Waiting()

    async def out_of_reach(_: web.Request) -> web.StreamResponse | None:
        return refusal(503, "later") if waiting.now_s < 4 else None

    fake_ari.interfere = out_of_reach
    swept = await asyncio.to_thread(sweeper(fake_ari).until_clean, "run.", 5.0, lambda: waiting.now_s, waiting.pause)
    assert swept == Swept(removed=tuple(leftovers))


async def test_a_sweep_gives_up_when_its_patience_is_over(fake_ari: FakeAri) -> None:
    """It says what it met last."""
    waiting = Waiting()

    async def out_of_reach(_: web.Request) -> web.StreamResponse | None:
        return refusal(503, "later")

    fake_ari.interfere = out_of_reach
    swept = await asyncio.to_thread(sweeper(fake_ari).until_clean, "run.", 5.0, lambda: waiting.now_s, waiting.pause)
    assert "503" in swept.problem
    assert waiting.now_s == pytest.approx(5.0, abs=0.3)


async def test_a_sweep_waits_for_requests_that_are_carried_out_late(fake_ari: FakeAri, leftovers: list[str]) -> None:
    """Asterisk may create a channel after the one who asked for it has died."""
    waiting = Waiting()
    late = "run.c0000009."

    async def create_late(_: web.Request) -> web.StreamResponse | None:
        if waiting.now_s >= 0.9 and late not in made:
            made.append(late)
            fake_ari.channels[late] = {"id": late}
        return None

    made: list[str] = []
    fake_ari.interfere = create_late
    swept = await asyncio.to_thread(sweeper(fake_ari).until_clean, "run.", 5.0, lambda: waiting.now_s, waiting.pause)
    assert swept.removed == (*leftovers, late)
    assert late not in fake_ari.channels


def test_a_sweep_without_a_prefix_is_refused() -> None:
    """It would remove everything."""
    with pytest.raises(UsageError, match="prefix"):
        Sweeper(AriEndpoint("http://127.0.0.1:1/ari"), TLS).sweep("")


async def test_sections_of_a_dead_process_are_removed_by_their_names(fake_ari: FakeAri) -> None:
    """Asterisk lists none; those of sessions that ended well are gone, and those of other processes stay."""
    waiting = Waiting()
    dead, other = "p-0003.websocket-1", "q-0001.websocket-1"
    fake_ari.sections = {name: {} for name in (dead, "p-0003.websocket-2", other)}
    swept = await asyncio.to_thread(sweeper(fake_ari).until_clean, "p-", 5.0, lambda: waiting.now_s, waiting.pause)
    assert list(fake_ari.sections) == [other]
    assert swept.removed == (dead, "p-0003.websocket-2")
