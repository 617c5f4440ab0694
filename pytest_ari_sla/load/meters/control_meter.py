"""Measures the control plane: what ARI's requests and events took. One writer: the event loop that runs the load."""

from __future__ import annotations

from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.snapshot import Snapshot

if TYPE_CHECKING:
    from pytest_ari_sla.ari.messages import Event

__all__ = ["ControlMeter", "Narrated"]

EVENTS_KEPT = 5_000
"""For the evidence of a stall: half a minute of 40 calls a second."""

_in_a_call: ContextVar[bool] = ContextVar("_in_a_call", default=False)


class Narrated(Protocol):
    """A call whose story is kept."""

    def note(self, source: str, what: str, detail: str = "") -> None:
        """Add to the story."""


class ControlMeter:
    """The :class:`~pytest_ari_sla.ari_client.observer.AriObserver` of a load.

    Attributes
    ----------
    setup, first_packet
        Histograms in ns; a call that never heard a packet is in the second as NEVER.
    """

    def __init__(self) -> None:
        self.setup = Histogram()
        self.first_packet = Histogram()
        self._setup_lag = Histogram()
        self._request_lag = Histogram()
        self._reading_lag = Histogram()
        self._requests = Histogram()
        self._event_lag = Histogram()
        self._errors = 0
        self._dated: list[tuple[int, Snapshot]] = []
        self._calls: dict[str, Narrated] = {}
        self._latest: deque[tuple[int, Event]] = deque(maxlen=EVENTS_KEPT)

    def latest_events(self) -> list[tuple[int, str]]:
        """Return the latest events: when each came, on the monotonic clock in ns, and what it was."""
        return [(at_ns, f"{event.type} {', '.join(event.channel_ids)}") for at_ns, event in self._latest]

    def note_setup(self, duration_ns: int, lag_ns: int) -> None:
        """Record how long a channel took to be set up, and how much of that may be our own lateness."""
        self.setup.record_one(duration_ns)
        self._setup_lag.record_one(lag_ns)

    def note_first_packet(self, up_at_ns: int, delay_ns: int) -> None:
        """Record how long a call waited for its first packet, or NEVER; it belongs to when the call was up.

        It is known when the call is over, which may be in another stage.
        """
        waited = Histogram()
        waited.record_one(delay_ns)
        self.first_packet.merge(waited)
        self._dated.append((up_at_ns, Snapshot({"first_packet": waited, "calls.deaf": waited.saturated})))

    def take_dated(self) -> list[tuple[int, Snapshot]]:
        """Return what has a time of its own, ns since the Unix epoch, since the last time."""
        dated, self._dated = self._dated, []
        return dated

    @staticmethod
    def enter_call() -> None:
        """Let the requests of this task, and of those that it starts, be measured: they belong to a call.

        Those of the preflight, of the clean-up and of the reconciliation after a broken WebSocket belong to none.
        """
        _in_a_call.set(True)

    def follow(self, channel_id: str, call: Narrated) -> None:
        """Let a channel's events enter this call's story."""
        self._calls[channel_id] = call

    def forget(self, channel_id: str) -> None:
        """Follow a channel no more."""
        self._calls.pop(channel_id, None)

    def on_request(
        self, method: str, route: str, duration_ns: int, status: int, *, queued_ns: int, uncertainty_ns: int
    ) -> None:
        """Take note of a call's request; a failed one has no time, it has failed."""
        if not _in_a_call.get():
            return
        self._request_lag.record_one(uncertainty_ns)
        if 200 <= status < 300 or status == 404:  # 404 is the answer to a DELETE of what has ended by itself
            self._requests.record_one(duration_ns)
        else:
            self._errors += 1

    def on_event(self, event: Event, received_ns: int, lag_ns: int | None, *, uncertainty_ns: int) -> None:
        """Take note of an event that tells of a call's channels."""
        self._latest.append((received_ns, event))
        followed = [channel_id for channel_id in event.channel_ids if channel_id in self._calls]
        if not followed:
            return
        self._reading_lag.record_one(uncertainty_ns)
        if lag_ns is not None:
            self._event_lag.record_one(max(0, lag_ns))  # two machines' clocks may disagree
        for channel_id in followed:
            self._calls[channel_id].note("ari", event.type)

    def values(self) -> dict[str, Histogram | int]:
        """Return all values since the beginning, by metric name."""
        return {
            "setup": self.setup,
            "first_packet": self.first_packet,
            "calls.deaf": self.first_packet.saturated,
            "ari.request": self._requests,
            "ari.event_lag": self._event_lag,
            "ari.errors": self._errors,
            "harness.setup_lag": self._setup_lag,
            "harness.request_lag": self._request_lag,
            "harness.event_lag": self._reading_lag,
            "harness.control_lag": Histogram.sum_of((self._request_lag, self._reading_lag)),
        }
