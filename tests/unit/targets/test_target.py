from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from pytest_ari_sla.errors import AriUnreachable
from pytest_ari_sla.targets.target import Target, is_on_this_machine, local_address_towards


def test_a_target_crosses_processes_as_plain_values() -> None:
    """What asdict gives holds built-ins only, and makes the same target again."""
    target = Target(
        kind="private",
        url="http://127.0.0.1:8088/ari",
        user="u",
        password="secret",
        media_host="127.0.0.1",
        version="22.10.1",
        session_limit=100,
        rtp_ports=(10_000, 20_000),
        sip_port=5060,
        pid=4711,
    )
    values = asdict(target)
    assert {type(value) for value in values.values()} <= {str, int, tuple}
    assert Target(**values) == target


def test_the_password_is_not_in_the_representation() -> None:
    """A failing test prints its fixtures."""
    target = Target(kind="external", url="http://pbx/ari", user="u", password="secret", media_host="10.0.0.1")
    assert "secret" not in repr(target)
    assert target.endpoint.user == "u"
    assert target.endpoint.base_url == "http://pbx/ari"


def test_the_loopback_address_routes_to_itself() -> None:
    """A target on this machine sends its media to this machine's loopback address."""
    assert local_address_towards("127.0.0.1") == "127.0.0.1"
    assert local_address_towards("localhost") in ("127.0.0.1", "::1")


_IPV6 = Path("/proc/net/if_inet6")  # all IPv6 addresses of this machine


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", _IPV6.is_file() and "00000000000000000000000000000001 " in _IPV6.read_text()),
        ("192.0.2.1", False),
        ("2001:db8::1", False),
        ("pbx.invalid", False),
    ],
)
def test_a_target_may_run_on_our_own_machine(host: str, is_here: bool) -> None:
    """RFC 5737 keeps 192.0.2.0/24 free of hosts, RFC 3849 2001:db8::/32."""
    assert is_on_this_machine(host) is is_here


def test_a_name_that_does_not_resolve_is_named() -> None:
    """RFC 2606 keeps .invalid free of names."""
    with pytest.raises(AriUnreachable, match=r"no route from this machine to 'pbx\.invalid'"):
        local_address_towards("pbx.invalid")
