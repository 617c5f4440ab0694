"""What is known of each call, and the totals of all calls: one ledger, so that the two cannot disagree.

A call's life, as the ledger sees it::

    (new) --started--> STARTING --established--> ACTIVE --ended--> ENDED
                          |                        |
                          +--failed--> FAILED      +--failed--> DROPPED
                          +--ended---> CANCELLED

``established``, ``failed`` and ``ended`` are facts reported by the caller of this module. A call that fails after it
was established has been dropped; one that is ended before it was established has been cancelled by the test itself and
counts as neither. Everything else is a mistake of the program and raises.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import HarnessError
from pytest_ari_sla.metrics.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CallLedger", "CallState", "ChannelMetrics"]


class CallState(Enum):
    """Where a call is in its life."""

    STARTING = "starting"
    ACTIVE = "active"
    ENDED = "ended"
    FAILED = "failed"
    DROPPED = "dropped"
    CANCELLED = "cancelled"


_TRANSITIONS = {
    CallState.STARTING: {
        "established": CallState.ACTIVE,
        "failed": CallState.FAILED,
        "ended": CallState.CANCELLED,
    },
    CallState.ACTIVE: {
        "failed": CallState.DROPPED,
        "ended": CallState.ENDED,
    },
}
_OPEN_STATES = frozenset(_TRANSITIONS)
_NEVER_ESTABLISHED = frozenset({CallState.STARTING, CallState.FAILED, CallState.CANCELLED})


@dataclass(frozen=True, slots=True)
class ChannelMetrics:
    """What is known of one call.

    Attributes
    ----------
    call
        Id of the call.
    started_ns, established_ns, closed_ns
        When it was requested, when its media path was complete and when it was over, in ns since the load's beginning;
        None where that has not happened.
    state
        Where it is in its life.
    reason
        Why it failed or was dropped; empty otherwise.
    values
        Figures of this call alone, by metric name, in the metric's unit.
    """

    call: str
    started_ns: int
    state: CallState = CallState.STARTING
    established_ns: int | None = None
    closed_ns: int | None = None
    reason: str = ""
    values: Mapping[str, float] = field(default_factory=dict)


class CallLedger:
    """All calls of a load, and their totals.

    Every call is in exactly one place: open, or closed and counted under the state that it closed in. All totals are
    computed from these.

    Parameters
    ----------
    rows_kept
        How many closed calls are remembered one by one: that many of the ended ones (the latest), and that many of
        those that failed, were dropped or cancelled (the first). The totals cover all.
    """

    def __init__(self, rows_kept: int = 10_000) -> None:
        self._open: dict[str, ChannelMetrics] = {}
        self._closed: Counter[CallState] = Counter()
        self._rows_kept = rows_kept
        self._ended_rows: deque[ChannelMetrics] = deque(maxlen=rows_kept)
        self._other_rows: list[ChannelMetrics] = []
        self._newly_established: list[int] = []

    def mark_channel_started(self, call: str, now_ns: int) -> None:
        """Take in a new call.

        Raises
        ------
        HarnessError
            When a call of that id is open.
        """
        if call in self._open:
            message = f"call {call} was started twice"
            raise HarnessError(message)
        self._open[call] = ChannelMetrics(call, now_ns)

    def mark_channel_established(self, call: str, now_ns: int) -> None:
        """Note that a call's media path is complete.

        Raises
        ------
        HarnessError
            When the call is not in its starting phase.
        """
        entry = replace(self._after(call, "established"), established_ns=now_ns)
        self._open[call] = entry
        self._newly_established.append(entry.started_ns)

    def mark_channel_failed(self, call: str, now_ns: int, reason: str) -> None:
        """Note that a call failed, or was dropped when it had been established.

        Raises
        ------
        HarnessError
            When the call is not open.
        """
        self._close(replace(self._after(call, "failed"), closed_ns=now_ns, reason=reason))

    def mark_channel_ended(self, call: str, now_ns: int, values: Mapping[str, float] | None = None) -> None:
        """Count the end of a call that was told to end, and keep its own figures.

        Raises
        ------
        HarnessError
            When the call is not open.
        """
        self._close(replace(self._after(call, "ended"), closed_ns=now_ns, values=dict(values or {})))

    def _after(self, call: str, event: str) -> ChannelMetrics:
        """Return an open call with the state that an event leads to."""
        entry = self._open.get(call)
        if entry is None or event not in _TRANSITIONS[entry.state]:
            state = "not open" if entry is None else entry.state.value
            message = f"call {call} is {state} and cannot be {event}"
            raise HarnessError(message)
        return replace(entry, state=_TRANSITIONS[entry.state][event])

    def _close(self, entry: ChannelMetrics) -> None:
        del self._open[entry.call]
        self._closed[entry.state] += 1
        if entry.state is CallState.ENDED:
            self._ended_rows.append(entry)
        elif len(self._other_rows) < self._rows_kept:
            self._other_rows.append(entry)

    def take_established(self) -> list[int]:
        """Return when those calls were started (ns since the beginning) that were established since the last time."""
        starts, self._newly_established = self._newly_established, []
        return starts

    @property
    def requested(self) -> int:
        """Calls started so far."""
        return len(self._open) + self._closed.total()

    @property
    def established(self) -> int:
        """Calls that were established, whatever became of them."""
        return self.requested - sum(self._in_state(state) for state in _NEVER_ESTABLISHED)

    @property
    def active(self) -> int:
        """Calls that are established now."""
        return self._in_state(CallState.ACTIVE)

    @property
    def failed(self) -> int:
        """Calls that failed before they were established."""
        return self._closed[CallState.FAILED]

    @property
    def dropped(self) -> int:
        """Calls that were lost after they were established."""
        return self._closed[CallState.DROPPED]

    @property
    def ended(self) -> int:
        """Ends: calls that were established, told to end, and did."""
        return self._closed[CallState.ENDED]

    @property
    def cancelled(self) -> int:
        """Calls that the test ended before they were established."""
        return self._closed[CallState.CANCELLED]

    def _in_state(self, state: CallState) -> int:
        if state in _OPEN_STATES:
            return sum(entry.state is state for entry in self._open.values())
        return self._closed[state]

    def entries(self) -> tuple[ChannelMetrics, ...]:
        """Return the calls that are remembered one by one, in order of their start."""
        rows = (*self._open.values(), *self._ended_rows, *self._other_rows)
        return tuple(sorted(rows, key=lambda entry: (entry.started_ns, entry.call)))

    def snapshot(self) -> Snapshot:
        """Return the totals under their names in the catalogue."""
        return Snapshot(
            {
                "calls.requested": self.requested,
                "calls.established": self.established,
                "calls.failed": self.failed,
                "calls.ended": self.ended,
                "calls.dropped": self.dropped,
            }
        )
