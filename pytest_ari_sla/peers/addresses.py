"""Addresses on the command lines of peers: looked up once, at the start, since a look-up would hold all calls up."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from pytest_ari_sla.arguments import parse_host_port
from pytest_ari_sla.errors import UsageError

if TYPE_CHECKING:
    from pytest_ari_sla.arguments import Address

__all__ = ["address_of_peer", "address_to_listen_at"]


def address_of_peer(text: str) -> Address:
    """Read ``HOST:PORT`` of another program.

    Raises
    ------
    UsageError
        It is written otherwise, has the port 0, which nobody can be sent to, or a name without an IPv4 address.
    """
    return _looked_up(*parse_host_port(text))


def address_to_listen_at(text: str) -> Address:
    """Read ``HOST:PORT`` of our own; port 0 stands for a free one.

    Raises
    ------
    UsageError
        It is written otherwise, or a name without an IPv4 address.
    """
    return _looked_up(*parse_host_port(text, lowest=0))


def _looked_up(host: str, port: int) -> Address:
    try:
        return socket.gethostbyname(host), port
    except (OSError, UnicodeError) as error:  # UnicodeError: labels that are too long for the encoding of names
        raise UsageError(f"{host!r} has no address: {error}") from None
