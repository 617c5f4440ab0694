"""What a session with ARI tells the outside: times of requests and events, and notes for the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pytest_ari_sla.metrics.units import counted

if TYPE_CHECKING:
    from pytest_ari_sla.ari.messages import Event

__all__ = ["AriNote", "AriObserver", "SilentObserver"]


class AriObserver(Protocol):
    """Who is told what every request and event took; called on the session's event loop, so it must be quick."""

    def on_request(
        self, method: str, route: str, duration_ns: int, status: int, *, queued_ns: int, uncertainty_ns: int
    ) -> None:
        """Take note of a request.

        Parameters
        ----------
        method, route
            ``POST``, ``/channels/{channelId}/answer``: a template, so that figures add up over channels.
        duration_ns
            From the moment that the last bytes of the request were handed to the kernel until the last byte of the
            answer arrived there.
        status
            The HTTP status; 0 where no answer came.
        queued_ns
            Time spent waiting for a place among the requests in flight: our own limit, not Asterisk's doing.
        uncertainty_ns
            How much longer than the truth ``duration_ns`` may be.
        """

    def on_event(self, event: Event, received_ns: int, lag_ns: int | None, *, uncertainty_ns: int) -> None:
        """Take note of an event.

        Parameters
        ----------
        event
            The event.
        received_ns
            When its last byte arrived, on the monotonic clock.
        lag_ns
            From Asterisk's time stamp (a whole millisecond) to our wall clock at its arrival: holds the offset of the
            two hosts' clocks; None where the event has no time stamp.
        uncertainty_ns
            How much later than the truth ``received_ns`` may be.
        """


class SilentObserver:
    """An observer that takes no notes."""

    def on_request(
        self, method: str, route: str, duration_ns: int, status: int, *, queued_ns: int, uncertainty_ns: int
    ) -> None:
        """Ignore a request."""

    def on_event(self, event: Event, received_ns: int, lag_ns: int | None, *, uncertainty_ns: int) -> None:
        """Ignore an event."""


@dataclass(frozen=True)
class AriNote:
    """Something about the session that a report should mention.

    Attributes
    ----------
    at_ns
        When: ns since the Unix epoch.
    kind
        ``disconnected``, ``reconnected``, ``missed-event``, ``lost-channel``, ``retried`` or ``clean-up``.
    reason
        What happened, in words.
    times
        How often that happened, ids and numbers aside; time and words are those of the first time.
    """

    at_ns: int
    kind: str
    reason: str
    times: int = 1

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}" + (f" ({counted(self.times, 'time')} such)" if self.times > 1 else "")
