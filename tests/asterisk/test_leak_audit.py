"""What a real Asterisk holds before and after calls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.ari_client.session import AriSession
from pytest_ari_sla.watch import leak_audit
from pytest_ari_sla.watch.leak_audit import LeakAudit

if TYPE_CHECKING:
    from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk

CALLS = 50


async def test_channels_that_were_hung_up_leave_nothing(asterisk: PrivateAsterisk) -> None:
    """Each had a port, three descriptors and a thread; its connections to us are ours."""
    target = asterisk.target
    assert target.pid is not None
    audit = LeakAudit(target.pid, target.endpoint, is_ours=True)
    await audit.begin()
    async with AriSession(
        target.url, target.user, target.password, app="leaks", id_prefix="sla-00beef-001-0001"
    ) as session:
        calls = [session.new_id("call") for _ in range(CALLS)]
        await asyncio.gather(*(session.external_media(call, "127.0.0.1:9", "ulaw") for call in calls))
        with pytest.MonkeyPatch.context() as soon:  # what is up does not go by itself
            soon.setattr(leak_audit, "GRACE_S", 0.0)
            while_up = await audit.end(CALLS, CALLS, tls=True)
        await asyncio.gather(*(session.hangup(call) for call in calls))
    found = await audit.end(CALLS, CALLS, tls=True)
    assert while_up.values == {}
    assert f"{CALLS} channels that may need them" in while_up.notes[0]
    assert found.values["target.leaked_files"] == found.values["target.leaked_ports"] == 0
