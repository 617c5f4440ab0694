"""Which finished calls' packets are kept until the load's end, when it is known which calls were bad.

A call is one of the worst by one of a few figures. It stands out by its multiple of the usual value of that figure, and
what is usual is known at the end only; but whatever that is, a call with a worse value stands out more. So the worst
``count`` calls are among those with the ``count`` worst values of any of these figures, and nobody else's packets
have to be kept.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pytest_ari_sla.ari.call_endings import LOST
from pytest_ari_sla.capture.kept_packets import PackedStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pytest_ari_sla.capture.kept_packets import CapturedStream, CapturePolicy
    from pytest_ari_sla.load.results.outcome import CallOutcome

__all__ = ["CaptureCandidates"]

MOST_CALLS = 1_000
"""Calls whose packets are kept at most, where the policy does not say how many: some 25 kB for each leg."""


class _Candidate(NamedTuple):
    call: CallOutcome
    streams: tuple[PackedStream, ...]


class CaptureCandidates:
    """Keeps the packets of calls that may turn out to be worth a file.

    Parameters
    ----------
    policy
        Which calls are.
    ranked_by
        The figures by which calls are compared, and whether the ``lower`` or the ``higher`` is the better one.
    """

    def __init__(self, policy: CapturePolicy, ranked_by: Mapping[str, str] | None = None) -> None:
        self._policy = policy
        self._ranked_by = ranked_by or {}
        self._most = policy.count if policy.kind == "worst" else MOST_CALLS
        self._candidates: dict[str, _Candidate] = {}

    def offer(self, call: CallOutcome, streams: Iterable[CapturedStream]) -> None:
        """Take in a finished call's packets, if they may be wanted."""
        if self._policy.kind == "off" or (self._policy.kind == "failed" and call.state not in LOST):
            return
        packed = tuple(PackedStream.of(stream) for stream in streams if len(stream.packets))
        if packed:
            self._candidates[call.id] = _Candidate(call, packed)
        # Twice what may stay, so that sorting is rare.
        if len(self._candidates) > 2 * self._most * (len(self._ranked_by) + 1):
            self._drop_hopeless()

    def kept(self) -> dict[str, list[PackedStream]]:
        """Return what is kept, by the call's id."""
        self._drop_hopeless()
        return {identity: list(candidate.streams) for identity, candidate in self._candidates.items()}

    def _drop_hopeless(self) -> None:
        """Keep the first lost calls, and those that lead in one of the figures; by any other policy, the first ones."""
        calls = [candidate.call for candidate in self._candidates.values()]
        lost = [call for call in calls if call.state in LOST]
        wanted = self._first(lost, key=lambda call: call.started_ns)
        if self._policy.kind == "worst":
            for name, better in self._ranked_by.items():
                measured = [call for call in calls if name in call.values and call.state not in LOST]
                sign = -1 if better == "lower" else 1  # so that the worst ones sort first
                wanted |= self._first(measured, key=partial(_goodness, name, sign))
        else:
            wanted |= self._first(calls, key=lambda call: call.started_ns)
        self._candidates = {identity: kept for identity, kept in self._candidates.items() if identity in wanted}

    def _first(self, calls: list[CallOutcome], key: Callable[[CallOutcome], float]) -> set[str]:
        return {call.id for call in sorted(calls, key=key)[: self._most]}


def _goodness(name: str, sign: int, call: CallOutcome) -> float:
    return sign * call.values[name]
