"""Asking for rtp_statistics: how often, for how long, and what is told of the answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from pytest_ari_sla.ari.endpoint import AriEndpoint
from pytest_ari_sla.watch import rtp_questions
from pytest_ari_sla.watch.rtp_questions import RtpQuestions
from tests.unit.watch.test_rtp_statistics import OURS, OWN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Target:
    """An ARI with channels by SIP; those named "stuck" never answer."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.channels: dict[str, str] = {}
        self.statistics = {"txcount": 1500, "rxcount": 1500, "remote_ssrc": OURS}
        self._never = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        """Answer either request."""
        self.asked[request.path.rpartition("/")[2]] += 1
        if request.path.endswith("/channels"):
            return web.json_response([{"id": name, "protocol_id": call} for call, name in self.channels.items()])
        channel = request.path.split("/")[-2]
        if channel == "stuck":
            await self._never.wait()
        if channel not in self.channels.values():
            return web.json_response({"message": "Channel not found"}, status=404)
        return web.json_response(self.statistics)


@pytest.fixture
def target() -> Target:
    """Return a target."""
    return Target()


@pytest.fixture
async def questions(target: Target) -> AsyncIterator[RtpQuestions]:
    """Return what asks it."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", target.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint = AriEndpoint(f"http://127.0.0.1:{runner.addresses[0][1]}/ari", "u", "p")
    async with RtpQuestions(endpoint, tls=True) as questions:
        yield questions
    await runner.cleanup()


async def test_calls_that_are_up_together_cost_one_list(questions: RtpQuestions, target: Target) -> None:
    """And one request each; a call that came up later costs another list."""
    target.channels = {f"call{number}": f"channel{number}" for number in range(10)}
    answers = await asyncio.gather(*(questions.ask(f"call{number}") for number in range(10)))
    assert [answer.statistics.rxcount for answer in answers if answer] == [1500] * 10
    assert target.asked == {"channels": 1, "rtp_statistics": 10}
    target.channels["late"] = "channel99"
    assert await questions.ask("late") is not None
    assert target.asked == {"channels": 2, "rtp_statistics": 11}


async def test_a_call_that_has_gone_has_no_figures(questions: RtpQuestions, target: Target) -> None:
    """It is not in the list any more, or goes just then."""
    assert await questions.ask("gone") is None
    target.channels = {"call": "channel"}
    target.channels["other"] = "another"
    assert await questions.ask("other") is not None
    target.channels.clear()
    assert await questions.ask("call") is None
    assert questions.values() == {}


async def test_an_asterisk_that_is_stuck_is_asked_no_more(
    questions: RtpQuestions, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls would wait for it at their end, one after the other."""
    monkeypatch.setattr(rtp_questions, "_PATIENCE_S", 0.05)
    target.channels = {f"call{number}": "stuck" for number in range(9)}
    for number in range(9):
        assert await questions.ask(f"call{number}") is None
    assert target.asked["rtp_statistics"] <= 3
    assert target.asked["channels"] <= 3


async def test_what_is_off_is_counted_and_told(questions: RtpQuestions, target: Target) -> None:
    """Calls, not figures; with which figures it is, and a few examples."""
    target.channels = {"call": "channel"}
    right = await questions.ask("call")
    assert right is not None
    assert questions.compare(right, OWN, "c1") == []
    assert questions.remarks() == []
    target.statistics |= {"txcount": 0, "rxploss": 4_000}
    for number in range(5):
        wrong = await questions.ask("call")
        assert wrong is not None
        assert len(questions.compare(wrong, OWN, f"c{number}")) == 2
    assert questions.values() == {"target.rtp_statistics_off": 5, "target.rtp_statistics_compared": 6}
    (remark,) = questions.remarks()
    assert remark.startswith(
        "Asterisk's rtp_statistics are off in 5 of 6 SIP calls (rxploss, rxcount 5 times, txcount 5 times); c0: it says"
    )
    assert remark.count("it says") == 3


async def test_other_streams_are_not_compared(questions: RtpQuestions, target: Target) -> None:
    """Where Asterisk receives another SSRC than we send, it is not this call's leg."""
    target.channels = {"call": "channel"}
    target.statistics |= {"remote_ssrc": OURS + 1, "txcount": 0}
    answer = await questions.ask("call")
    assert answer is not None
    assert questions.compare(answer, OWN, "c1") == []
    assert questions.values() == {}
