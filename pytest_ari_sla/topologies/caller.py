"""``caller``: somebody who calls an extension, as the application under test knows callers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from pytest_ari_sla.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_ari_sla.hookspecs import Call

__all__ = ["Caller"]

WAYS = ("local", "external_media")

_EXTENSION = re.compile(r"(?P<extension>[^@,/\s]+)@(?P<context>[^@,/\s]+)")


@dataclass(frozen=True)
class Caller:
    """A caller who rings at an extension of the dialplan: a voice bot, an IVR, a queue.

    Attributes
    ----------
    to
        ``EXTENSION@CONTEXT``.
    via
        ``local``: a Local channel, which the application sees ring; ``external_media``: our own channel, which is up
        already when it enters the extension.
    caller_id
        ``Name <number>`` that the application sees; by ``local`` only.
    variables
        Channel variables: what the dialplan expects of a caller.
    hears_itself
        Whether the caller's own audio comes back byte for byte, as from ``Echo()``: round trips are measured then.
    """

    to: str = ""
    via: str = "local"
    caller_id: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    hears_itself: bool = False
    name: ClassVar[str] = "caller"
    relay_legs: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if self.via not in WAYS:
            raise UsageError(f"via={self.via!r}: a caller comes by {' or '.join(WAYS)}")
        if self.to and _EXTENSION.fullmatch(self.to) is None:
            raise UsageError(f"to={self.to!r} is not an extension of a dialplan: expected EXTENSION@CONTEXT")
        if self.caller_id and self.via != "local":
            raise UsageError(f"caller_id={self.caller_id!r}: a caller by {self.via} shows none")

    @property
    def heard_leg(self) -> Sequence[int]:
        """The caller hears itself, or something that carries no probe."""
        return (0,) if self.hears_itself else (-1,)

    @property
    def audio_legs(self) -> Sequence[Sequence[int]]:
        """What the application says is nobody's of ours."""
        return ((0,),) if self.hears_itself else ((),)

    @property
    def leg_codecs(self) -> Sequence[int]:
        """One codec."""
        return (0,)

    async def establish(self, call: Call) -> None:
        """Build one call; it has been answered when this returns."""
        match = _EXTENSION.fullmatch(self.to)
        if match is None:
            raise UsageError('topology "caller" needs to know whom to call: load(topology="caller", to="700@ivr")')
        leg = await call.external_media()
        if self.via == "local":
            await call.dial_local(
                leg, match["extension"], match["context"], caller_id=self.caller_id, variables=self.variables
            )
            return
        for name, value in self.variables.items():
            await call.ari.set_variable(leg.channel_id, name, value)
        await call.continue_in_dialplan(leg, match["context"], match["extension"])
