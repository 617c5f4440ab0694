"""How TLS servers are checked."""

from __future__ import annotations

import ssl

from pytest_ari_sla.errors import UsageError

__all__ = ["tls_context"]


def tls_context(ca_file: str | None, *, verify: bool) -> ssl.SSLContext:
    """Return how TLS servers are checked.

    Raises
    ------
    UsageError
        The CA file cannot be read, or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as unreadable:  # ssl.SSLError is one
        raise UsageError(f"--ari-ca-file {ca_file}: no certificates can be read from it ({unreadable})") from unreadable
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
