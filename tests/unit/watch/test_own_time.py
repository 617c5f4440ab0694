from __future__ import annotations

import asyncio
from itertools import count

import pytest

from pytest_ari_sla.watch.own_time import OwnTime

S = 1_000_000_000


def ticking(step_ns: int) -> OwnTime:
    """Return a meter of a thread that takes so long between two looks at its clock."""
    clock = count(0, step_ns)
    return OwnTime(lambda: next(clock))


async def test_each_step_of_a_coroutine_counts_and_its_waits_do_not() -> None:
    """Three steps of 10 ms in a second are three hundredths of a core."""
    own = ticking(10_000_000)
    own.look(0)

    async def work() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    await own.of(work())
    own.look(1 * S)
    assert (own.shares.count, own.shares.max) == (1, 300)
    own.look(2 * S)
    assert own.shares.min == 0


async def test_a_coroutine_hears_of_its_cancellation_and_its_errors_are_heard() -> None:
    """As without a meter."""
    own = ticking(1)
    heard: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise

    task = asyncio.create_task(own.of(work()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert heard == ["cancelled"]

    async def wrong() -> None:
        message = "wrong"
        raise ValueError(message)

    with pytest.raises(ValueError, match="wrong"):
        await own.of(wrong())
