"""What a load is put on, whatever started it: where its ARI is, where its media comes from, which limits are known."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import Any, Literal

from pytest_ari_sla.ari.endpoint import AriEndpoint
from pytest_ari_sla.errors import AriUnreachable, UsageError
from pytest_ari_sla.udp.host_limits import kept_from_connecting, lacks_files

__all__ = ["Target", "TargetKind", "is_on_this_machine", "local_address_towards"]

TargetKind = Literal["external", "private", "simulator"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """The Asterisk, or the simulator, that a load is put on.

    Only plain values, so that ``dataclasses.asdict`` gives what may cross to another process, and ``Target(**values)``
    is the same target there.

    Attributes
    ----------
    kind
        Who runs it: somebody else (``external``), or this tool (``private``, ``simulator``).
    url
        ``http(s)://host:port/ari``, without user and password.
    user, password
        ARI's credentials; the password is kept out of ``repr``.
    media_host
        The address that our packets come from as the target sees it, and that it sends RTP to.
    version
        The version that it told; empty before anyone has asked.
    session_limit
        ``sessionlimit`` of its HTTP server: connections at a time. None where it is not known.
    rtp_ports
        First and last port that it takes for RTP. None where it is not known.
    sip_port
        Where its SIP listens, at ARI's host, for our user and password. None where it is not known.
    pid
        Its process, where this tool runs it.
    """

    kind: TargetKind
    url: str
    user: str
    password: str = field(repr=False)
    media_host: str
    version: str = ""
    session_limit: int | None = None
    rtp_ports: tuple[int, int] | None = None
    sip_port: int | None = None
    pid: int | None = None

    @property
    def endpoint(self) -> AriEndpoint:
        """Where its ARI is, and who we are there."""
        return AriEndpoint(self.url, self.user, self.password)


def is_on_this_machine(host: str) -> bool:
    """Tell whether a host, by name or address, is the machine that we run on."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):  # UnicodeError: labels that are too long for the encoding of names
        return False
    return any(_is_ours(family, address) for family, _, _, _, address in found)


def _is_ours(family: int, address: Any) -> bool:
    """Tell whether the kernel lets us have a socket at an address."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            # Port 0: only the address is in question.
            probe.bind(address)
    except OSError:
        return False
    return True


def local_address_towards(host: str, port: int = 9) -> str:
    """Return the local address that packets to a host leave from.

    No packet is sent: connecting a UDP socket only asks the kernel for its route.

    Parameters
    ----------
    host
        Name or address of the target.
    port
        Any port; routes do not depend on it.

    Raises
    ------
    UsageError
        If the host has IPv6 addresses only: media travels over IPv4.
    AriUnreachable, HostLimit
        If the name does not resolve, or there is no route; or where this machine has no more open files.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        address = next((address for family, _, _, _, address in found if family == socket.AF_INET), None)
        if address is None:
            raise UsageError(
                f"{host} has IPv6 addresses only, and media travels over IPv4 here: name the IPv4 address of this "
                "machine that Asterisk shall send to by --ari-media-host"
            )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except UnicodeError as error:
        raise AriUnreachable(f"{host!r} is not a host name: {error}") from error
    except OSError as error:
        limit = lacks_files() if isinstance(error, socket.gaierror) else kept_from_connecting(error, host)
        if limit is not None:
            raise limit from error
        raise AriUnreachable(f"no route from this machine to {host!r}: {error.strerror or error}") from error
