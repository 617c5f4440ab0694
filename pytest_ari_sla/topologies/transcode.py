"""``transcode``: two channels of different codecs in a mixing bridge."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_ari_sla.hookspecs.topology import Call

__all__ = ["Transcode"]


class Transcode:
    """One end speaks ``codec``, the other one ``other_codec``: Asterisk codes all audio anew, both ways."""

    name = "transcode"
    heard_leg = (-1, -1)  # no probe survives being coded anew: audio is found by its sound
    audio_legs = ((1,), (0,))
    leg_codecs = (0, 1)
    relay_legs = 0

    async def establish(self, call: Call) -> None:
        """Build one call."""
        await call.bridge(*await asyncio.gather(call.external_media(), call.external_media()))
