"""Where media ends on this machine and at Asterisk: what is bound, and what either side tells the other."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_ari_sla.settings import Settings

__all__ = ["MediaAddresses", "media_addresses"]

_ANY = "0.0.0.0"
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class MediaAddresses:
    """The addresses of media, where this machine or Asterisk is behind NAT or in a container.

    Attributes
    ----------
    bound
        What our sockets take media at.
    announced
        What Asterisk is told to send to; a name is Asterisk's to look up.
    asterisk
        Where Asterisk takes media, as a number; None: where it says itself.
    """

    bound: str
    announced: str
    asterisk: str | None = None

    @property
    def local(self) -> str:
        """Where processes of this machine reach each other."""
        return _LOOPBACK if self.bound == _ANY else self.bound  # 0.0.0.0 is no address to send to


def media_addresses(settings: Settings, own_address: Callable[[], str]) -> MediaAddresses:
    """Return what the settings say; ``own_address`` tells from where the target sees us, if that is to be known.

    Raises
    ------
    UsageError
        A name cannot be looked up.
    """
    # `own_address` needs the target: only where nothing else says it.
    option = "--ari-media-bind" if settings.media_bind else "--ari-media-host"
    named = settings.media_bind or settings.media_host
    bound = _number_of(named, option) if named else own_address()
    announced = settings.media_host or (own_address() if bound == _ANY else bound)
    asterisk = settings.asterisk_media
    return MediaAddresses(bound, announced, None if asterisk is None else _number_of(asterisk, "--ari-asterisk-media"))


def _number_of(host: str, option: str) -> str:
    """Look up an IPv4 address."""
    try:
        return socket.gethostbyname(host)  # IPv4 only, as our media is
    except (OSError, UnicodeError) as error:  # UnicodeError: labels that are too long for the encoding of names
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{option}: {host!r} has no IPv4 address ({reason})") from error
