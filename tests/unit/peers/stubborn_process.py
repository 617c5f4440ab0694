"""A media process for tests that greets, and then does what its argument says.

``stay`` for ever, ``babble``, or be ``late``: answer two requests only when both have come.
"""

from __future__ import annotations

import signal
import socket
import sys
import time

import msgspec

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
    if behaviour == "late":
        with control.makefile("rb") as lines:
            numbers = [msgspec.json.decode(lines.readline())["number"] for _ in range(2)]
        control.sendall(b"".join(encode(Reply(number, f"answer {place}")) for place, number in enumerate(numbers, 1)))
    time.sleep(60)


if __name__ == "__main__":
    main()
