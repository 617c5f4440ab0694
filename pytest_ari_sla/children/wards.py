"""What a guard can be asked to look after, and how it is told: the messages to :mod:`.guard`."""

from __future__ import annotations

import msgspec

from pytest_ari_sla.settings import TRUST_SYSTEM, TlsTrust

__all__ = ["EndProgram", "Order", "Release", "RemoveFolder", "RemoveResources", "Ward"]


class Ward(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What is to be removed when the process that asked for it is gone.

    Attributes
    ----------
    number
        Names the ward; given by the guarded process.
    """

    number: int = 0


class EndProgram(Ward, frozen=True, tag=True):
    """End a program, asked first and killed after a while; its process file descriptor comes with the message."""


class RemoveFolder(Ward, frozen=True, tag=True):
    """Remove a folder with all that is in it, once the programs have ended."""

    path: str


class RemoveResources(Ward, frozen=True, tag=True):
    """Remove the channels and bridges whose ids begin with a prefix; what its CA file holds comes with the message.

    Attributes
    ----------
    url, user, password
        ARI's address and credentials.
    prefix
        Begins the ids of one process of one run, and of nobody else.
    trust
        How the certificate of an ``https`` address is checked.
    """

    url: str
    user: str
    password: str
    prefix: str
    trust: TlsTrust = TRUST_SYSTEM

    def __repr__(self) -> str:
        """Leave the password out."""
        return f"RemoveResources(number={self.number}, prefix={self.prefix!r})"


class Release(msgspec.Struct, frozen=True, tag=True):
    """Look after a ward no more: what it names is gone, or somebody else's."""

    number: int


Order = EndProgram | RemoveFolder | RemoveResources | Release
