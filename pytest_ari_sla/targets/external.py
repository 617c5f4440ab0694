"""A target that somebody else runs, given by its URL."""

from __future__ import annotations

from pytest_ari_sla.ari.endpoint import parse_ari_url
from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.targets.target import Target, local_address_towards

__all__ = ["external_target"]


def external_target(
    url: str, *, user: str | None = None, password: str | None = None, media_host: str | None = None
) -> Target:
    """Describe a running Asterisk by its ARI URL.

    Parameters
    ----------
    url
        ``http(s)://[user[:password]@]host[:port][/ari]``.
    user, password
        ARI's credentials; what the URL itself holds wins.
    media_host
        The address that Asterisk sends RTP to; by default the local address that routes to it.

    Raises
    ------
    UsageError
        If the URL cannot be read, or no user or password is given anywhere.
    AriUnreachable
        If the host's name does not resolve, or there is no route to it.
    """
    endpoint = parse_ari_url(url)
    user, password = endpoint.user or user, endpoint.password or password
    if not user or not password:
        missing = f"a password for the user {user!r}" if user else "a user and a password"
        raise UsageError(
            f"ARI needs {missing}: in the URL, by --ari-user and --ari-password-file, or in ARI_USER and ARI_PASSWORD"
        )
    return Target(
        kind="external",
        url=endpoint.base_url,
        user=user,
        password=password,
        media_host=media_host or local_address_towards(endpoint.host),
    )
