"""Where ARI is and who we are there, read from one URL."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from pytest_ari_sla.errors import UsageError

__all__ = ["AriEndpoint", "parse_ari_url", "redact"]

_EXPECTED = "expected http(s)://[user[:password]@]host[:port][/ari], such as http://user:secret@pbx:8088"
# Up to the last "@", so that a password with a slash or a blank in it, which makes the URL unusable, is not shown.
_CREDENTIALS = re.compile(r"(?<=://).*@", re.DOTALL)


@dataclass(frozen=True)
class AriEndpoint:
    """Where ARI is and who we are there.

    Attributes
    ----------
    base_url
        Scheme, host, port and path up to and with ``/ari``; no user, no password, no slash at the end.
    user, password
        Credentials; the password is in no representation of this object.
    """

    base_url: str
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def is_encrypted(self) -> bool:
        """Whether it is reached by TLS."""
        return self.base_url.startswith("https:")

    @property
    def host(self) -> str:
        """Host name or address, without brackets."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def port(self) -> int:
        """TCP port; the scheme's own where the URL names none."""
        return urlsplit(self.base_url).port or (443 if self.is_encrypted else 80)

    @property
    def authorization(self) -> str:
        """Value of the Authorization header (RFC 7617); a secret like the password itself."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")


def redact(url: str) -> str:
    """Return a URL without user and password; nothing at all where they cannot be told from the rest."""
    return _CREDENTIALS.sub("…@", url) if "://" in url else "…"


def parse_ari_url(url: str) -> AriEndpoint:
    """Read ``http(s)://[user[:password]@]host[:port][/ari]``.

    User and password may be percent-encoded. A path is allowed where it ends with ``/ari`` (``prefix`` of Asterisk's
    ``http.conf``, or a reverse proxy).

    Raises
    ------
    UsageError
        It is no such URL; the sentence never repeats user or password.
    """
    parts = _split(url)
    path = parts.path.rstrip("/") or "/ari"  # http://pbx:8088 is enough
    if parts.scheme not in ("http", "https"):
        raise _unusable(url, "its scheme is neither http nor https")
    if not parts.hostname:
        raise _unusable(url, "it names no host")
    if parts.query or parts.fragment:
        raise _unusable(url, "a query or fragment has no meaning here")
    if not path.endswith("/ari"):
        raise _unusable(url, f"its path {path!r} does not end with /ari")
    # Not `hostname`: that loses the brackets of an IPv6 address, and the port.
    host_and_port = parts.netloc.rpartition("@")[2]
    user = unquote(parts.username or "")
    if ":" in user:
        raise _unusable(url, "a user name cannot hold a colon (RFC 7617)")
    return AriEndpoint(f"{parts.scheme}://{host_and_port}{path}", user, unquote(parts.password or ""))


def _split(url: str) -> SplitResult:
    """Split a URL, refusing what urlsplit itself would quietly repair."""
    if any(character.isspace() or not character.isprintable() for character in url):
        raise _unusable(url, "it holds white space or control characters")
    try:
        parts = urlsplit(url)
        port_usable = parts.port != 0  # reading it raises ValueError where it is no port; 0 is none to connect to
    except ValueError:  # its text quotes what may be half a password
        port_usable = False
    if not port_usable:
        raise _unusable(url, "host and port cannot be read (/ ? # @ in a password must be percent-encoded)")
    return parts


def _unusable(url: str, problem: str) -> UsageError:
    return UsageError(f"not a usable ARI URL: {redact(url)}: {problem}; {_EXPECTED}")
