"""What an operation answers: a status and a body."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["NO_CONTENT", "Refused", "Reply"]


@dataclass(frozen=True)
class Reply:
    """An answer to a request.

    Attributes
    ----------
    body
        What to send as JSON; None for no body, bytes for a file.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


NO_CONTENT = Reply(204)


class Refused(Exception):
    """An operation that is answered with an error, in Asterisk's own words.

    Not a failure of the simulator: being refused is what a real Asterisk would do.

    Attributes
    ----------
    reply
        The answer.
    """

    def __init__(self, status: int, message: str, key: str = "message") -> None:
        super().__init__(f"{status}: {message}")
        self.reply = Reply(status, {key: message})
