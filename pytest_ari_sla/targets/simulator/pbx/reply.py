"""What an operation answers: a status and a body."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

__all__ = ["NO_CONTENT", "Connecting", "Refused", "Reply"]


@dataclass(frozen=True)
class Connecting:
    """What has to be connected to before a request can be answered.

    Attributes
    ----------
    remote
        Host and port.
    then
        Goes on with the connection, or with None where there is none.
    """

    remote: tuple[str, int]
    then: Callable[[socket.socket | None], Reply]


@dataclass(frozen=True)
class Reply:
    """An answer to a request.

    Attributes
    ----------
    body
        What to send as JSON; None for no body, bytes for a file.
    connecting
        Set where this is no answer yet.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    connecting: Connecting | None = None


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
