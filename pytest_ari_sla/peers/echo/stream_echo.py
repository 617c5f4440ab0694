"""The echo server for streams: sends each frame of an AudioSocket or WebSocket connection back on it, at once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pytest_ari_sla.arguments import argument, parse_port
from pytest_ari_sla.peers.stream_command import run_server, stream_parser
from pytest_ari_sla.peers.stream_server import StreamServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.peers.ready_loop import ReadyLoop
    from pytest_ari_sla.peers.stream_server import StreamConnection

__all__ = ["StreamEcho", "main"]


class StreamEcho(StreamServer):
    """Echoes what connections bring.

    Attributes
    ----------
    frames
        How many it has sent back.
    """

    def __init__(self, loop: ReadyLoop) -> None:
        super().__init__(loop)
        self.frames = 0

    def take(self, connection: StreamConnection) -> None:
        """Send all frames back."""
        conversation = connection.conversation
        for frame in conversation.frames:
            if connection.send(frame, conversation.audio_kind):
                self.frames += 1
            else:
                self.dropped += 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C or SIGTERM; where it has connected itself, until that connection ends."""
    parser = stream_parser("ari-sla echo", "Send every frame of a stream back.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=argument(parse_port), default=0, help="TCP port (default: a free one)")
    options = parser.parse_args(argv)
    echo = run_server(parser, options, (options.host, options.port), StreamEcho)
    sys.stdout.write(f"{echo.connections:>12,}  connections\n{echo.frames:>12,}  frames sent back\n")
    sys.stdout.write(f"{echo.dropped:>12,}  frames dropped, since their peer did not read\n")
    sys.stdout.write(f"{echo.faults:>12,}  faults of peers\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
