"""How TLS servers are checked."""

from __future__ import annotations

import os
import ssl
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import UsageError

if TYPE_CHECKING:
    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from pytest_ari_sla.settings import TlsTrust

__all__ = ["held_certificates", "held_trust", "tls_context", "tls_towards"]


def tls_context(trust: TlsTrust) -> ssl.SSLContext:
    """Return how TLS servers are checked.

    Raises
    ------
    UsageError
        The CA file cannot be read, or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=trust.ca_file)
    except OSError as unreadable:  # ssl.SSLError is one
        raise UsageError(
            f"--ari-ca-file {trust.ca_file}: no certificates can be read from it ({unreadable})"
        ) from unreadable
    if not trust.verify:
        context.check_hostname = False  # first: ssl refuses CERT_NONE as long as names are checked
        context.verify_mode = ssl.CERT_NONE
    return context


def tls_towards(endpoint: AriEndpoint, trust: TlsTrust) -> ssl.SSLContext | bool:
    """Return what aiohttp needs to know of TLS for a target: True, its own default, where there is none to speak.

    Reading the system's certificates takes some 20 ms, which a plain target need not wait for; a CA file is read all
    the same: a mistake in it is told.

    Raises
    ------
    UsageError
        The CA file cannot be read, or holds no certificate.
    """
    return tls_context(trust) if endpoint.is_encrypted or trust.ca_file else True


def held_certificates(trust: TlsTrust) -> int | None:
    """Return the descriptor of a file in memory that holds the CA's certificates; None where no CA is named.

    It outlives the CA file, and may go to another process, which reads it by :func:`held_trust`.

    Raises
    ------
    UsageError
        The CA file cannot be read, or holds no certificate.
    """
    if trust.ca_file is None:
        return None
    tls_context(trust)
    handle = os.memfd_create("CA certificates")
    Path(f"/proc/self/fd/{handle}").write_bytes(Path(trust.ca_file).read_bytes())
    return handle


def held_trust(trust: TlsTrust, handle: int) -> TlsTrust:
    """Return the same trust by the certificates that :func:`held_certificates` has kept."""
    return replace(trust, ca_file=f"/proc/self/fd/{handle}")
