from __future__ import annotations

import pytest

from pytest_ari_sla.arguments import parse_host_port, parse_port, parse_port_range
from pytest_ari_sla.errors import UsageError


def test_ports_and_addresses_are_read() -> None:
    """Where 0 is admitted, it stands for a free port."""
    assert parse_port("0") == 0
    assert parse_port("65535", lowest=1) == 65_535
    assert parse_host_port("pbx.example:4000") == ("pbx.example", 4000)
    assert parse_host_port("127.0.0.1:0", lowest=0) == ("127.0.0.1", 0)
    assert parse_port_range("1024-1025", lowest=1024) == (1024, 1025)


@pytest.mark.parametrize("text", ["", "-1", "65536", "1.0", "x", "٣", " 80", "0"])
def test_what_is_no_port_is_refused(text: str) -> None:
    """Digits of other scripts included, which the rest of the world would not take."""
    with pytest.raises(UsageError, match="not a port"):
        parse_port(text, lowest=1)


@pytest.mark.parametrize(
    "text", ["", "here", ":4000", "host:", "host:0", "host:65536", "host:x", "::1:4000", "[::1]:4000"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """IPv6 included: packets are moved by IPv4."""
    with pytest.raises(UsageError, match="not an address"):
        parse_host_port(text)


@pytest.mark.parametrize("text", ["", "5", "5-", "-5", "9-5", "5-5", "1-65536", "1000-2000"])
def test_what_is_no_range_is_refused(text: str) -> None:
    """A range has two ends, in their order, among the ports there are."""
    with pytest.raises(UsageError, match="not a range of ports"):
        parse_port_range(text, lowest=1024)
