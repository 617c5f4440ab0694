from __future__ import annotations

from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from pytest_ari_sla.errors import AriUnreachable
from pytest_ari_sla.load.calls.call_table import CallTable
from pytest_ari_sla.load.load_books import LoadBooks
from pytest_ari_sla.load.load_builder import LoadBuilder
from pytest_ari_sla.load.meters.control_meter import ControlMeter

if TYPE_CHECKING:
    from pytest_ari_sla.load.planning.plan import LoadPlan
    from pytest_ari_sla.load.tools import LoadTools


async def test_an_error_of_the_very_first_look_at_the_target_kept_every_call_from_being_made() -> None:
    """A pack of tests that could not begin is refused, not failed: whatever comes before the first call counts so."""

    async def fail() -> None:
        raise AriUnreachable("gone")

    plan = cast("LoadPlan", SimpleNamespace(shard=1))
    tools = cast("LoadTools", SimpleNamespace(leak_audit=SimpleNamespace(begin=fail)))
    meter = ControlMeter()
    builder = LoadBuilder(plan, tools, meter, LoadBooks(CallTable(), meter))
    async with AsyncExitStack() as stack:
        with pytest.raises(AriUnreachable) as caught:
            await builder.prepare(stack)
    assert caught.value.before_any_call
