"""How soon a call hears something, from what is known of its legs."""

from __future__ import annotations

import pytest

from pytest_ari_sla.load.calls.first_packet import first_packet_delay_ns
from pytest_ari_sla.media.call_media import CallMedia
from pytest_ari_sla.media.measuring.measurer import LegReport

MS = 1_000_000
UP_NS = 1_700_000_000_000 * MS
DUE_NS = UP_NS + 15 * MS

ECHO = CallMedia((0,), ())
PAIR = CallMedia((1, 0), ())
CONFERENCE = CallMedia((-1, -1, -1), (), audio_legs=((1, 2), (0, 2), (0, 1)))
HOLD = CallMedia((1, -1), (), audio_legs=((1,), (0,)))


def report(arrival_ns: int, due_ns: int = DUE_NS) -> LegReport:
    """Report on a leg."""
    return LegReport(arrival_ns, due_ns, sent=1, received=bool(arrival_ns), values={}, delay_course=[])


def delay_ms(media: CallMedia, *reports: LegReport) -> float | None:
    """Return the delay of a call."""
    delay_ns = first_packet_delay_ns(media, media.heard_leg, dict(enumerate(reports)), UP_NS)
    return None if delay_ns is None else delay_ns / MS


def test_an_echo_is_timed_from_our_first_packet() -> None:
    """How long we waited for our own slot is no delay of Asterisk's."""
    assert delay_ms(ECHO, report(DUE_NS + 6 * MS)) == 6


def test_a_leg_of_a_pair_is_timed_from_the_first_packet_of_the_other() -> None:
    """Its own has nothing to do with what it hears."""
    late, early = DUE_NS + 4 * MS, DUE_NS - 4 * MS
    assert delay_ms(PAIR, report(late + MS, early), report(early + 2 * MS, late)) == 2


def test_what_a_bridge_sends_of_its_own_is_timed_from_when_the_call_was_up() -> None:
    """A mixing bridge sends silence to those who join, whatever others say."""
    assert delay_ms(CONFERENCE, *[report(UP_NS + 3 * MS)] * 3) == 3


def test_a_packet_from_before_the_call_was_complete_took_no_time() -> None:
    """It is no reason for a negative delay."""
    assert delay_ms(CONFERENCE, *[report(UP_NS - 3 * MS)] * 3) == 0


@pytest.mark.parametrize(
    ("media", "arrivals_ms", "expected"),
    [
        (ECHO, [None], None),
        (PAIR, [20, None], None),
        (CONFERENCE, [20, 20, None], None),
        (HOLD, [20, None], 5),
        (HOLD, [None, 20], None),
    ],
    ids=["an echo", "one end of a pair", "one of a conference", "a party on hold is", "its other party"],
)
def test_a_leg_that_should_have_heard_something_and_did_not_makes_the_call_deaf(
    media: CallMedia, arrivals_ms: list[int | None], expected: float | None
) -> None:
    """But one that is on hold hears nothing on purpose."""
    reports = [report(0 if at is None else UP_NS + at * MS) for at in arrivals_ms]
    assert delay_ms(media, *reports) == expected
