"""``caller``: somebody who calls an extension, as the application under test knows callers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.sip.destination import parse_destination

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_ari_sla.hookspecs.topology import Call

__all__ = ["Caller"]

WAYS = ("local", "sip", "external_media")

# No slash: in ``Local/EXTENSION@CONTEXT/n`` options begin with it.
_EXTENSION = re.compile(r"(?P<extension>[^@,/\s]+)@(?P<context>[^@,/\s]+)")
_CALLER_ID = re.compile(r'"?(?P<name>[^"<>]*?)"?\s*<(?P<number>[^<>@\s]+)>|(?P<alone>[^<>@\s]+)')


@dataclass(frozen=True)
class Caller:
    """A caller who rings at an extension of the dialplan: a voice bot, an IVR, a queue.

    Attributes
    ----------
    to
        ``EXTENSION@CONTEXT``; by ``sip``: ``700`` at the target, ``700@pbx`` or ``sip:700@pbx:5060;transport=tcp``.
    via
        ``local``: a Local channel, which the application sees ring; ``sip``: an INVITE; ``external_media``: our own
        channel, which is up already when it enters the extension.
    caller_id
        ``Name <number>`` that the application sees; not by ``external_media``.
    variables
        Channel variables: what the dialplan expects of a caller; not by ``sip``.
    headers
        More headers of the INVITE.
    sip_user, sip_password
        What SIP's challenges are answered with; the target's own account where this tool runs it.
    hears_itself
        Whether the caller's own audio comes back byte for byte, as from ``Echo()``: round trips are measured then, and
        with a script what is clipped.
    calibrate
        Whom some calls reach first, like ``to``: an echo (``ari-sla bot --echo``, or ``Echo()``), whose round trip is
        the media path's own share of each turn.
    """

    to: str = ""
    via: str = "local"
    caller_id: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    sip_user: str = ""
    sip_password: str = field(default="", repr=False)
    hears_itself: bool = False
    calibrate: str = ""
    name: ClassVar[str] = "caller"
    relay_legs: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if self.via not in WAYS:
            raise UsageError(f"via={self.via!r}: a caller comes by {' or '.join(WAYS)}")
        if self.calls_by_sip:
            self._check_sip()
        for name, whom in self._called():
            if not self.calls_by_sip and _EXTENSION.fullmatch(whom) is None:
                raise UsageError(f"{name}={whom!r} is not an extension of a dialplan: expected EXTENSION@CONTEXT")
        if self.caller_id and (self.via == "external_media" or _CALLER_ID.fullmatch(self.caller_id) is None):
            why = "shows none" if self.via == "external_media" else 'is shown as "Name <number>"'
            raise UsageError(f"caller_id={self.caller_id!r}: a caller by {self.via} {why}")
        for name in ("headers", "sip_user", "sip_password"):
            if getattr(self, name) and not self.calls_by_sip:
                raise UsageError(f"{name}: a caller by {self.via} has none")

    def _check_sip(self) -> None:
        if find_spec("aiosipua") is None:
            raise UsageError('via="sip" needs aiosipua, which is not installed here: pip install "pytest-ari-sla[sip]"')
        if self.variables:
            raise UsageError('variables: a caller by sip sets none; headers={"X-Name": "value"} reach the dialplan')
        for _, whom in self._called():
            parse_destination(whom)

    def _called(self) -> Sequence[tuple[str, str]]:
        """Return whom this calls, by the name of the option that says so."""
        return [(name, whom) for name, whom in (("to", self.to), ("calibrate", self.calibrate)) if whom]

    def calibration(self) -> Caller | None:
        """Return the caller of the echo, where there is one."""
        return replace(self, to=self.calibrate, calibrate="", hears_itself=True) if self.calibrate else None

    @property
    def calls_by_sip(self) -> bool:
        """Whether callers come by SIP."""
        return self.via == "sip"

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
        if not self.to:
            raise UsageError('topology "caller" needs to know whom to call: load(topology="caller", to="700@ivr")')
        if self.calls_by_sip:
            account = (self.sip_user, self.sip_password)
            await call.invite(self.to, caller_id=self._shown(), account=account, headers=self.headers)
            return
        match = _EXTENSION.fullmatch(self.to)
        assert match is not None  # it was looked at when it was given
        leg = await call.external_media()
        if self.via == "local":
            await call.dial_local(
                leg, match["extension"], match["context"], caller_id=self.caller_id, variables=self.variables
            )
            return
        # Before the channel continues: its dialplan begins to run at once, and reads them.
        for name, value in self.variables.items():
            await call.ari.set_variable(leg.channel_id, name, value)
        await call.continue_in_dialplan(leg, match["context"], match["extension"])

    def _shown(self) -> tuple[str, str]:
        """Return name and number of the caller."""
        match = _CALLER_ID.fullmatch(self.caller_id)
        return (match["name"] or "", match["number"] or match["alone"]) if match else ("", "")
