"""A media process for tests that greets, and then does what its argument says: ``stay`` for ever, or ``babble``."""

from __future__ import annotations

import signal
import socket
import sys
import time

from pytest_ari_sla.peers.control import Reply, encode


def main() -> None:
    """Greet and misbehave."""
    behaviour, _, descriptor = sys.argv[1:]
    control = socket.socket(fileno=int(descriptor))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if behaviour == "babble":
        control.sendall(b"220 mail.example ESMTP\n")
    else:
        control.sendall(encode(Reply(0, "ready")))
    time.sleep(60)


if __name__ == "__main__":
    main()
