"""Network address translation between two loopback addresses, made of sockets: no packet goes straight."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_ari_sla.arguments import Address

__all__ = ["Translator"]


class Translator:
    """Stands between two hosts, as a router does that translates both addresses and leaves ports alone.

    Parameters
    ----------
    left, right
        Each side: its real address, the address that the other side knows it by, and its ports.
    """

    def __init__(self, left: tuple[str, str, Iterable[int]], right: tuple[str, str, Iterable[int]]) -> None:
        self._stack = ExitStack()
        self._selector = self._stack.enter_context(selectors.DefaultSelector())
        self._outer: dict[Address, socket.socket] = {}
        self._known_as: dict[str, str] = {}
        self._real: dict[str, str] = {}
        self.forwarded = {left[0]: 0, right[0]: 0}
        for real, known_as, ports in (left, right):
            self._known_as[real], self._real[known_as] = known_as, real
            for port in ports:
                self._open((known_as, port))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._forward)

    def _open(self, address: Address) -> None:
        udp = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # on a busy machine this thread waits its turn
        udp.bind(address)
        udp.setblocking(False)
        self._outer[address] = udp
        self._selector.register(udp, selectors.EVENT_READ, address)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._stack.close()

    def _forward(self) -> None:
        while not self._ended.is_set():
            for key, _ in self._selector.select(0.1):
                known_as, port = key.data
                data, (host, source_port) = self._outer[known_as, port].recvfrom(2048)
                outer = self._outer.get((self._known_as.get(host, ""), source_port))
                if outer is not None:
                    outer.sendto(data, (self._real[known_as], port))
                    self.forwarded[host] += 1
