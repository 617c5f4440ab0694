"""The oracle itself: what it makes of a capture."""

from __future__ import annotations

from tests.oracles.ari_wire import conversation
from tests.oracles.wire import TcpSegment

PORT, CLIENT = 8088, 40_000
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def exchange(at_ns: int, path: str) -> list[TcpSegment]:
    """Return a connection with one request."""
    request = f"GET {path} HTTP/1.1\r\n\r\n".encode()
    return [
        TcpSegment(at_ns, CLIENT, PORT, at_ns, True, b""),
        TcpSegment(at_ns + 1, PORT, CLIENT, at_ns, True, b""),
        TcpSegment(at_ns + 2, CLIENT, PORT, at_ns + 1, False, request),
        TcpSegment(at_ns + 5, PORT, CLIENT, at_ns + 1, False, ANSWER),
    ]


def test_a_port_that_is_used_again_is_another_connection() -> None:
    """The kernel hands the ports of loopback connections out again after a second."""
    said = conversation([*exchange(100, "/first"), *exchange(900, "/second")], PORT)
    assert [(one.target, one.took_ns) for one in said.requests] == [("/first", 3), ("/second", 3)]
