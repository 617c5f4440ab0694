"""What is ours at Asterisk: ids that never clash, and a ledger of everything that we asked for."""

from __future__ import annotations

import itertools
import re
from enum import Enum
from typing import Final

from pytest_ari_sla.errors import UsageError

__all__ = ["IdSource", "Kind", "Ledger", "call_of", "session_prefix"]

#: Ends the prefix and every id; never part of a prefix.
TERMINATOR = "."

_PREFIX = re.compile(r"[a-z0-9-]{1,40}")
# What a night's run needs; beyond them ids grow longer, and the terminator keeps them apart.
_DIGITS = 7


class Kind(Enum):
    """What can be left behind at Asterisk: where it is listed, and under which member its id is.

    The order is the order of removal: a bridge that loses its channels first does not play music to the last one.
    """

    CHANNEL = ("/channels", "id")
    BRIDGE = ("/bridges", "id")
    RECORDING = ("/recordings/stored", "name")

    def __init__(self, listing: str, id_member: str) -> None:
        self.listing = listing
        self.id_member = id_member


class IdSource:
    """Ids that never clash.

    Asterisk finds channels by case-insensitive prefix: while ``x-10`` lives ``x-1`` and ``X-10`` are refused. So all
    ids end with a terminator, and prefixes are in lower case.

    Parameters
    ----------
    prefix
        Prefix of the run, different for every process that talks to this Asterisk.

    Attributes
    ----------
    was_asked
        Whether there can be anything that carries an id of this source.

    Raises
    ------
    UsageError
        The prefix holds other characters than a-z, 0-9 and ``-``, or is longer than 40.
    """

    def __init__(self, prefix: str) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise UsageError(f"ARI id prefix {prefix!r}: only a-z, 0-9 and '-' are allowed, 1 to 40 of them")
        self.prefix = prefix + TERMINATOR
        self.was_asked = False
        self._numbers = itertools.count(1)

    def new_id(self, kind: str, parent: str = "") -> str:
        """Return an id that was never used.

        Parameters
        ----------
        kind
            ``channel``, ``bridge``, ``call``, ``playback``, ``recording``, ``snoop`` …: its first letter is in the id.
        parent
            An id of this source that the new one shall begin with (a call's). Not the id of a channel that lives: it
            would clash.
        """
        self.was_asked = True
        return f"{parent or self.prefix}{kind[0].lower()}{next(self._numbers):0{_DIGITS}d}{TERMINATOR}"


def session_prefix(prefix: str, number: int) -> str:
    """Return what begins the ids of one of a process's sessions, by what begins all of them and its number, from 1."""
    return f"{prefix}{number:04d}"


def call_of(identity: str) -> str:
    """Return the id of the call that a resource's id begins with: itself, where it belongs to none."""
    return TERMINATOR.join(identity.split(TERMINATOR)[:2])


class Ledger:
    """What we asked Asterisk to make and do not know to be gone."""

    def __init__(self) -> None:
        # Dicts keep the order, which sets do not.
        self._owned: Final[dict[Kind, dict[str, None]]] = {kind: {} for kind in Kind}
        self._has_recorded = False

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What a sweep has to look for: recordings only where some were made, since the list of all can be long."""
        return tuple(kind for kind in Kind if kind is not Kind.RECORDING or self._has_recorded)

    def add(self, kind: Kind, identity: str) -> None:
        """Write a resource down; before the request for it goes out."""
        self._owned[kind][identity] = None
        self._has_recorded |= kind is Kind.RECORDING

    def forget(self, kind: Kind, identity: str) -> None:
        """Cross out a resource that is known to be gone; nothing happens if it was not written down."""
        self._owned[kind].pop(identity, None)

    def owned(self, kind: Kind, parent: str = "") -> tuple[str, ...]:
        """Return the ids of a kind that begin with ``parent``, oldest first."""
        return tuple(identity for identity in self._owned[kind] if identity.startswith(parent))
