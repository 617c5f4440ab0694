"""What every report of a run names: which run it is, when it began, what it tested, and what the user asked for."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_ari_sla.clock import Clock
    from pytest_ari_sla.settings import Settings
    from pytest_ari_sla.targets.target import Target

__all__ = ["RunFacts"]


@dataclass(frozen=True, eq=False)
class RunFacts:
    """One run, as one of its processes knows it.

    Attributes
    ----------
    settings
        What the user asked for.
    target
        Returns what is tested, started if need be; SlaError says why there is none.
    shards
        How many processes make each load.
    run_id
        Unique among runs; begins every id at Asterisk.
    started
        When the session began.
    clock
        The time.
    began_ns
        The same moment on the monotonic clock: the other one may be set while the session runs.
    """

    settings: Settings
    target: Callable[[], Target]
    shards: int = 1
    # Six digits: `leftovers.run_of` knows ids by them.
    run_id: str = field(default_factory=lambda: secrets.token_hex(3))
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: Clock = time
    began_ns: int = field(default_factory=time.monotonic_ns, init=False)

    def seconds_since_start(self) -> float:
        """Return how long the session has lasted."""
        return (self.clock.monotonic_ns() - self.began_ns) / 1e9

    def id_prefix(self, number: int) -> str:
        """Return what begins all ids of one process at Asterisk; what a dead one left is found by it.

        A process that takes a dead one's place has another number, so that it meets none of the dead one's ids.
        """
        return f"sla-{self.run_id}-{number:03d}-"  # of one width: Asterisk finds channels by prefix
