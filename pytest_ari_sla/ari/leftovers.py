"""Whose channels and bridges are at an Asterisk, and which of those runs still live.

Every process of a run names its sessions ``sla-RUN-PROCESS-SESSION``; the ids of all that it makes begin with that.
The application of a session stays registered while it has channels, also when its program is dead. So a session
registers a second one by the same event WebSocket, which never has a channel: that one is there exactly as long as the
program listens.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Leftover", "presence_of", "run_of", "runs_present"]

_SESSION = re.compile(r"(sla-[0-9a-f]{6})-\d{3,}-\d{4,}")
_PRESENCE = ".here"


class Leftover(NamedTuple):
    """Something at Asterisk that a run has made.

    Attributes
    ----------
    listing
        Where it is listed: ``/channels``, ``/bridges`` …
    identity
        Its id there.
    call_id
        Of a channel that was called by SIP: the Call-ID. The channel's id is Asterisk's own, but callers of ours begin
        their Call-ID with an id of ours.
    """

    listing: str
    identity: str
    call_id: str = ""

    @property
    def run(self) -> str | None:
        """The run that has made it; None where this tool did not."""
        return run_of(self.identity) or run_of(self.call_id)

    def is_of(self, prefix: str) -> bool:
        """Tell whether it was made by one whose ids begin with a prefix."""
        return self.identity.startswith(prefix) or self.call_id.startswith(prefix)


def presence_of(application: str) -> str:
    """Return the name of the application that is registered for as long as the one who registers it listens."""
    return application + _PRESENCE


def run_of(identity: str) -> str | None:
    """Return the run that an id belongs to (``sla-0fe3a1``); None for an id that this tool did not make."""
    found = _SESSION.match(identity)
    # The "." (`TERMINATOR`) ends a session's prefix.
    return found[1] if found and identity[found.end() : found.end() + 1] == "." else None


def runs_present(applications: Iterable[str]) -> set[str]:
    """Return the runs that live, by the applications that Asterisk lists: one process that listens is enough."""
    return {found[1] for name in applications if (found := _SESSION.match(name)) and name[found.end() :] == _PRESENCE}
