"""How many calls one process of this tool may be trusted with, from what some of them cost: no I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BUSY_RATIO", "PacedRun", "sustainable_calls"]

BUSY_RATIO = 0.7
"""Share of a core beyond which stalls of more than 20 ms were seen, and the tool warns."""


@dataclass(frozen=True)
class PacedRun:
    """A load that was tried.

    Attributes
    ----------
    calls
        Two-way calls at a time.
    cpu_ratio
        Processor time that they took, sent, received and measured, as a share of one core.
    problem
        Why no verdict could have been based on it; empty: there was none.
    """

    calls: int
    cpu_ratio: float
    problem: str = ""


def sustainable_calls(smaller: PacedRun, larger: PacedRun, cores: float) -> int:
    """Return how many calls keep one core busy to :data:`BUSY_RATIO`.

    A thousand wake-ups a second cost the same for any number of calls, so two runs are needed.

    Parameters
    ----------
    smaller, larger
        Runs with few and with more calls.
    cores
        Cores that this machine, or a quota, leaves us: of less than one, only so much is there to be used.
    """
    per_call = (larger.cpu_ratio - smaller.cpu_ratio) / (larger.calls - smaller.calls)
    fixed = larger.cpu_ratio - per_call * larger.calls
    if per_call <= 0 or fixed < 0:  # what was disturbed more than the calls cost tells nothing of a fixed part
        per_call, fixed = larger.cpu_ratio / larger.calls, 0.0
    return max(0, int((BUSY_RATIO * min(1.0, cores) - fixed) / per_call))
