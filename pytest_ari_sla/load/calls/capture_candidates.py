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

MOST_AUDIBLE = 5
"""Calls that lead in one of the figures whose audio is kept besides: some 500 kB for each."""


class _Candidate(NamedTuple):
    call: CallOutcome
    streams: tuple[PackedStream, ...]

    @property
    def has_audio(self) -> bool:
        return any(stream.payload_bytes for stream in self.streams)

    def without_audio(self) -> _Candidate:
        return self._replace(streams=tuple(stream.without_payload() for stream in self.streams if stream.is_rtp))


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
        self._audible = 0

    def offer(self, call: CallOutcome, streams: Iterable[CapturedStream]) -> None:
        """Take in a finished call's packets, if they may be wanted."""
        if self._policy.kind == "off" or (self._policy.kind == "failed" and call.state not in LOST):
            return
        packed = tuple(PackedStream.of(stream) for stream in streams if len(stream.packets))
        if packed:
            self._candidates[call.id] = _Candidate(call, packed)
            self._audible += self._candidates[call.id].has_audio
        ways = len(self._ranked_by) + 1
        # Twice what may stay, so that sorting is rare.
        if len(self._candidates) > 2 * self._most * ways or self._audible > 2 * MOST_AUDIBLE * ways:
            self._drop_hopeless()

    def kept(self) -> dict[str, list[PackedStream]]:
        """Return what is kept, by the call's id."""
        self._drop_hopeless()
        return {identity: list(candidate.streams) for identity, candidate in self._candidates.items()}

    def _drop_hopeless(self) -> None:
        """Keep the first lost calls, and those that lead in one of the figures; by any other policy, the first ones."""
        calls = [candidate.call for candidate in self._candidates.values()]
        is_worst = self._policy.kind == "worst"
        wanted = self._leading(calls, self._most) if is_worst else self._first_ones(calls)
        audible = self._leading([call for call in calls if call.id in wanted], min(self._most, MOST_AUDIBLE))
        kept = {
            identity: candidate if identity in audible else candidate.without_audio()
            for identity, candidate in self._candidates.items()
            if identity in wanted
        }
        self._candidates = {identity: candidate for identity, candidate in kept.items() if candidate.streams}
        self._audible = sum(candidate.has_audio for candidate in kept.values())

    def _first_ones(self, calls: list[CallOutcome]) -> set[str]:
        lost = [call for call in calls if call.state in LOST]
        return _first(lost, self._most, _start) | _first(calls, self._most, _start)

    def _leading(self, calls: list[CallOutcome], most: int) -> set[str]:
        """Return which calls lead: so many of those that were lost, and by each figure."""
        leading = _first([call for call in calls if call.state in LOST], most, _start)
        for name, better in self._ranked_by.items():
            measured = [call for call in calls if name in call.values and call.state not in LOST]
            leading |= _first(measured, most, partial(_goodness, name, -1 if better == "lower" else 1))
        return leading


def _first(calls: list[CallOutcome], most: int, key: Callable[[CallOutcome], float]) -> set[str]:
    return {call.id for call in sorted(calls, key=key)[:most]}


def _start(call: CallOutcome) -> float:
    return call.started_ns


def _goodness(name: str, sign: int, call: CallOutcome) -> float:
    return sign * call.values[name]
