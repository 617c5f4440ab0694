"""How calls end that should not have ended so."""

from __future__ import annotations

from typing import Final

__all__ = ["LOST"]

LOST: Final = frozenset({"failed", "dropped"})
"""States of a call that was never established, and of one that ended before it was told to."""
