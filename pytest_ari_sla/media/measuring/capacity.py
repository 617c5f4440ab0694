"""How many calls one process of this tool may be trusted with, from what some of them cost: no I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BUSY_RATIO", "PacedRun", "sustainable_calls"]

BUSY_RATIO = 0.7
"""Share of a core beyond which stalls of more than 20 ms were seen, and the tool warns."""

_NO_LIMIT = 1 << 31


@dataclass(frozen=True)
class PacedRun:
    """A load that was tried.

    Attributes
    ----------
    calls
        Two-way calls at a time.
    loop_ratio, measuring_ratio
        Processor time that they took, as shares of one core: of the process that moves packets, which is what the tool
        warns of where it is busy, and of the one that measures them, which may have another core.
    problem
        Why no verdict could have been based on it; empty: there was none.
    why_not_more
        Why a larger one was not held that was tried before it; empty: none was.
    """

    calls: int
    loop_ratio: float
    measuring_ratio: float
    problem: str = ""
    why_not_more: str = ""


def sustainable_calls(smaller: PacedRun, larger: PacedRun, cores: float) -> int:
    """Return how many calls keep each of our two processes to :data:`BUSY_RATIO` of a core, and both to that of all.

    A thousand wake-ups a second cost the same for any number of calls, so two runs are needed.

    Parameters
    ----------
    smaller, larger
        Runs with few and with more calls.
    cores
        Cores that this machine, or a quota, leaves us.
    """
    one, both = BUSY_RATIO * min(1.0, cores), BUSY_RATIO * min(2.0, cores)
    few, more = (smaller.loop_ratio, smaller.measuring_ratio), (larger.loop_ratio, larger.measuring_ratio)
    return min(
        _calls_within(limit, (smaller.calls, then), (larger.calls, now))
        for limit, then, now in ((one, few[0], more[0]), (one, few[1], more[1]), (both, sum(few), sum(more)))
    )


def _calls_within(limit: float, smaller: tuple[int, float], larger: tuple[int, float]) -> int:
    """Return how many calls cost no more than a limit, by what two numbers of them cost."""
    per_call = (larger[1] - smaller[1]) / (larger[0] - smaller[0])
    fixed = larger[1] - per_call * larger[0]
    if per_call <= 0 or fixed < 0:  # what was disturbed more than the calls cost tells nothing of a fixed part
        per_call, fixed = larger[1] / larger[0], 0.0
    return max(0, int((limit - fixed) / per_call)) if per_call else _NO_LIMIT
