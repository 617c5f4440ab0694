"""Stands in for the language model and for speech recognition: ``python -m tests.matrix.voice_agent.engines PORT``.

Both are asked over HTTP, at the addresses that their makers' clients take from ANTHROPIC_BASE_URL and OPENAI_BASE_URL.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER = "It is half past nine, and the next train to town leaves at ten. "
HEARD = "when does it leave"


class Engines(BaseHTTPRequestHandler):
    """Answers each request with the same words."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:  # the name that http.server looks for
        """Hear, or think."""
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/audio/transcriptions"):
            self._answer("application/json", json.dumps({"text": HEARD}))
        else:
            self._answer(
                "text/event-stream", "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in _stream())
            )

    def _answer(self, kind: str, body: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


def _stream() -> list[dict[str, object]]:
    """Return the events of a reply, as the model streams them."""
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {
        **{"id": "msg_1", "type": "message", "role": "assistant", "model": "none", "content": []},
        **{"stop_reason": None, "stop_sequence": None, "usage": usage},
    }
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ANSWER}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage},
        {"type": "message_stop"},
    ]


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Engines).serve_forever()
