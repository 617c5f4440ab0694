"""Everything that we make at Asterisk is ours to remove, whatever happens.

At the end everything in the ledger is deleted, and then whatever carries the prefix of the run's ids is swept up,
twice: a request that timed out at our end can be carried out much later.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_ari_sla.ari_client.event_stream.events import REFUSED_PAUSE_S, REFUSED_S, back_off_s
from pytest_ari_sla.ari_client.removal.ownership import Kind, Ledger
from pytest_ari_sla.errors import AriUnreachable, SlaError
from pytest_ari_sla.metrics.units import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_ari_sla.ari_client.requests import AriClient

__all__ = ["CleanupReport", "clean_up"]

#: Pause between two looks at what is still there.
LISTING_PAUSE_S = 0.05


@dataclass(frozen=True)
class CleanupReport:
    """What the end of a session found.

    Attributes
    ----------
    removed
        Ids that were still there and were removed: calls that the end interrupted.
    late
        Ids that appeared or stayed after everything known was removed, and were removed by the sweep.
    leaked
        Ids that are still listed.
    unknown
        Ids of which it could not be asked whether they are still there.
    problem
        Why the cleaning up itself was cut short; empty if it was not.
    """

    removed: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    leaked: tuple[str, ...] = ()
    problem: str = ""
    unknown: tuple[str, ...] = ()

    def words(self) -> str:
        """Return what is left, for a note."""
        left = counted(len(self.leaked), "resource was", "resources were") + " left at Asterisk"
        unknown = f"whether {counted(len(self.unknown), 'resource is', 'resources are')} left could not be asked"
        told = [words for words, ids in ((left, self.leaked), (unknown, self.unknown)) if ids]
        return "; ".join([*told, *([self.problem] if self.problem else [])])


async def clean_up(
    client: AriClient,
    ledger: Ledger,
    prefix: str,
    *,
    timeout_s: float,
    grace_s: float,
    is_gone: Callable[[], bool] = lambda: False,
) -> CleanupReport:
    """Remove everything in the ledger, then sweep by prefix twice; never raises.

    Parameters
    ----------
    client
        How Asterisk is reached.
    ledger
        What is known; empty afterwards but for what leaked.
    prefix
        Prefix of our ids, with its terminator.
    timeout_s
        For all of it.
    grace_s
        Pause between the two sweeps, for requests that Asterisk carries out late.
    is_gone
        Tells whether Asterisk's process is known to have ended: then nothing is left, and nobody need be asked.
    """
    work = _CleanUp(client, ledger, prefix, is_gone)
    problem = ""
    try:
        async with asyncio.timeout(timeout_s):
            await work.remove_owned()
            await work.sweep()
            await asyncio.sleep(grace_s)
            await work.sweep()
    except TimeoutError:
        problem = f"cleaning up took more than {timeout_s:g} s" + (f": {work.trouble}" if work.trouble else "")
    except SlaError as failure:
        problem = str(failure)
    if is_gone():
        for kind in (Kind.CHANNEL, Kind.BRIDGE):  # recordings are files, and outlive it
            for identity in ledger.owned(kind):
                ledger.forget(kind, identity)
        if not ledger.owned(Kind.RECORDING):
            problem = ""
    left = tuple(identity for kind in Kind for identity in ledger.owned(kind))
    leaked, unknown = (left, ()) if work.is_known else ((), left)
    return CleanupReport(tuple(work.removed), tuple(work.late), leaked, problem, unknown)


class _CleanUp:
    """One cleaning up, and what came of it so far.

    Attributes
    ----------
    removed, late
        See :class:`CleanupReport`.
    is_known
        Whether Asterisk answered when it was last asked what is there.
    trouble
        Why it did not.
    """

    def __init__(self, client: AriClient, ledger: Ledger, prefix: str, is_gone: Callable[[], bool]) -> None:
        self._client = client
        self._is_gone = is_gone
        self._ledger = ledger
        self._prefix = prefix
        self.removed: list[str] = []
        self.late: list[str] = []
        self.is_known = False
        self.trouble = ""

    async def remove_owned(self) -> None:
        """Delete what is written down, and cross out what is gone."""
        for kind in Kind:
            told, gone = await self._delete(kind, self._ledger.owned(kind))
            self.removed += told
            for identity in gone:
                self._ledger.forget(kind, identity)

    async def sweep(self) -> None:
        """Delete what carries our prefix, until nothing does.

        A channel that was told to end is listed for some more milliseconds, under load for half a second, and a snoop
        channel until the channel that it listened to has ended. So nothing is told twice in one sweep, unless Asterisk
        failed to hear it.
        """
        told: set[str] = set()
        while True:
            left = {kind: await self._listed(kind) for kind in self._ledger.kinds}
            self._settle(left)
            if not any(left.values()):
                return
            for kind, identities in left.items():
                heard, gone = await self._delete(kind, [identity for identity in identities if identity not in told])
                self.late += [identity for identity in heard if identity not in self.removed]
                told.update(heard, gone)
            await asyncio.sleep(LISTING_PAUSE_S)

    def _settle(self, left: dict[Kind, list[str]]) -> None:
        """Bring the books in line with what Asterisk lists."""
        for kind, identities in left.items():
            for identity in identities:
                self._ledger.add(kind, identity)
            for gone in set(self._ledger.owned(kind)) - set(identities):
                self._ledger.forget(kind, gone)

    async def _listed(self, kind: Kind) -> list[str]:
        """Return what of ours is listed; asked until Asterisk answers, or has refused connections for a while."""
        began_s = asyncio.get_running_loop().time()
        for attempt in itertools.count():
            try:
                records = await self._client.fetch(list[dict[str, Any]], "GET", kind.listing)
                break
            except SlaError as failure:
                self.is_known, self.trouble = False, str(failure)
                refused = isinstance(failure, AriUnreachable) and failure.refused
                if self._is_gone() or (refused and asyncio.get_running_loop().time() - began_s >= REFUSED_S):
                    raise
            await asyncio.sleep(back_off_s(attempt, cap_s=REFUSED_PAUSE_S))
        self.is_known = True
        return _ours(records, kind, self._prefix)

    async def _delete(self, kind: Kind, identities: Iterable[str]) -> tuple[list[str], list[str]]:
        """Delete side by side; return those that were told, and those that were gone already."""
        identities = list(identities)
        existed = await asyncio.gather(*(self._try_delete(kind, identity) for identity in identities))
        outcomes = list(zip(identities, existed, strict=True))
        told = [identity for identity, there in outcomes if there]
        return told, [identity for identity, there in outcomes if there is False]

    async def _try_delete(self, kind: Kind, identity: str) -> bool | None:
        """Delete one; return whether it was there, None where that failed: it must not keep the others from it."""
        try:
            return await self._client.delete(kind.listing + "/{id}", {"id": identity})
        except SlaError:
            return None


def _ours(records: list[dict[str, Any]], kind: Kind, prefix: str) -> list[str]:
    return [identity for record in records if (identity := str(record.get(kind.id_member, ""))).startswith(prefix)]
