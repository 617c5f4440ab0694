"""The application under test, as far as Asterisk tells of it: whether it is there, and what it leaves behind."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from pytest_ari_sla.ari.resources import Application
from pytest_ari_sla.errors import ApplicationFailed, SlaError

if TYPE_CHECKING:
    from pytest_ari_sla.ari_client.session import AriSession
    from pytest_ari_sla.load.results.outcome import LoadOutcome

__all__ = ["Leftovers", "check_scripts", "why_unanswered", "why_unserved"]

OURS = "sla-"
"""What the names of all applications, channels and bridges of this tool begin with."""

GRACE_S = 3.0
"""So long an application may take to remove what it had for a call that is over."""

_POLL_S = 0.25


class Leftovers:
    """Counts the channels and bridges of others that were not there before the load, and stay when it is over."""

    def __init__(self, ari: AriSession) -> None:
        self._ari = ari
        self._before: set[str] = set()

    async def begin(self) -> None:
        """Take note of what is there, whoever it belongs to."""
        self._before = await self._others()

    async def count(self) -> set[str]:
        """Return the ids of what stays, after the application has had its time."""
        for _ in range(round(GRACE_S / _POLL_S)):
            left = await self._others() - self._before
            if not left:
                break
            await asyncio.sleep(_POLL_S)
        return left

    async def _others(self) -> set[str]:
        channels = {channel.id for channel in await self._ari.channels()}
        bridges = {bridge.id for bridge in await self._ari.bridges()}
        return {identity for identity in channels | bridges if not identity.startswith(OURS)}


async def why_unanswered(ari: AriSession, channel_id: str, extension: str, context: str) -> str:
    """Return why nobody answered at an extension, as far as Asterisk can tell by a channel of ours; else nothing."""
    try:
        exists = await ari.get_variable(channel_id, f"DIALPLAN_EXISTS({context},{extension},1)")
    except SlaError:
        exists = ""  # an Asterisk without func_dialplan does not know
    if exists == "0":
        return f"the dialplan has no extension {extension} in context {context}"
    return await why_unserved(ari)


async def why_unserved(ari: AriSession) -> str:
    """Return that no application is there that could answer, where that is so; else nothing."""
    try:
        applications = await ari.client.fetch(list[Application], "GET", "/applications")
    except SlaError:
        return ""
    if all(application.name.startswith(OURS) for application in applications):
        return "nobody has subscribed to a Stasis application, but for this load itself: does the application run?"
    return ""


def check_scripts(outcome: LoadOutcome) -> list[str]:
    """Return what is to be told of scripts that could not go on.

    Raises
    ------
    ApplicationFailed
        Not one of them came to its end.
    """
    reasons = Counter(_in_general(call.reason) for call in outcome.calls if call.reason)
    if not reasons:
        return []
    (reason, _), *_ = reasons.most_common(1)
    total = outcome.total
    failed = total.count("calls.failed") + total.count("calls.dropped")
    if not total.count("script.completed"):
        raise ApplicationFailed(f"no call went as its script says: {reason}")
    return [f"{failed:,} of {total.count('calls.requested'):,} calls did not go as their script says; mostly: {reason}"]


def _in_general(reason: str) -> str:
    return reason.splitlines()[0]
