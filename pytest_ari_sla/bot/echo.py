"""A bot that says what it hears, at once: what it adds to a round trip is nothing, so the rest is the media path's.

Its log tells when what a caller said came, and when it was sent back. No I/O; all times are ns since the Unix epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.bot.conversation import ENDPOINT_NS, FRAME_NS, SILENT_FRAME, is_loud

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Echo"]


class Echo:
    """One call of it.

    Parameters
    ----------
    tell
        Writes into the log what happened, and when.
    clips_ns
        So much of the beginning of whatever a caller says is swallowed: a fault on purpose.
    """

    def __init__(self, tell: Callable[[str, int], None], clips_ns: int = 0) -> None:
        self._tell = tell
        self._clips_ns = clips_ns
        self._began_ns: int | None = None
        self._loud_until_ns = 0
        self._is_back = False

    def hear(self, payload: bytes, now_ns: int) -> bytes:
        """Take a frame of the caller's that has come now; return what goes back at once."""
        if is_loud(payload):
            self._loud_until_ns = now_ns + FRAME_NS
            if self._began_ns is None:
                self._began_ns = now_ns
                self._tell("caller_began", now_ns)
        elif self._began_ns is not None and now_ns - self._loud_until_ns >= ENDPOINT_NS:
            self._end()
        if self._began_ns is None:
            return payload
        if now_ns - self._began_ns < self._clips_ns:
            return SILENT_FRAME
        if not self._is_back:
            self._is_back = True
            self._tell("began", now_ns)
        return payload

    def _end(self) -> None:
        self._tell("caller_ended", self._loud_until_ns)
        if self._is_back:
            self._tell("ended", self._loud_until_ns)
        self._began_ns, self._is_back = None, False

    def press(self, digit: str, now_ns: int) -> None:
        """Take a key that the caller has pressed by now: there is nothing to be said back."""
        self._tell(f"key {digit}", now_ns)

    def frame(self, now_ns: int) -> bytes | None:
        """Return nothing: what is sent has gone already."""
        return None
