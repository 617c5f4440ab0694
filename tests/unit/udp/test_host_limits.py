"""What this machine refuses is told from what others refuse."""

from __future__ import annotations

import errno
import os
import resource
import socket
from typing import TYPE_CHECKING

import aiohappyeyeballs
import pytest

from pytest_ari_sla.errors import HostLimit, OpenFilesLimit
from pytest_ari_sla.udp.host_limits import host_limit, kept_from_connecting, lacks_files, telling_errno

if TYPE_CHECKING:
    from aiohappyeyeballs import AddrInfoType

AT = "pbx:8088"


def error(number: int) -> OSError:
    """Return what the system says."""
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.EMFILE, OpenFilesLimit),
        (errno.ENFILE, OpenFilesLimit),
        (errno.ENOBUFS, HostLimit),
        (errno.ENOMEM, HostLimit),
        (errno.EADDRNOTAVAIL, HostLimit),
        (errno.EACCES, HostLimit),
        (errno.EPERM, HostLimit),
        (errno.ECONNREFUSED, type(None)),
        (errno.ETIMEDOUT, type(None)),
        (errno.ENETUNREACH, type(None)),
    ],
)
def test_who_kept_us_from_connecting(number: int, expected: type) -> None:
    """Only what this machine has decided by itself is its own."""
    assert type(kept_from_connecting(error(number), AT)) is expected


@pytest.mark.parametrize("number", [errno.EACCES, errno.EADDRNOTAVAIL, errno.ENOENT])
def test_what_a_file_or_an_address_of_ours_refuses_is_no_limit(number: int) -> None:
    """Where it was not a connection, these mean something else, and whoever asked tells it."""
    assert host_limit(error(number)) is None
    assert host_limit(RuntimeError("no")) is None


def test_a_user_who_may_start_no_process_is_told_of_that_limit() -> None:
    """The system's own words are only that something is unavailable."""
    assert "ulimit -u" in str(host_limit(BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))))


@pytest.mark.parametrize(
    ("of_ipv6", "telling"),
    [
        (errno.EADDRNOTAVAIL, errno.ECONNREFUSED),
        (errno.ENETUNREACH, errno.ECONNREFUSED),
        (errno.EMFILE, errno.EMFILE),
        (errno.ECONNREFUSED, errno.ECONNREFUSED),
    ],
)
async def test_of_several_addresses_of_a_host_the_one_that_tells_most_counts(of_ipv6: int, telling: int) -> None:
    """Of a name such as localhost, in a container without IPv6: not that this machine lacks an address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        port = taken.getsockname()[1]

        def make(address: AddrInfoType) -> socket.socket:
            if address[0] == socket.AF_INET6:
                raise error(of_ipv6)
            return socket.socket(address[0], address[1])

        addresses: list[AddrInfoType] = [
            (socket.AF_INET6, socket.SOCK_STREAM, 0, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)),
        ]
        with pytest.raises(OSError, match="Errno") as caught:
            await aiohappyeyeballs.start_connection(addresses, socket_factory=make)
    assert telling_errno(caught.value) == telling


def test_a_process_that_may_open_nothing_more_finds_it_out() -> None:
    """By trying: a name that cannot be resolved does not say why."""
    assert lacks_files() is None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        found = lacks_files()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert isinstance(found, OpenFilesLimit)
