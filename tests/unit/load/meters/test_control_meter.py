from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING, Any

import pytest

from pytest_ari_sla.ari.messages import decode_event
from pytest_ari_sla.load.meters.control_meter import ControlMeter
from pytest_ari_sla.metrics.histogram import NEVER

if TYPE_CHECKING:
    from pytest_ari_sla.ari.messages import Event

DESTROYED = (
    b'{"type": "ChannelDestroyed", "application": "a", "timestamp": "2026-01-02T03:04:05.678+0000", "cause": 16, '
    b'"cause_txt": "Normal Clearing", "channel": {"id": "call-1-a", "name": "UnicastRTP/x", "state": "Up", '
    b'"caller": {"name": "", "number": ""}, "connected": {"name": "", "number": ""}, "accountcode": "", '
    b'"dialplan": {"context": "default", "exten": "s", "priority": 1}, '
    b'"creationtime": "2026-01-02T03:04:05.000+0000", "language": "en"}}'
)


class Story:
    """A call that notes what happens to it."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str]] = []

    def note(self, source: str, what: str) -> None:
        """Note it."""
        self.notes.append((source, what))


def destroyed() -> Event:
    """Return the event of a channel's end."""
    return decode_event(DESTROYED)


@pytest.mark.parametrize(("status", "answered"), [(200, 1), (204, 1), (404, 1), (409, 0), (500, 0), (0, 0)])
def test_only_answers_have_a_time(status: int, answered: int) -> None:
    """A failed request has failed; "not found" is an answer, for what is being removed may be gone."""
    meter = ControlMeter()
    meter.enter_call()
    meter.on_request("DELETE", "/channels/{channelId}", 1_000, status, queued_ns=5, uncertainty_ns=9)
    values: dict[str, Any] = meter.values()
    assert values["ari.request"].count == answered
    assert values["ari.errors"] == 1 - answered


def test_a_first_packet_belongs_to_when_its_call_was_up() -> None:
    """It is known at the call's end; told once, and the totals hold it all the same."""
    meter = ControlMeter()
    meter.note_first_packet(7, 20_000_000)
    meter.note_first_packet(9, NEVER)
    told = [
        (at, values.histogram("first_packet").count, values.count("calls.deaf")) for at, values in meter.take_dated()
    ]
    assert told == [(7, 1, 0), (9, 1, 1)]
    assert meter.take_dated() == []
    values: dict[str, Any] = meter.values()
    assert (values["first_packet"].count, values["calls.deaf"]) == (2, 1)


def test_the_lag_of_events_is_never_negative() -> None:
    """Two machines' clocks differ; an event without a time stamp has no lag."""
    meter, story = ControlMeter(), Story()
    followed: Any = story
    meter.follow("call-1-a", followed)
    for lag_ns in (-5, 7, None):
        meter.on_event(destroyed(), 0, lag_ns, uncertainty_ns=9)
    values: dict[str, Any] = meter.values()
    assert (values["ari.event_lag"].count, values["ari.event_lag"].min, values["ari.event_lag"].max) == (2, 0, 7)
    assert values["ari.event_lag"].clipped == 0


def test_what_belongs_to_no_call_is_not_measured() -> None:
    """Neither the preflight's requests and events nor those of the clean-up; calls run in tasks of their own."""
    meter = ControlMeter()

    def request(*, of_a_call: bool) -> None:
        if of_a_call:
            meter.enter_call()
        meter.on_request("GET", "/channels", 1_000, 200, queued_ns=0, uncertainty_ns=3)
        meter.on_request("GET", "/channels", 1_000, 500, queued_ns=0, uncertainty_ns=3)

    for of_a_call in (True, False):
        Context().run(request, of_a_call=of_a_call)
    meter.on_event(destroyed(), 0, 7, uncertainty_ns=9)
    values: dict[str, Any] = meter.values()
    assert (values["ari.request"].count, values["ari.errors"], values["ari.event_lag"].count) == (1, 1, 0)
    assert values["harness.control_lag"].count == 2


def test_the_lag_of_each_time_is_kept_by_itself() -> None:
    """Requests, events and set-ups; requests and events also together."""
    meter, story = ControlMeter(), Story()
    followed: Any = story
    meter.follow("call-1-a", followed)
    meter.enter_call()
    meter.on_request("GET", "/channels", 1_000, 200, queued_ns=0, uncertainty_ns=3)
    meter.on_event(destroyed(), 0, 7, uncertainty_ns=9)
    meter.note_setup(1_000, 12)
    values: dict[str, Any] = meter.values()
    lags = {name: (values[name].count, values[name].max) for name in values if name.endswith("_lag")}
    assert lags == {
        "ari.event_lag": (1, 7),
        "harness.setup_lag": (1, 12),
        "harness.request_lag": (1, 3),
        "harness.event_lag": (1, 9),
        "harness.control_lag": (2, 9),
    }


def test_events_enter_the_story_of_their_call_as_long_as_it_lasts() -> None:
    """Nobody else's, and none when the call is over: memory is bounded by calls that are up."""
    meter, ours, theirs = ControlMeter(), Story(), Story()
    stories: Any = {"call-1-a": ours, "call-2-a": theirs}
    for channel, story in stories.items():
        meter.follow(channel, story)
    meter.on_event(destroyed(), 0, None, uncertainty_ns=9)
    meter.forget("call-1-a")
    meter.forget("call-1-a")
    meter.on_event(destroyed(), 0, None, uncertainty_ns=9)
    assert ours.notes == [("ari", "ChannelDestroyed")]
    assert theirs.notes == []
