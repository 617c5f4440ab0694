from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_ari_sla.udp.datagrams import (
    DatagramMemory,
    host_number,
    open_udp_socket,
    prepare_socket,
    receive_drops,
)

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

LOOPBACK = "127.0.0.1"


def test_a_host_is_the_number_that_socket_addresses_hold() -> None:
    """First part highest."""
    assert host_number("10.1.2.3") == 0x0A010203


def test_a_host_by_name_is_no_address() -> None:
    """Names are resolved before packets move, never by them."""
    with pytest.raises(OSError, match="illegal IP address"):
        host_number("pbx.example")


def test_memory_can_lie_where_somebody_else_wants_it() -> None:
    """Two processes share the receive ring this way."""
    taken: list[tuple[int, ...]] = []

    def allocate(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        taken.append(shape)
        return np.zeros(shape, dtype)

    memory = DatagramMemory.allocate(7, 40, allocate)
    assert taken == [(7, 40), (7,), (7,), (7,)]
    assert len(memory) == 7


def test_arrival_is_put_together_from_seconds_and_nanoseconds() -> None:
    """As 64-bit integers: a float would round to 200 ns."""
    memory = DatagramMemory.allocate(2, 8)
    memory.control["seconds"] = 1_700_000_000
    memory.control["nanoseconds"] = [1, 999_999_999]
    assert memory.arrival_ns(slice(2)).tolist() == [1_700_000_000_000_000_001, 1_700_000_000_999_999_999]


def test_what_the_kernel_granted_is_read_back() -> None:
    """What was asked for is a wish; reports tell what was granted."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        granted = prepare_socket(udp, 1 << 16)
        assert granted.buffer_bytes == udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert granted.kernel_time


def test_a_socket_that_cannot_be_bound_is_not_left_open() -> None:
    """The error is the system's own."""
    with open_udp_socket((LOOPBACK, 0)) as first, pytest.raises(OSError, match="in use"):
        open_udp_socket(first.getsockname())


def test_a_fresh_socket_has_dropped_nothing() -> None:
    """The counter is there before the first packet."""
    with open_udp_socket((LOOPBACK, 0)) as udp:
        assert receive_drops(udp) == 0
