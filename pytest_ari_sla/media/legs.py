"""Which legs of a load are free, and which belong to a call: book-keeping without media."""

from __future__ import annotations

from pytest_ari_sla.errors import MediaLoopFailed

__all__ = ["LegAllocator"]


class LegAllocator:
    """Hands out the legs of a load, a call's at a time.

    Legs are numbered through all calls, those of one call in a row, so that what is known of a call's places is known
    of all legs.

    Parameters
    ----------
    calls
        Most calls at one time.
    legs_per_call
        Legs of each.
    """

    def __init__(self, calls: int, legs_per_call: int) -> None:
        self._calls = calls
        self._legs_per_call = legs_per_call
        self._free = list(range(calls - 1, -1, -1))  # the first call is popped first
        self._in_use = [0] * calls

    @property
    def free_calls(self) -> int:
        """Calls that can still be taken."""
        return len(self._free)

    def take_call(self) -> range:
        """Reserve the legs of a call, in their order; it is free again when all of them have been given back.

        Raises
        ------
        MediaLoopFailed
            All calls are in use.
        """
        if not self._free:
            raise MediaLoopFailed(f"no call is free, of {self._calls}")
        call, legs = self._free.pop(), self._legs_per_call
        self._in_use[call] = legs
        return range(call * legs, (call + 1) * legs)

    def give_back(self, leg: int) -> None:
        """Take a leg back; its call can be taken again with the last of them."""
        call = leg // self._legs_per_call
        self._in_use[call] -= 1
        if not self._in_use[call]:
            self._free.append(call)
