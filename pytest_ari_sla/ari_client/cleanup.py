"""Everything that we make at Asterisk is ours to remove, whatever happens.

At the end everything in the ledger is deleted, and then whatever carries the prefix of the run's ids is swept up,
twice: a request that timed out at our end can be carried out much later.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_ari_sla.ari_client.ownership import Kind, Ledger
from pytest_ari_sla.errors import AriRequestFailed, SlaError

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        Ids that could not be removed.
    problem
        Why the cleaning up itself was cut short; empty if it was not.
    """

    removed: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    leaked: tuple[str, ...] = ()
    problem: str = ""


async def clean_up(
    client: AriClient, ledger: Ledger, prefix: str, *, timeout_s: float, grace_s: float
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
    """
    work = _CleanUp(client, ledger, prefix)
    problem = ""
    try:
        async with asyncio.timeout(timeout_s):
            await work.remove_owned()
            await work.sweep()
            await asyncio.sleep(grace_s)
            await work.sweep()
    except TimeoutError:
        problem = f"cleaning up took more than {timeout_s:g} s"
    except SlaError as failure:
        problem = str(failure)
    leaked = tuple(identity for kind in Kind for identity in ledger.owned(kind))
    return CleanupReport(tuple(work.removed), tuple(work.late), leaked, problem)


class _CleanUp:
    """One cleaning up, and what came of it so far."""

    def __init__(self, client: AriClient, ledger: Ledger, prefix: str) -> None:
        self._client = client
        self._ledger = ledger
        self._prefix = prefix
        self.removed: list[str] = []
        self.late: list[str] = []

    async def remove_owned(self) -> None:
        """Delete what is written down; what could not be is crossed out: a sweep finds it if it is there after all."""
        for kind in Kind:
            owned = self._ledger.owned(kind)
            were_there = await self._delete(kind, owned)
            self.removed += were_there
            for gone in set(owned) - set(were_there):
                self._ledger.forget(kind, gone)

    async def sweep(self) -> None:
        """Delete what carries our prefix, until nothing does.

        A channel that was told to end is listed for some more milliseconds, under load for half a second, and a snoop
        channel until the channel that it listened to has ended. So nothing is told twice in one sweep.
        """
        told: set[str] = set()
        while True:
            left = {kind: await self._listed(kind) for kind in self._ledger.kinds}
            self._settle(left)
            if not any(left.values()):
                return
            for kind, identities in left.items():
                were_there = await self._delete(kind, [identity for identity in identities if identity not in told])
                self.late += [identity for identity in were_there if identity not in self.removed]
                told.update(identities)
            await asyncio.sleep(LISTING_PAUSE_S)

    def _settle(self, left: dict[Kind, list[str]]) -> None:
        """Bring the books in line with what Asterisk lists."""
        for kind, identities in left.items():
            for identity in identities:
                self._ledger.add(kind, identity)
            for gone in set(self._ledger.owned(kind)) - set(identities):
                self._ledger.forget(kind, gone)

    async def _listed(self, kind: Kind) -> list[str]:
        records = await self._client.fetch(list[dict[str, Any]], "GET", kind.listing)
        return _ours(records, kind, self._prefix)

    async def _delete(self, kind: Kind, identities: Iterable[str]) -> list[str]:
        """Delete side by side; return those that were there."""
        identities = list(identities)
        were_there = await asyncio.gather(*(self._try_delete(kind, identity) for identity in identities))
        return [identity for identity, was_there in zip(identities, were_there, strict=True) if was_there]

    async def _try_delete(self, kind: Kind, identity: str) -> bool:
        """Delete one; one that is refused must not keep the others from being deleted, and is still listed later."""
        try:
            return await self._client.delete(kind.listing + "/{id}", {"id": identity})
        except AriRequestFailed:
            return False


def _ours(records: list[dict[str, Any]], kind: Kind, prefix: str) -> list[str]:
    return [identity for record in records if (identity := str(record.get(kind.id_member, ""))).startswith(prefix)]
