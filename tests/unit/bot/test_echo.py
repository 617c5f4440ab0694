"""The echo, frame by frame."""

from __future__ import annotations

import pytest

from pytest_ari_sla.bot.application import BotPlan
from pytest_ari_sla.bot.conversation import FRAME_NS, SILENT_FRAME, spoken_frames
from pytest_ari_sla.bot.echo import Echo
from pytest_ari_sla.bot.program import with_fault
from pytest_ari_sla.errors import UsageError

MS = 1_000_000
S = 1000 * MS
SPEECH = spoken_frames(1.0, 9)
QUIET = [SILENT_FRAME] * 50


def talk(clips_ns: int = 0) -> tuple[list[bytes], list[tuple[str, int]]]:
    """Speak twice for a second, after a second of silence each; return what came back, and the log."""
    log: list[tuple[str, int]] = []
    echo = Echo(lambda what, at_ns: log.append((what, at_ns)), clips_ns)
    back = []
    for number, frame in enumerate([*QUIET, *SPEECH, *QUIET, *SPEECH, *QUIET]):
        back.append(echo.hear(frame, number * FRAME_NS))
        assert echo.frame(number * FRAME_NS) is None
    return back, log


def test_it_sends_back_at_once_what_it_hears_and_tells_the_truth() -> None:
    """Byte for byte: probes come back as well."""
    back, log = talk()
    assert back == [*QUIET, *SPEECH, *QUIET, *SPEECH, *QUIET]
    assert log == [
        (what, at_ns + later_ns)
        for later_ns in (1 * S, 3 * S)
        for what, at_ns in (("caller_began", 0), ("began", 0), ("caller_ended", 1 * S), ("ended", 1 * S))
    ]


def test_one_that_clips_swallows_the_beginning_of_all_that_is_said() -> None:
    """And says in its log from when on it sent it back."""
    back, log = talk(200 * MS)
    clipped = [*QUIET[:10], *SPEECH[10:]]
    assert back == [*QUIET, *clipped, *QUIET, *clipped, *QUIET]
    assert [at_ns for what, at_ns in log if what == "began"] == [1200 * MS, 3200 * MS]


def test_an_echo_has_a_fault_of_its_own() -> None:
    """Whoever talks has none of that kind."""
    plan = BotPlan("http://a/ari", "u", "p", echoes=True)
    assert with_fault(plan, "clip:200ms").clips_ns == 200 * MS
    with pytest.raises(UsageError, match="clip:TIME"):
        with_fault(BotPlan("http://a/ari", "u", "p"), "clip:200ms")
