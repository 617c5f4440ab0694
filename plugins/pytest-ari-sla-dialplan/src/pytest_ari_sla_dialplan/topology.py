"""``dialplan``: a caller who is sent into an extension of the dialplan under test."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from pytest_ari_sla import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_ari_sla import Call

__all__ = ["Dialplan"]

_EXTENSION = re.compile(r"(?P<extension>[^@,\s]+)@(?P<context>[^@,\s]+?)(,(?P<priority>\d+))?")


@dataclass(frozen=True)
class Dialplan:
    """One ExternalMedia channel that continues in an extension: ``Echo()``, a queue, an IVR, a Stasis application.

    The extension decides what the caller hears. Where it plays the caller's own audio back byte for byte, as ``Echo()``
    does, and a bridge to a service that echoes, packets are correlated and every metric is there. Where it plays
    something else, or re-encodes, say so (``hears_itself=False``): packets are then judged by what RTP alone tells.

    Attributes
    ----------
    context, extension, priority
        Where the channel goes.
    hears_itself
        Whether what comes back is what was sent.
    variables
        Channel variables that are set before: what the dialplan expects of a caller.
    """

    context: str
    extension: str
    priority: int = 1
    hears_itself: bool = True
    variables: Mapping[str, str] | None = None
    name: ClassVar[str] = "dialplan"
    relay_legs: ClassVar[int] = 0

    @classmethod
    def parse(cls, address: str, *, hears_itself: bool = True) -> Self:
        """Read ``extension@context`` or ``extension@context,priority``.

        Raises
        ------
        UsageError
            It is neither.
        """
        match = _EXTENSION.fullmatch(address)
        if match is None:
            raise UsageError(f"{address!r} is not an extension of a dialplan: expected EXTENSION@CONTEXT[,PRIORITY]")
        return cls(match["context"], match["extension"], int(match["priority"] or 1), hears_itself)

    @property
    def heard_leg(self) -> Sequence[int]:
        """The caller hears itself, or something that carries no probe."""
        return (0,) if self.hears_itself else (-1,)

    async def establish(self, call: Call) -> None:
        """Build one call; an extension that does not exist hangs up at once, which is a dropped call."""
        leg = await call.external_media()
        for name, value in (self.variables or {}).items():
            # Before the channel leaves Stasis: in the dialplan, its first step may read them.
            await call.ari.set_variable(leg.channel_id, name, value)
        await call.continue_in_dialplan(leg, self.context, self.extension, self.priority)
