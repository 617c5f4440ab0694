"""The life of every call, and the totals of all: one table of states, so that no two places can disagree.

A call's life::

    (new) --started--> STARTING --established--> ACTIVE --ended--> ENDED
                          |                        |
                          +--failed--> FAILED      +--failed--> DROPPED
                          +--ended---> CANCELLED

A call that fails after it was established has been dropped; one that is ended before it was established has been
cancelled by the test itself and counts as neither. Everything else is a mistake of the program and raises.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from enum import Enum

from pytest_ari_sla.errors import HarnessError
from pytest_ari_sla.metrics.snapshot import Snapshot

__all__ = ["CallLife", "CallState", "CallTable"]


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
class CallLife:
    """Where one call is in its life.

    Attributes
    ----------
    call
        Id of the call.
    started_ns, established_ns, closed_ns
        When it was requested, when its media path was complete and when it was over, in ns since the load's beginning;
        None where that has not happened.
    state
        Where it is.
    reason
        Why it failed or was dropped; empty otherwise.
    """

    call: str
    started_ns: int
    state: CallState = CallState.STARTING
    established_ns: int | None = None
    closed_ns: int | None = None
    reason: str = ""


class CallTable:
    """All calls of a load, and their totals.

    Every call is in exactly one place: open, or closed and counted under the state that it closed in. All totals are
    computed from these.
    """

    def __init__(self) -> None:
        self._open: dict[str, CallLife] = {}
        self._closed: Counter[CallState] = Counter()
        self._newly_established: list[int] = []

    def mark_started(self, call: str, now_ns: int) -> CallLife:
        """Take in a new call.

        Raises
        ------
        HarnessError
            When a call of that id is open.
        """
        if call in self._open:
            raise HarnessError(f"call {call} was started twice")
        life = self._open[call] = CallLife(call, now_ns)
        return life

    def mark_established(self, call: str, now_ns: int) -> CallLife:
        """Note that a call's media path is complete.

        Raises
        ------
        HarnessError
            When the call is not in its starting phase.
        """
        life = replace(self._after(call, "established"), established_ns=now_ns)
        self._open[call] = life
        self._newly_established.append(life.started_ns)
        return life

    def mark_failed(self, call: str, now_ns: int, reason: str) -> CallLife:
        """Note that a call failed, or was dropped when it had been established; return its whole life.

        Raises
        ------
        HarnessError
            When the call is not open.
        """
        return self._close(replace(self._after(call, "failed"), closed_ns=now_ns, reason=reason))

    def mark_ended(self, call: str, now_ns: int) -> CallLife:
        """Note the end of a call that was told to end; return its whole life.

        Raises
        ------
        HarnessError
            When the call is not open.
        """
        return self._close(replace(self._after(call, "ended"), closed_ns=now_ns))

    def _after(self, call: str, event: str) -> CallLife:
        """Return an open call with the state that an event leads to."""
        life = self._open.get(call)
        if life is None or event not in _TRANSITIONS[life.state]:
            state = "not open" if life is None else life.state.value
            raise HarnessError(f"call {call} is {state} and cannot be {event}")
        return replace(life, state=_TRANSITIONS[life.state][event])

    def _close(self, life: CallLife) -> CallLife:
        del self._open[life.call]
        self._closed[life.state] += 1
        return life

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
        return self.requested - sum(self.in_state(state) for state in _NEVER_ESTABLISHED)

    def in_state(self, state: CallState) -> int:
        """Return how many calls are, or ended up, in a state."""
        if state in _OPEN_STATES:
            return sum(life.state is state for life in self._open.values())
        return self._closed[state]

    def snapshot(self) -> Snapshot:
        """Return the totals under their names in the catalogue."""
        return Snapshot(
            {
                "calls.requested": self.requested,
                "calls.established": self.established,
                "calls.failed": self.in_state(CallState.FAILED),
                "calls.ended": self.in_state(CallState.ENDED),
                "calls.dropped": self.in_state(CallState.DROPPED),
            }
        )
