"""The role of a worker of a fleet: makes its shard of every load, and meets the others before and after."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from pytest_ari_sla.errors import ShardLost, error_of
from pytest_ari_sla.fleet import messages as messages
from pytest_ari_sla.load.outcome import LoadOutcome
from pytest_ari_sla.session.alone import Standalone
from pytest_ari_sla.targets.target import Target, local_address_towards

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_ari_sla.fleet.link import ControllerLink
    from pytest_ari_sla.judging.standing import Told
    from pytest_ari_sla.load.run import LoadProgress
    from pytest_ari_sla.session.load_job import LoadJob
    from pytest_ari_sla.session.registry import Registry
    from pytest_ari_sla.settings import Settings

__all__ = ["Worker"]

_TARGET_TIMEOUT_S = 120.0
_CUT_OFF_TIMEOUT_S = 5.0
"""A load that is cut off on one shard ends on the others within two seconds."""


class Worker(Standalone):
    """One shard of a fleet.

    Parameters
    ----------
    settings, registry
        What the user asked for, and what plug-ins registered.
    link
        The connection to the controller.
    identity
        ``run_id``, ``shard``, ``shards``, and ``number``: see :class:`~pytest_ari_sla.fleet.controller.FleetMember`.

    Attributes
    ----------
    judges
        Whether this shard judges the last load: the first of those that were there at its end.
    """

    def __init__(
        self, settings: Settings, registry: Registry, link: ControllerLink, identity: Mapping[str, Any]
    ) -> None:
        super().__init__(settings, registry)
        self.run_id = identity["run_id"]
        self.shard = identity["shard"]
        self.shards = identity["shards"]
        self.judges = self.shard == 1
        self._number = identity["number"]
        self._link = link
        self._target: Target | None = None

    @property
    def id_prefix(self) -> str:
        """What begins all our ids at Asterisk; the controller sweeps by it if we die."""
        return f"sla-{self.run_id}-{self._number:03d}-"

    def target(self) -> Target:
        """Return the target, which the controller has started or looked up."""
        if self._target is None:
            answer = self._link.ask_target(_TARGET_TIMEOUT_S)
            if answer.error:
                raise error_of(answer.culprit, answer.error)
            self._target = msgspec.convert(answer.values, Target)
        return self._target

    def _own_address(self) -> str:
        """Return the address of this machine that the target sees: on every machine of a fleet another one."""
        return local_address_towards(urlsplit(self.target().url).hostname or "")

    async def make(self, job: LoadJob) -> LoadOutcome:
        """Make our shard of a load and return what came of it, over all shards."""
        self.judges = self.shard == 1
        self._target = None  # asked again for each load: it may have died since
        with self._link.in_load(job):
            return await super().make(job)

    async def begin_together(self, job: LoadJob) -> None:
        """Wait until all shards are ready.

        Raises
        ------
        ShardLost
            If one will never be.
        """
        await self._link.meet(job.test, f"{job.number} begin", job.describe().to_bytes(), needs_all=True)

    async def merge(self, job: LoadJob, outcome: LoadOutcome) -> LoadOutcome:
        """Exchange results with the other shards and return the outcome over all that were there."""
        payload = msgspec.msgpack.encode(outcome.to_plain())
        together = await self._link.meet(job.test, f"{job.number} result", payload, needs_all=False)
        self.judges = self.shard == min(together.present)
        if together.missing and job.problem is None:
            job.problem = ShardLost("; ".join(together.missing))
        return LoadOutcome.from_plain(msgspec.msgpack.decode(together.payload))

    def cut_off(self, job: LoadJob, why: str) -> LoadOutcome | None:
        """Return what was measured of a load that did not come to its end, over the shards that say so in time."""
        outcome = super().cut_off(job, why)
        if outcome is None:
            return None
        payload = msgspec.msgpack.encode(outcome.to_plain())
        together = self._link.meet_now(job.test, f"{job.number} result", payload, outcome.cut_off, _CUT_OFF_TIMEOUT_S)
        if together is None:
            return replace(
                outcome, notes=(*outcome.notes, f"Only shard {self.shard} of {self.shards} is in these figures.")
            )
        self.judges = self.shard == min(together.present)
        return LoadOutcome.from_plain(msgspec.msgpack.decode(together.payload))

    def hand_over(self, nodeid: str, told: Told) -> None:
        """Tell the controller of a test that pytest makes no report of."""
        with suppress(ShardLost):
            self._link.send(messages.Judged(nodeid, msgspec.to_builtins(told)))

    def progress(self, job: LoadJob, progress: LoadProgress) -> None:
        """Tell the controller how the load goes; it decides for all shards."""
        recent = progress.recent.to_plain()
        self._link.send(messages.Progressed(job.test, job.number, progress.at_ns, progress.calls_up, recent))
