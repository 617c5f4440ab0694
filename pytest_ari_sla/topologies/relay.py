"""``relay``: a caller bridged to the relay, which forwards to the echo server: the shape of an ARI voice service."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_ari_sla.hookspecs.topology import Call

__all__ = ["Relay"]


class Relay:
    """A caller's channel and the relay's in one bridge; the relay sends everything to the echo server and back."""

    name = "relay"
    heard_leg = (0,)
    relay_legs = 1

    async def establish(self, call: Call) -> None:
        """Build one call."""
        await call.bridge(*await asyncio.gather(call.external_media(), call.relay_media()))
