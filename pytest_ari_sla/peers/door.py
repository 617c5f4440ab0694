"""Accepts connections on a loop, and goes on where that fails."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pytest_ari_sla.udp.host_limits import is_limit, limit_words

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from pytest_ari_sla.peers.ready_loop import ReadyLoop

__all__ = ["Door"]


class Door:
    """Lets in whoever connects to a listening socket.

    Parameters
    ----------
    loop
        Where it is watched.
    listener
        The caller's to close.
    serve
        Takes each connection over.

    Attributes
    ----------
    kept_waiting
        Times that somebody could not be let in, since there were no more open files.
    """

    def __init__(self, loop: ReadyLoop, listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
        listener.setblocking(False)
        self._loop = loop
        self._listener = listener
        self._serve = serve
        self.kept_waiting = 0
        loop.watch(listener, self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            # Of all others it is the peer's connection that failed, before it was accepted (accept(2)).
            if is_limit(error):
                self._keep_waiting(error)
            return
        self._serve(connection)

    def _keep_waiting(self, error: OSError) -> None:
        if not self.kept_waiting:  # once: it would be said five times a second
            sys.stderr.write(f"ari-sla: {limit_words(error)}; connections wait until then\n")
            sys.stderr.flush()
        self.kept_waiting += 1
        self._loop.rest(self._listener)
