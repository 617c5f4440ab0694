"""Ports, addresses and files as people write them, read in one way by options, ini files and ``ari-sla``."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pytest_ari_sla.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Address",
    "argument",
    "parse_file",
    "parse_host",
    "parse_host_port",
    "parse_port",
    "parse_port_range",
    "parse_secret_file",
]

Address = tuple[str, int]
"""A host and a port."""

_HIGHEST_PORT = 65_535
T = TypeVar("T")

# RFC 1035 2.3.4: 63 characters in a label, 253 in writing; names of containers hold "_" as well.
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*\.?", re.IGNORECASE)


def argument(read: Callable[[str], T]) -> Callable[[str], T]:
    """Return the ``type`` of a command's argument: what ``read`` refuses is a wrong command line, in its words."""

    def convert(text: str) -> T:
        try:
            return read(text)
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def parse_port(text: str, lowest: int = 0) -> int:
    """Read a port; 0 stands for a free one, where ``lowest`` admits it.

    Raises
    ------
    UsageError
        It is none.
    """
    if not _is_port(text, lowest):
        raise UsageError(f"{text!r} is not a port; write a number from {lowest} to {_HIGHEST_PORT}")
    return int(text)


def parse_host(text: str) -> str:
    """Read the address of media: a name or an IPv4 address, without a port.

    Raises
    ------
    UsageError
        It is an IPv6 address, or none at all.
    """
    if text.count(":") > 1:
        raise UsageError(f"{text!r} is an IPv6 address, and media travels over IPv4 here: give an IPv4 address")
    is_number = re.fullmatch(r"[\d.]+", text) is not None  # 10.0.0.256 is a slip, not a name to look up
    if not (_is_ipv4(text) if is_number else _NAME.fullmatch(text)):
        raise UsageError(f"{text!r} is not an address; write an IPv4 address or a name, without a port")
    return text


def _is_ipv4(text: str) -> bool:
    parts = text.split(".")
    # isdecimal() takes the digits of all scripts.
    return len(parts) == 4 and all(part.isascii() and part.isdecimal() and int(part) < 256 for part in parts)


def parse_host_port(text: str, lowest: int = 1) -> tuple[str, int]:
    """Read ``HOST:PORT``: a name or an IPv4 address, and a port; 0 stands for a free one, where ``lowest`` admits it.

    Raises
    ------
    UsageError
        It is written otherwise.
    """
    host, _, port = text.rpartition(":")
    if not host or ":" in host or not _is_port(port, lowest):
        raise UsageError(f"{text!r} is not an address; write HOST:PORT, such as 192.0.2.1:4000")
    return host, int(port)


def parse_port_range(text: str, lowest: int = 1) -> tuple[int, int]:
    """Read ``LOW-HIGH``.

    Raises
    ------
    UsageError
        It is no range, or leaves the ports there are.
    """
    low, _, high = text.partition("-")
    if not _is_port(low, lowest) or not _is_port(high, lowest) or int(low) >= int(high):
        raise UsageError(
            f"{text!r} is not a range of ports; write LOW-HIGH within {lowest}-{_HIGHEST_PORT}, such as 20480-32767"
        )
    return int(low), int(high)


def parse_file(text: str) -> str:
    """Read the path of a file.

    Raises
    ------
    UsageError
        There is none.
    """
    if not Path(text).is_file():
        raise UsageError(f"there is no file {text!r}")
    return text


def parse_secret_file(text: str) -> str:
    """Read the path of a file that holds a password; return the password.

    Raises
    ------
    UsageError
        There is no such file, or something else is in it.
    """
    try:
        secret = Path(parse_file(text)).read_text(encoding="utf-8-sig").strip()  # editors on Windows write a mark first
    except UnicodeDecodeError as problem:
        raise UsageError(f"the file {text!r} is not UTF-8: save it so, with the password on one line") from problem
    if not secret or len(secret.splitlines()) > 1:
        raise UsageError(f"the file {text!r} must hold the password on one line, and nothing else")
    return secret


def _is_port(text: str, lowest: int) -> bool:
    return text.isascii() and text.isdecimal() and lowest <= int(text) <= _HIGHEST_PORT
