"""``conference``: several channels in one mixing bridge."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_ari_sla.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.hookspecs.topology import Call

__all__ = ["Conference"]

FEWEST = 3
"""Two parties are a pair: Asterisk passes their packets on and mixes nothing."""


@dataclass(frozen=True)
class Conference:
    """Parties who speak in turn, and each hear all others, mixed by Asterisk.

    Attributes
    ----------
    parties
        How many there are in each call.
    """

    parties: int = 3
    name: ClassVar[str] = "conference"
    relay_legs: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if self.parties < FEWEST:
            raise UsageError(f"a conference has at least {FEWEST} parties, not {self.parties}; for two there is 'pair'")

    @property
    def heard_leg(self) -> Sequence[int]:
        """No party's packets arrive anywhere as they were sent."""
        # Mixing codes audio anew: no probe survives it.
        return (-1,) * self.parties

    @property
    def audio_legs(self) -> Sequence[Sequence[int]]:
        """Each hears all others."""
        everybody = range(self.parties)
        return [[other for other in everybody if other != party] for party in everybody]

    @property
    def leg_codecs(self) -> Sequence[int]:
        """All speak the same codec."""
        return (0,) * self.parties

    async def establish(self, call: Call) -> None:
        """Build one call."""
        await call.bridge(*await asyncio.gather(*(call.external_media() for _ in range(self.parties))))
