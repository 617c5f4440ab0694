"""``pair``: two channels in a mixing bridge, both ends of it here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_ari_sla.hookspecs.topology import Call

__all__ = ["Pair"]


class Pair:
    """Two ExternalMedia channels in one mixing bridge: what one end sends, the other one hears."""

    name = "pair"
    heard_leg = (1, 0)
    relay_legs = 0

    async def establish(self, call: Call) -> None:
        """Build one call."""
        await call.bridge(*await asyncio.gather(call.external_media(), call.external_media()))
