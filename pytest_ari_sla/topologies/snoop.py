"""``snoop``: two parties, and somebody who listens to one of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_ari_sla.hookspecs.topology import Call

__all__ = ["Snoop"]


class Snoop:
    """A pair, and a listener's channel bridged with one that snoops on what the first party says.

    As a supervisor or a recorder is attached to a call. The second party's packets carry probes; the first one's
    audio is found by its sound, by the second party and by the listener, who hears it decoded and coded anew.
    """

    name = "snoop"
    heard_leg = (1, -1, -1)
    audio_legs = ((1,), (0,), (0,))
    leg_codecs = (0, 0, 0)
    relay_legs = 0

    async def establish(self, call: Call) -> None:
        """Build one call; the snoop channel is of its own kind, and made through ARI."""
        party, other, listener = await asyncio.gather(*(call.external_media() for _ in self.heard_leg))
        await call.bridge(party, other)
        snoop_id = call.ari.new_id("snoop", call.id)
        await call.ari.snoop(party.channel_id, snoop_id, spy="in")
        # addChannel answers 422 for a channel that is not in Stasis yet.
        await call.ari.watch(snoop_id).in_stasis()
        await call.bridge(listener, SnoopChannel(snoop_id))


# A bridge wants a channel_id only; a leg would promise media.
class SnoopChannel:
    """A channel without media of ours, as bridges take it.

    Attributes
    ----------
    channel_id
        Its id.
    """

    def __init__(self, channel_id: str) -> None:
        self.channel_id = channel_id
