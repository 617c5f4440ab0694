"""``hold``: a pair of which one party is on hold, so that audio flows one way only."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_ari_sla.hookspecs.topology import Call

__all__ = ["Hold"]


class Hold:
    """The first party is put on hold and muted: it hears the second one, who hears nothing.

    What the second party does not hear is one-way audio (``audio.one_way_legs``), and here it is meant.
    """

    name = "hold"
    heard_leg = (1, -1)  # nothing of the muted party arrives
    audio_legs = ((1,), (0,))
    leg_codecs = (0, 0)
    relay_legs = 0

    async def establish(self, call: Call) -> None:
        """Build one call."""
        held, other = await asyncio.gather(call.external_media(), call.external_media())
        await call.bridge(held, other)
        await call.ari.hold(held.channel_id)
        # Hold is only an indication (AST_CONTROL_HOLD): what the party says is stopped by muting it.
        await call.ari.mute(held.channel_id, "in")
