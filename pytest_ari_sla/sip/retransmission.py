"""When a message that may be lost is sent again (RFC 3261, 17.1)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LONGEST_NS", "T1_NS", "Retransmission"]

T1_NS = 500_000_000  # round trip, as assumed: 17.1.1.1
T2_NS = 4_000_000_000  # 17.1.2.2
# Timers B, F and H.
LONGEST_NS = 64 * T1_NS
"""So long is waited for a response, or an ACK."""

_NEVER_NS = 1 << 62


@dataclass
class Retransmission:
    """A message that is sent until somebody answers.

    Attributes
    ----------
    message
        What is sent.
    next_ns
        When again.
    gives_up_ns
        When no more.
    interval_ns
        What it waits for next.
    most_ns
        The longest interval.
    """

    message: bytes
    next_ns: int
    gives_up_ns: int
    interval_ns: int = T1_NS
    most_ns: int = T2_NS

    @classmethod
    def begun(cls, message: bytes, now_ns: int, *, reliable: bool, most_ns: int = T2_NS) -> Retransmission:
        """Return that of a message which has just been sent; a reliable transport needs none, but may give up."""
        return cls(message, _NEVER_NS if reliable else now_ns + T1_NS, now_ns + LONGEST_NS, most_ns=most_ns)

    @property
    def deadline_ns(self) -> int:
        """When to look again."""
        return min(self.next_ns, self.gives_up_ns)

    def is_due(self, now_ns: int) -> bool:
        """Whether to send it now; the next time is twice as long after that."""
        if now_ns < self.next_ns:
            return False
        self.interval_ns = min(2 * self.interval_ns, self.most_ns)
        self.next_ns = now_ns + self.interval_ns
        return True
