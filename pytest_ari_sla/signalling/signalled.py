"""A call, as those see it who make its legs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pytest_ari_sla.ari_client.session import AriSession
    from pytest_ari_sla.ari_client.watch import ChannelWatch

__all__ = ["STEP_TIMEOUT_S", "SignalledCall"]

STEP_TIMEOUT_S = 10.0
"""So long is waited for what Asterisk should do at once."""


class SignalledCall(Protocol):
    """What a way of signalling needs of a call."""

    @property
    def id(self) -> str:
        """Id of the call; the ids of its channels and bridges begin with it."""

    @property
    def ari(self) -> AriSession:
        """The ARI session."""

    def follow(self, channel_id: str) -> ChannelWatch:
        """Let a channel's events enter the call's time line; before the channel is asked for."""

    def note(self, source: str, what: str, detail: str = "") -> None:
        """Add to the call's time line."""

    def measure_setup(self, duration_ns: int, lag_ns: int) -> None:
        """Record how long a channel took to be set up, and how much of that may be our own lateness."""
