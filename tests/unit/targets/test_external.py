from __future__ import annotations

import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.targets.external import external_target


def test_a_url_with_everything_is_enough() -> None:
    """User and password leave the URL; the media host is the address that routes to Asterisk."""
    target = external_target("http://user:secret@127.0.0.1:8088")
    assert (target.kind, target.url) == ("external", "http://127.0.0.1:8088/ari")
    assert (target.user, target.password) == ("user", "secret")
    assert target.media_host == "127.0.0.1"
    assert (target.session_limit, target.rtp_ports) == (None, None)


def test_what_the_url_does_not_hold_comes_from_the_options() -> None:
    """The URL's own credentials win, so that ARI_PASSWORD in the environment does no harm."""
    target = external_target(
        "http://user@127.0.0.1:8088/ari", user="other", password="from-file", media_host="10.1.2.3"
    )
    assert (target.user, target.password, target.media_host) == ("user", "from-file", "10.1.2.3")


@pytest.mark.parametrize(
    ("url", "missing"),
    [
        ("http://127.0.0.1:8088", "a user and a password"),
        ("http://user@127.0.0.1:8088", "a password for the user 'user'"),
    ],
)
def test_missing_credentials_are_told_with_the_ways_to_give_them(url: str, missing: str) -> None:
    """The sentence names the options and the environment's variables."""
    with pytest.raises(UsageError, match=rf"ARI needs {missing}: .*--ari-password-file.*ARI_PASSWORD"):
        external_target(url)


def test_an_asterisk_with_ipv6_addresses_only_needs_to_be_told_where_media_goes() -> None:
    """Media travels over IPv4: which address of ours Asterisk can reach is not to be guessed."""
    with pytest.raises(UsageError, match=r"::1 has IPv6 addresses only.*--ari-media-host"):
        external_target("http://u:p@[::1]:8088")
    assert external_target("http://u:p@[::1]:8088", media_host="192.0.2.1").media_host == "192.0.2.1"
