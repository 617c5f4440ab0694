"""What reports need to know of a load: the shapes of what ``load`` measures, which this package does not import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_ari_sla.metrics.snapshot import Snapshot
    from pytest_ari_sla.metrics.time_series import TimeSeries

__all__ = ["MeasuredCall", "MeasuredEvent", "MeasuredGenerator", "MeasuredLoad"]


class MeasuredEvent(Protocol):
    """One thing that happened to a call; see ``load.outcome.TimelineEvent``."""

    @property
    def at_ns(self) -> int:
        """When, ns since the load's beginning."""

    @property
    def source(self) -> str:
        """Who says so."""

    @property
    def what(self) -> str:
        """Its name."""

    @property
    def detail(self) -> str:
        """Anything more."""


class MeasuredCall(Protocol):
    """What is known of one call; see ``load.outcome.CallOutcome``."""

    @property
    def id(self) -> str:
        """Id of the call."""

    @property
    def state(self) -> str:
        """What became of it."""

    @property
    def started_ns(self) -> int:
        """When it was asked for."""

    @property
    def established_ns(self) -> int | None:
        """When its media path was complete."""

    @property
    def closed_ns(self) -> int | None:
        """When it was over."""

    @property
    def first_packet_ns(self) -> int | None:
        """From its start until its first packet came back."""

    @property
    def reason(self) -> str:
        """Why it failed or was dropped."""

    @property
    def shard(self) -> int:
        """Who made it."""

    @property
    def values(self) -> Mapping[str, float]:
        """What was measured of this call alone."""

    @property
    def timeline(self) -> Sequence[MeasuredEvent]:
        """What happened to it."""


class MeasuredGenerator(Protocol):
    """How one shard's load generator did; see ``load.outcome.GeneratorHealth``."""

    @property
    def shard(self) -> int:
        """From 1."""

    @property
    def host(self) -> str:
        """Its machine."""

    @property
    def values(self) -> dict[str, Any]:
        """Its own ``harness.*`` numbers, as a plain snapshot."""

    @property
    def realtime(self) -> bool:
        """Whether packets were moved under SCHED_FIFO."""

    @property
    def backend(self) -> str:
        """How packets were moved."""

    @property
    def receive_buffer_bytes(self) -> int:
        """What the kernel granted to each socket."""


class MeasuredLoad(Protocol):
    """Everything measured by one load; see ``load.outcome.LoadOutcome``."""

    @property
    def topology(self) -> str:
        """How calls were joined."""

    @property
    def codec(self) -> str:
        """What they sent."""

    @property
    def started_ns(self) -> int:
        """When it began, ns since the Unix epoch."""

    @property
    def duration_ns(self) -> int:
        """Until its last call was gone."""

    @property
    def total(self) -> Snapshot:
        """All numbers."""

    @property
    def series(self) -> TimeSeries:
        """The same over time."""

    @property
    def calls(self) -> Sequence[MeasuredCall]:
        """Calls one by one."""

    @property
    def generators(self) -> Sequence[MeasuredGenerator]:
        """One entry a shard."""

    @property
    def notes(self) -> Sequence[str]:
        """What else a reader must know."""
