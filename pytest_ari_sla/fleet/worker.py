"""A worker of a fleet: one shard of every load, which meets the others before and after at the controller."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from pytest_ari_sla.errors import ShardLost, error_of
from pytest_ari_sla.fleet import messages as messages
from pytest_ari_sla.load.results.outcome import LoadOutcome
from pytest_ari_sla.session.reports.run_facts import RunFacts
from pytest_ari_sla.targets.target import Target, local_address_towards

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_ari_sla.errors import SlaError
    from pytest_ari_sla.fleet.link import ControllerLink
    from pytest_ari_sla.judging.standing import Told
    from pytest_ari_sla.load.run import LoadProgress
    from pytest_ari_sla.session.loads.load_job import LoadJob
    from pytest_ari_sla.settings import Settings

__all__ = ["Worker"]

_TARGET_TIMEOUT_S = 120.0
_CUT_OFF_TIMEOUT_S = 5.0
"""A load that is cut off on one shard ends on the others within two seconds."""


class Worker:
    """A :class:`~pytest_ari_sla.session.loads.coordination.Coordination` of the shards of a fleet.

    Parameters
    ----------
    settings
        What the user asked for.
    link
        The connection to the controller.
    identity
        ``run_id``, ``shard``, ``shards``, and ``number``: see `FleetMember`.
    is_other
        Whether this is for the other target, which loads are compared against.

    Attributes
    ----------
    judges
        Whether this shard judges the last load: the first of those that were there at its end.
    """

    def __init__(
        self, settings: Settings, link: ControllerLink, identity: Mapping[str, Any], *, is_other: bool = False
    ) -> None:
        self.facts = RunFacts(settings, self._find_target, identity["shards"], identity["run_id"])
        self.number = identity["number"]
        self.shard = identity["shard"]
        self.judges = self.shard == 1
        # In a container, the parent may be the one of all processes there.
        self.root_pid = os.getppid() if os.getppid() > 1 else os.getpid()
        self._link = link
        self._is_other = is_other
        self._target: Target | None = None
        others = settings.of_other_target()
        self.other = None if others is None else Worker(others, link, identity, is_other=True)

    def _find_target(self) -> Target:
        """Return the target, which the controller has started or looked up."""
        if self._target is None:
            answer = self._link.ask_target(_TARGET_TIMEOUT_S, other=self._is_other)
            if answer.error:
                raise error_of(answer.culprit, answer.error)
            self._target = msgspec.convert(answer.values, Target)
        return self._target

    def own_address(self) -> str:
        """Return the address of this machine that the target sees: on every machine of a fleet another one."""
        return local_address_towards(urlsplit(self._find_target().url).hostname or "")

    def target_crash(self) -> SlaError | None:
        """Return None: the controller finds out, and tells the loads."""
        return None

    @contextmanager
    def in_load(self, job: LoadJob) -> Iterator[None]:
        """Let a load hear what the controller says of it."""
        self.judges = self.shard == 1
        self._target = None  # asked again for each load: it may have died since
        with self._link.in_load(job):
            yield

    async def begin_together(self, job: LoadJob) -> None:
        """Wait until all shards are ready.

        Raises
        ------
        ShardLost
            One will never be.
        """
        await self._link.meet(job.test, f"{job.number} begin", job.describe().to_bytes(), needs_all=True)

    def progress(self, job: LoadJob, progress: LoadProgress) -> None:
        """Tell the controller how the load goes; it decides for all shards."""
        recent = progress.recent.to_plain()
        self._link.send(messages.Progressed(job.test, job.number, progress.at_ns, progress.calls_up, recent))

    async def merge(self, job: LoadJob, outcome: LoadOutcome) -> LoadOutcome:
        """Exchange results with the other shards and return the outcome over all that were there."""
        payload = msgspec.msgpack.encode(outcome.to_plain())
        together = await self._link.meet(job.test, f"{job.number} result", payload, needs_all=False)
        if together.missing and job.problem is None:
            job.problem = ShardLost("; ".join(together.missing))
        return self._outcome_of(together)

    def merge_cut_off(self, job: LoadJob, outcome: LoadOutcome) -> LoadOutcome:
        """Return what was measured, over the shards that say so in time."""
        payload = msgspec.msgpack.encode(outcome.to_plain())
        together = self._link.meet_now(job.test, f"{job.number} result", payload, outcome.cut_off, _CUT_OFF_TIMEOUT_S)
        if together is None:
            only_ours = f"Only shard {self.shard} of {self.facts.shards} is in these figures."
            return replace(outcome, notes=(*outcome.notes, only_ours))
        return self._outcome_of(together)

    def _outcome_of(self, together: messages.Together) -> LoadOutcome:
        self.judges = self.shard == min(together.present)
        return LoadOutcome.from_plain(msgspec.msgpack.decode(together.payload))

    def hand_over(self, nodeid: str, told: Told) -> None:
        """Tell the controller of a test that pytest makes no report of."""
        with suppress(ShardLost):  # whoever would write the report is gone
            self._link.send(messages.Judged(nodeid, msgspec.to_builtins(told)))

    def write_down(self, why: str) -> None:
        """Do nothing: the controller knows what we have told."""

    def close(self) -> None:
        """Do nothing: what all shards share is the controller's to stop."""
