"""A process that takes what it is told on its standard input (`udp 5`, `thread 2`), and keeps it."""

from __future__ import annotations

import os
import socket
import sys
import threading

KEPT: list[object] = []


def bound() -> socket.socket:
    """Return a UDP socket with a port, as Asterisk takes for RTP."""
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    return one


def main() -> None:
    """Listen at a TCP port, which is told, and obey."""
    server = socket.create_server(("127.0.0.1", 0))
    forever = threading.Event()
    sys.stdout.write(f"{server.getsockname()[1]}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        what, _, number = line.strip().partition(" ")
        for _ in range(int(number or 1)):
            match what:
                case "udp":
                    KEPT.append(bound())
                case "eventfd":
                    KEPT.append(os.eventfd(0))
                case "pipe":
                    KEPT.append(os.pipe())
                case "file":
                    KEPT.append(open(os.devnull))
                case "accept":
                    KEPT.append(server.accept()[0])
                case "thread":
                    threading.Thread(target=forever.wait, daemon=True).start()
                case "release":
                    KEPT.clear()
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
