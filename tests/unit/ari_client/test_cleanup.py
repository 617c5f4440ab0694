from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from pytest_ari_sla.ari_client.cleanup import CleanupReport, sweep
from pytest_ari_sla.errors import UsageError
from tests.unit.ari_client.ari_server import PASSWORD, USER, FakeAri, hang, refusal

CREDENTIALS = (USER, PASSWORD)


async def swept(fake_ari: FakeAri, credentials: tuple[str, str] = CREDENTIALS, timeout_s: float = 5.0) -> CleanupReport:
    """Sweep for the prefix "run" in a thread, as another process would."""
    return await asyncio.to_thread(sweep, fake_ari.url, credentials, "run", timeout_s=timeout_s)


@pytest.fixture
def leftovers(fake_ari: FakeAri) -> list[str]:
    """Return ids that a run left behind, beside those of others."""
    for identity in ("run.c0000001.", "run.c0000002.", "other", "run-2.c0000001."):
        fake_ari.channels[identity] = {"id": identity}
    fake_ari.bridges["run.b0000003."] = {"id": "run.b0000003."}
    return ["run.c0000001.", "run.c0000002.", "run.b0000003."]


async def test_a_sweep_removes_what_carries_the_prefix(fake_ari: FakeAri, leftovers: list[str]) -> None:
    """And nothing else."""
    assert await swept(fake_ari) == CleanupReport(removed=tuple(leftovers))
    assert set(fake_ari.channels) == {"other", "run-2.c0000001."}


async def test_a_prefix_that_ends_with_a_dash_stands_for_all_that_begin_so(
    fake_ari: FakeAri, leftovers: list[str]
) -> None:
    """All sessions of a worker that died."""
    report = await asyncio.to_thread(sweep, fake_ari.url, CREDENTIALS, "run-")
    assert report.removed == ("run-2.c0000001.",)
    assert set(leftovers) <= {*fake_ari.channels, *fake_ari.bridges}


async def test_credentials_of_a_sweep_can_stand_in_the_url(fake_ari: FakeAri, leftovers: list[str]) -> None:
    """As a user types it."""
    url = fake_ari.url.replace("://", f"://{USER}:{PASSWORD}@")
    report = await asyncio.to_thread(sweep, url, ("", ""), "run")
    assert list(report.removed) == leftovers


async def test_a_sweep_goes_on_after_a_refusal(fake_ari: FakeAri, leftovers: list[str]) -> None:
    """What is gone meanwhile is no leak; what is refused is."""

    async def refuse(request: web.Request) -> web.StreamResponse | None:
        statuses = {leftovers[0]: 404, leftovers[1]: 500}
        status = statuses.get(request.path.rpartition("/")[2])
        return None if status is None else refusal(status, "no")

    fake_ari.interfere = refuse
    assert await swept(fake_ari) == CleanupReport(removed=(leftovers[2],), leaked=(leftovers[1],))


async def test_a_sweep_that_cannot_look_says_why(fake_ari: FakeAri) -> None:
    """It never raises: it runs where an exception helps nobody."""
    report = await swept(fake_ari, (USER, "wrong-secret"))
    assert "401" in report.problem
    assert "wrong-secret" not in report.problem


async def test_a_sweep_of_something_else_says_why(fake_ari: FakeAri) -> None:
    """What answers is not ARI."""

    async def greet(_: web.Request) -> web.StreamResponse | None:
        return web.Response(text="It works!")

    fake_ari.interfere = greet
    assert "ended early" in (await swept(fake_ari)).problem


async def test_a_sweep_is_bounded_in_time(fake_ari: FakeAri) -> None:
    """Asterisk may hang, and that is when sweeps are needed."""
    fake_ari.interfere = hang
    assert "timed out" in (await swept(fake_ari, timeout_s=0.1)).problem


async def test_a_sweep_without_an_asterisk_says_why(unused_tcp_port: int) -> None:
    """Nothing listens any more."""
    report = await asyncio.to_thread(sweep, f"http://127.0.0.1:{unused_tcp_port}", CREDENTIALS, "run")
    assert "refused" in report.problem


def test_a_sweep_with_an_unusable_prefix_is_refused() -> None:
    """An empty one would remove everything."""
    with pytest.raises(UsageError, match="prefix"):
        sweep("http://127.0.0.1:1", CREDENTIALS, "")
