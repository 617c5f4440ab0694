"""How TLS servers are checked."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import UsageError

if TYPE_CHECKING:
    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from pytest_ari_sla.settings import TlsTrust

__all__ = ["tls_context", "tls_towards"]


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
