"""The application under test, as far as Asterisk tells of it: whether it is there, and what it leaves behind."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from pytest_ari_sla.ari.resources import Application
from pytest_ari_sla.errors import ApplicationFailed, SlaError
from pytest_ari_sla.metrics.units import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pytest_ari_sla.ari_client.session import AriSession
    from pytest_ari_sla.load.results.outcome import CallOutcome, LoadOutcome

__all__ = ["Leftovers", "check_scripts", "why_unanswered", "why_unserved"]

OURS = "sla-"
"""What the names of all channels and bridges of this tool begin with."""

OUR_NAMES = (OURS, "ari-sla-")
"""Likewise of its applications."""

GRACE_S = 3.0
"""So long an application may take to remove what it had for a call that is over."""

_POLL_S = 0.25
_FEWEST_UNANSWERED = 2


class Leftovers:
    """Counts what an application keeps of calls that are over: channels and bridges that were not there before.

    Others may use the same Asterisk. Which application it is shows while the load runs: it holds our callers' channels.
    """

    def __init__(self, ari: AriSession) -> None:
        self._ari = ari
        self._before: set[str] = set()
        self._serving: set[str] = set()

    async def begin(self) -> None:
        """Take note of what is there, whoever it belongs to."""
        self._before = await self._others()

    async def look(self) -> None:
        """Learn which applications our callers are in."""
        holding = [one for one in await self._applications() if one.channel_ids and one.name not in self._serving]
        callers: set[str] = set()
        if holding and not self._serving:
            # A caller by SIP has an id of Asterisk's; it shows the call's id as its name.
            callers = {one.id for one in await self._ari.channels() if one.caller.name.startswith(OURS)}
        for application in holding:
            if any(channel.startswith(OURS) or channel in callers for channel in application.channel_ids):
                self._serving.add(application.name)

    async def count(self) -> set[str]:
        """Return the ids of what stays, after the application has had its time."""
        for _ in range(round(GRACE_S / _POLL_S)):
            left = await self._left()
            if not left:
                break
            await asyncio.sleep(_POLL_S)
        return left

    async def gone(self) -> set[str]:
        """Return the names of applications that had our callers, and are not there any more."""
        return self._serving - {one.name for one in await self._applications()}

    async def _left(self) -> set[str]:
        left = await self._others() - self._before
        if not left or not self._serving:
            return left
        serving = [one for one in await self._applications() if one.name in self._serving]
        return left & {identity for one in serving for identity in (*one.channel_ids, *one.bridge_ids)}

    async def _applications(self) -> list[Application]:
        """Return the applications of others."""
        applications = await self._ari.client.fetch(list[Application], "GET", "/applications")
        return [one for one in applications if not one.name.startswith(OUR_NAMES)]

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
    if all(application.name.startswith(OUR_NAMES) for application in applications):
        return "nobody has subscribed to a Stasis application, but for this load itself: does the application run?"
    return ""


def check_scripts(outcome: LoadOutcome, gone: Collection[str] = ()) -> list[str]:
    """Return what is to be told of scripts that could not go on.

    Parameters
    ----------
    outcome
        The load.
    gone
        Names of applications that had its callers, and have gone.

    Raises
    ------
    ApplicationFailed
        It has gone; not one of them came to its end, or none that began after a certain time was answered.
    """
    reasons = Counter(_in_general(call.reason) for call in outcome.calls if call.reason)
    if not reasons:
        return []
    (reason, _), *_ = reasons.most_common(1)
    total = outcome.total
    # One that leaves when all its calls are over has done nothing wrong.
    if gone and total.count("calls.failed"):
        raise ApplicationFailed(
            f"the Stasis application {', '.join(sorted(gone))} has gone: its connection to Asterisk ended in mid-load"
        )
    if stopped := _stopped_answering(outcome.calls):
        raise ApplicationFailed(stopped)
    failed = total.count("calls.failed") + total.count("calls.dropped")
    if not total.count("script.completed"):
        raise ApplicationFailed(f"no call went as its script says: {reason}")
    calls = counted(total.count("calls.requested"), "call")
    return [f"{failed:,} of {calls} did not go as their script says; mostly: {reason}"]


def _stopped_answering(calls: Sequence[CallOutcome]) -> str:
    """Return that calls were answered at first, and no more from some time on; empty where that is not so."""
    begun = sorted((call for call in calls if call.state != "cancelled"), key=lambda call: call.started_ns)
    answered = [place for place, call in enumerate(begun) if call.established_ns is not None]
    if not answered:
        return ""
    later = begun[answered[-1] + 1 :]
    broken = [call for call in begun if call.state == "dropped"]
    # One call alone that nobody answers may be an accident, unless others broke at the same time.
    if not later or len(later) + bool(broken) < _FEWEST_UNANSWERED:
        return ""
    (reason, _), *_ = Counter(_in_general(call.reason) for call in later).most_common(1)
    last_s = begun[answered[-1]].started_ns / 1e9
    return (
        f"the application stopped answering: the last call that it answered began {last_s:.1f} s after the load's "
        f"beginning, and of those that followed ({len(later):,}) none was answered (mostly: {reason})"
    )


def _in_general(reason: str) -> str:
    return reason.splitlines()[0]
