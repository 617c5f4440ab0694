"""Where the shards of a fleet meet: barriers and the exchange of results. Pure: messages in, messages out.

Shards meet at *steps* of a test: ``1 begin``, ``1 result``, ``2 begin`` … A step is over when everybody is there.
Somebody can be missing for good: its worker died, its test failed, it was silent for too long, or the whole session of
its worker is over. Then those who wait at a step that takes everybody (a barrier) hear so at once, a step that goes on
with what there is (an exchange of results) completes without it, and those in the middle of a load are told to end it.

Only this tells whether a fleet is whole; nobody else counts shards. Times are seconds on any clock that does not run
backwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Broken", "Collectives", "Met", "Patience"]


@dataclass(frozen=True)
class Patience:
    """How long a shard may be missing, in seconds.

    Attributes
    ----------
    arrival_s
        After the first shard has come to a barrier.
    silence_s
        During a load, in which every shard is heard of once a second.
    vacancy_s
        After its worker died, when no other worker has taken its place.
    """

    arrival_s: float = 60.0
    silence_s: float = 30.0
    vacancy_s: float = 15.0


@dataclass(frozen=True)
class Met:
    """To one shard: a step is over.

    Attributes
    ----------
    shard
        Who is told.
    test, step
        Where it waited.
    payloads
        What each shard brought, by shard.
    missing
        Why the others did not come, by shard.
    """

    shard: int
    test: str
    step: str
    payloads: dict[int, bytes]
    missing: dict[int, str]


@dataclass(frozen=True)
class Broken:
    """To one shard: a test cannot go on, since somebody is missing; ``reason`` says who, and why."""

    shard: int
    test: str
    reason: str


Message = Met | Broken


@dataclass
class _Step:
    """Who has come to a step so far."""

    needs_all: bool
    since_s: float
    payloads: dict[int, bytes] = field(default_factory=dict)


@dataclass
class _Test:
    """One test: the steps that shards wait at, who has left it and why, and who in the midst of a load was heard when.

    It is kept when all have left, for those who come too late.
    """

    steps: dict[str, _Step] = field(default_factory=dict)
    left: dict[int, str] = field(default_factory=dict)
    heard_s: dict[int, float] = field(default_factory=dict)


class Collectives:
    """The meetings of one fleet.

    Parameters
    ----------
    shards
        How many there are; they count from 1.
    patience
        How long a shard may be missing.
    """

    def __init__(self, shards: int, patience: Patience | None = None) -> None:
        self._shards = range(1, shards + 1)
        self._patience = patience or Patience()
        self._tests: dict[str, _Test] = {}
        self._vacant_s: dict[int, float] = {}
        self._finished: dict[int, str] = {}

    def tests_in_load(self) -> set[str]:
        """Return the tests of which some shard is in the midst of a load, or has brought its result."""
        return {
            test
            for test, state in self._tests.items()
            if state.heard_s or any(not step.needs_all for step in state.steps.values())
        }

    def name_of(self, shard: int) -> str:
        """Return how sentences call a shard."""
        return f"shard {shard} of {len(self._shards)}"

    # --- what shards do ---

    def arrive(
        self, shard: int, test: str, step: str, payload: bytes, *, needs_all: bool, now_s: float
    ) -> list[Message]:
        """Let a shard come to a step.

        Parameters
        ----------
        shard, test, step
            Who, and where.
        payload
            What it brings.
        needs_all
            Whether the step is a barrier; otherwise it goes on without those who are missing for good.
        now_s
            When.
        """
        state = self._tests.setdefault(test, _Test())
        if shard in state.left:
            return [Broken(shard, test, self._why(state, shard))]
        state.heard_s.pop(shard, None)  # it waits now, and is silent
        meeting = state.steps.setdefault(step, _Step(needs_all, now_s))
        meeting.payloads[shard] = payload
        return self._settled(test, now_s)

    def heard(self, shard: int, test: str, now_s: float) -> None:
        """Take note that a shard is in the middle of a load and well."""
        state = self._tests.get(test)
        if state is not None and shard in state.heard_s:
            state.heard_s[shard] = now_s

    def leave(self, shard: int, test: str, reason: str, now_s: float) -> list[Message]:
        """Let a shard leave a test for good; an empty reason: in good order, at the end of its test."""
        state = self._tests.setdefault(test, _Test())
        if shard in state.left:
            return []
        state.left[shard] = reason
        for meeting in state.steps.values():
            if meeting.needs_all:  # a result that it brought before it left is as good as any
                meeting.payloads.pop(shard, None)
        told: list[Message] = []
        if state.heard_s.pop(shard, None) is not None:  # in mid-load nobody waits at a step to be told
            told += [Broken(other, test, self._why(state, shard)) for other in state.heard_s]
        return told + self._settled(test, now_s)

    # --- what happens to workers ---

    def lose(self, shard: int, reason: str, now_s: float) -> list[Message]:
        """Let a worker die: its shard is missing in every test that it was needed in."""
        self._vacant_s[shard] = now_s
        return [message for test in list(self._tests) for message in self.leave(shard, test, reason, now_s)]

    def take_over(self, shard: int) -> None:
        """Let a new worker take a dead one's place, for the tests that follow."""
        self._vacant_s.pop(shard, None)

    def finish(self, shard: int, reason: str, now_s: float) -> list[Message]:
        """Let the session of a worker end: its shard comes to nothing any more."""
        self._finished[shard] = reason
        return [message for test in list(self._tests) for message in self._settled(test, now_s)]

    def expire(self, now_s: float) -> tuple[list[Message], set[int]]:
        """Give up those who were waited for too long; return messages, and the shards whose workers seem to hang."""
        told: list[Message] = []
        hanging: set[int] = set()
        for test, state in list(self._tests.items()):
            for shard, reason in self._overdue(state, now_s):
                told += self.leave(shard, test, reason, now_s)
                if shard not in self._vacant_s:  # else it died: there is nobody to kill
                    hanging.add(shard)
        return told, hanging

    def _overdue(self, state: _Test, now_s: float) -> list[tuple[int, str]]:
        patience = self._patience
        overdue: dict[int, str] = {}
        for step, meeting in state.steps.items():
            for shard in self._absent(state, meeting):
                vacant_s = self._vacant_s.get(shard)
                if vacant_s is not None and now_s - vacant_s > patience.vacancy_s:
                    overdue[shard] = "its worker died, and no other one took its place"
                elif meeting.needs_all and now_s - meeting.since_s > patience.arrival_s:
                    overdue[shard] = f"it did not come to '{step}' within {patience.arrival_s:g} s"
        for shard, heard_s in state.heard_s.items():
            if now_s - heard_s > patience.silence_s:
                overdue[shard] = f"it was not heard of for {patience.silence_s:g} s"
        return list(overdue.items())

    # --- settling ---

    def _absent(self, state: _Test, meeting: _Step) -> list[int]:
        """Return the shards that a step still waits for."""
        return [shard for shard in self._shards if shard not in meeting.payloads and shard not in state.left]

    def _missing(self, state: _Test, meeting: _Step) -> dict[int, str]:
        """Return why shards will never come to a step."""
        missing = {shard: self._why(state, shard) for shard in state.left if shard not in meeting.payloads}
        for shard, reason in self._finished.items():
            if shard not in meeting.payloads:
                missing.setdefault(shard, f"{self.name_of(shard)} is gone: {reason}")
        return missing

    def _why(self, state: _Test, shard: int) -> str:
        return f"{self.name_of(shard)} is missing: {state.left[shard] or 'its test has ended already'}"

    def _settled(self, test: str, now_s: float) -> list[Message]:
        """End every step that is complete, or cannot become so."""
        state = self._tests[test]
        told: list[Message] = []
        for step, meeting in list(state.steps.items()):
            missing = self._missing(state, meeting)
            if len(missing) + len(meeting.payloads) == len(self._shards) and not (missing and meeting.needs_all):
                told += self._complete(test, step, missing, now_s)
            elif missing and meeting.needs_all:
                del state.steps[step]
                told += [Broken(shard, test, "; ".join(missing.values())) for shard in meeting.payloads]
        return told

    def _complete(self, test: str, step: str, missing: dict[int, str], now_s: float) -> Iterator[Message]:
        state = self._tests[test]
        meeting = state.steps.pop(step)
        for shard in meeting.payloads:
            if meeting.needs_all:  # a load begins: from now on it is heard of once a second
                state.heard_s[shard] = now_s
            if shard not in state.left:
                yield Met(shard, test, step, meeting.payloads, missing)
