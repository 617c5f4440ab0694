"""Where the target's SIP is, and who we are there."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["NO_ACCOUNT", "SipAccount"]


@dataclass(frozen=True)
class SipAccount:
    """Where the target's SIP is, and who we are there.

    Attributes
    ----------
    host, port
        Where; None where that is not known.
    user, password
        What challenges are answered with.
    """

    host: str
    port: int | None
    user: str
    password: str = field(repr=False)


NO_ACCOUNT = SipAccount("", None, "", "")
"""Nothing is known."""
