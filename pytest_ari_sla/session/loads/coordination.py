"""How one process's part of each load goes together with the parts of others, and who sees a load as a whole.

A session alone (:mod:`.alone`) has no others; a worker of a fleet (``fleet/worker.py``) meets them at the controller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pytest_ari_sla.errors import SlaError
    from pytest_ari_sla.judging.standing import Told
    from pytest_ari_sla.load.results.outcome import LoadOutcome
    from pytest_ari_sla.load.run import LoadProgress
    from pytest_ari_sla.session.loads.load_job import LoadJob
    from pytest_ari_sla.session.reports.run_facts import RunFacts

__all__ = ["Coordination"]


class Coordination(Protocol):
    """This process among those that make a load.

    Attributes
    ----------
    facts
        Of the run; its ``target`` is the one that all of them put their calls on.
    number
        Tells this process's ids at Asterisk from those of the others: see :meth:`.RunFacts.id_prefix`.
    shard
        Which part of each load is made here, from 1.
    judges
        Whether the last load is judged here.
    root_pid
        The process that began all those of this tool on this machine, as far as we know.
    """

    facts: RunFacts
    number: int
    shard: int
    judges: bool
    root_pid: int

    @property
    def other(self) -> Coordination | None:
        """Return the same for the other target that loads are compared against."""

    def own_address(self) -> str:
        """Return the address of this machine that the target sees."""

    def target_crash(self) -> SlaError | None:
        """Return how the target has ended by itself, if it was started here, and has."""

    def in_load(self, job: LoadJob) -> AbstractContextManager[None]:
        """Let a load hear what others know of it while this lasts."""

    async def begin_together(self, job: LoadJob) -> None:
        """Wait until every process is ready for a load.

        Raises
        ------
        ShardLost
            One will never be.
        """

    def progress(self, job: LoadJob, progress: LoadProgress) -> None:
        """Tell whoever sees the load as a whole how it goes; a load that is to end early is told."""

    async def merge(self, job: LoadJob, outcome: LoadOutcome) -> LoadOutcome:
        """Return the outcome over all processes that were there at the end."""

    def merge_cut_off(self, job: LoadJob, outcome: LoadOutcome) -> LoadOutcome:
        """Return the outcome of a load that was cut off, over all processes that tell theirs in time."""

    def hand_over(self, nodeid: str, told: Told) -> None:
        """Tell whoever writes the reports of a test that pytest makes no report of."""

    def write_down(self, why: str) -> None:
        """Write down the loads that run, since this process is about to end on the spot; from any thread."""

    def close(self) -> None:
        """Stop everything that was started for all processes together."""
