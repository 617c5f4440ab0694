"""A target that somebody else runs, given by its URL."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.targets.target import Target, local_address_towards

__all__ = ["AriUrl", "external_target", "parse_ari_url"]

_EXAMPLE = "http://user:password@pbx.example:8088"


@dataclass(frozen=True)
class AriUrl:
    """An ARI URL in its parts.

    Attributes
    ----------
    base
        ``http(s)://host:port`` and a path, if there is one before ``/ari``.
    host
        The host alone.
    user, password
        As they stand in the URL, percent signs decoded; None where they do not.
    """

    base: str
    host: str
    user: str | None
    password: str | None = field(repr=False)


def parse_ari_url(url: str) -> AriUrl:
    """Take an ARI URL apart.

    Raises
    ------
    UsageError
        If it is not ``http(s)://[user[:password]@]host[:port][/ari]``. The message never repeats a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"the ARI URL cannot be read: {error}; it should look like {_EXAMPLE}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"the ARI URL is not of the form http(s)://host:port; it should look like {_EXAMPLE}")
    if parts.query or parts.fragment:
        raise UsageError(f"the ARI URL must end after the path, without '?' or '#'; it should look like {_EXAMPLE}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path.rstrip("/").removesuffix("/ari").rstrip("/")
    return AriUrl(
        base=f"{parts.scheme}://{host}{f':{port}' if port else ''}{path}",
        host=parts.hostname,
        user=_decoded(parts.username),
        password=_decoded(parts.password),
    )


def external_target(
    url: str, *, user: str | None = None, password: str | None = None, media_host: str | None = None
) -> Target:
    """Describe a running Asterisk by its ARI URL.

    Parameters
    ----------
    url
        ``http(s)://[user[:password]@]host[:port][/ari]``.
    user, password
        ARI's credentials; the URL's own win.
    media_host
        The address that Asterisk sends RTP to; by default the local address that routes to it.

    Raises
    ------
    UsageError
        If the URL cannot be read, or no user or password is given anywhere.
    AriUnreachable
        If the host's name does not resolve, or there is no route to it.
    """
    parsed = parse_ari_url(url)
    user, password = parsed.user or user, parsed.password or password
    if not user or not password:
        missing = "a user" if not user else f"a password for the user {user!r}"
        raise UsageError(
            f"ARI needs {missing}: give it in the URL, by --ari-user/--ari-password-file, or ARI_USER/ARI_PASSWORD"
        )
    host = media_host or local_address_towards(parsed.host)
    return Target(kind="external", url=parsed.base, user=user, password=password, media_host=host)


def _decoded(text: str | None) -> str | None:
    return None if text is None else unquote(text)
