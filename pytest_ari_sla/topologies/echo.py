"""``echo``: one channel, sent to the dialplan's Echo()."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_ari_sla.hookspecs.topology import Call

__all__ = ["Echo"]


class Echo:
    """One ExternalMedia channel that continues in ``Echo()``: the shortest way through Asterisk and back."""

    name = "echo"
    heard_leg = (0,)
    relay_legs = 0

    async def establish(self, call: Call) -> None:
        """Build one call."""
        await call.continue_to_echo(await call.external_media())
