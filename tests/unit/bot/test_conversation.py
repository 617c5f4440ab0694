"""The bot's manners, frame by frame."""

from __future__ import annotations

import pytest

from pytest_ari_sla.bot.application import BotPlan
from pytest_ari_sla.bot.conversation import FRAME_NS, Conversation, Manners, spoken_frames
from pytest_ari_sla.bot.program import with_fault
from pytest_ari_sla.errors import UsageError

MS = 1_000_000
S = 1000 * MS
SPEECH = spoken_frames(1.0, 9)


class Caller:
    """Somebody who talks to the bot, in a time of their own."""

    def __init__(self, manners: Manners) -> None:
        self.log: list[tuple[str, int]] = []
        self.heard: list[bytes] = []
        self.now_ns = 0
        self._bot = Conversation(manners, 0, lambda what, at_ns: self.log.append((what, at_ns)))

    def press(self, digit: str) -> None:
        """Press a key."""
        self._bot.press(digit, self.now_ns)

    def pass_time(self, duration_ns: int, *, speaking: bool = False) -> None:
        """Let time pass, speaking or not."""
        for number in range(duration_ns // FRAME_NS):
            self._bot.hear(SPEECH[number % len(SPEECH)] if speaking else b"\xff" * 160, self.now_ns)
            self.heard.append(self._bot.frame(self.now_ns))
            self.now_ns += FRAME_NS


def test_it_greets_answers_and_tells_when() -> None:
    """A set time after the answer, and after the caller's last word."""
    caller = Caller(Manners(greet_after_ns=300 * MS, answer_after_ns=800 * MS))
    caller.pass_time(3 * S)
    caller.pass_time(1 * S, speaking=True)
    caller.pass_time(4 * S)
    assert caller.log == [
        ("began", 300 * MS),
        ("ended", 1800 * MS),
        ("caller_began", 3 * S),
        ("caller_ended", 4 * S),
        ("began", 4 * S + 800 * MS),
        ("ended", 6 * S + 800 * MS),
    ]


@pytest.mark.parametrize("ignores", [False, True])
def test_it_stops_when_it_is_interrupted_unless_it_ignores_that(*, ignores: bool) -> None:
    """With the third loud frame: two may be a click."""
    caller = Caller(Manners(ignores_barge_in=ignores))
    caller.pass_time(1 * S)
    caller.pass_time(1 * S, speaking=True)
    stopped = dict(caller.log).get("interrupted")
    assert stopped == (None if ignores else 1 * S + 2 * FRAME_NS)


def test_one_that_ignores_barge_in_says_all_that_it_had_to_say_before_it_answers() -> None:
    """An answer in place of the rest would end what was interrupted earlier, as if it had stopped."""
    caller = Caller(Manners(ignores_barge_in=True))
    caller.pass_time(1 * S)
    caller.pass_time(1 * S, speaking=True)
    caller.pass_time(10 * S)
    talk = [(what, at_ns) for what, at_ns in caller.log if what in ("began", "ended")]
    assert talk == [("began", 300 * MS), ("ended", 9300 * MS), ("began", 9300 * MS), ("ended", 11300 * MS)]


def test_a_silent_one_says_nothing() -> None:
    """It listens all the same."""
    caller = Caller(Manners(is_silent=True))
    caller.pass_time(1 * S, speaking=True)
    caller.pass_time(2 * S)
    assert [what for what, _ in caller.log] == ["caller_began", "caller_ended"]
    assert len(set(caller.heard)) == 1


def test_faults_are_named_on_the_command_line() -> None:
    """Each changes what it says, and no other."""
    plan = BotPlan("http://a/ari", "u", "p")
    assert with_fault(plan, "slow:300ms").manners.answer_after_ns == plan.manners.answer_after_ns + 300 * MS
    assert with_fault(plan, "silence").manners.is_silent
    assert with_fault(plan, "ignore-barge-in").manners.ignores_barge_in
    assert with_fault(plan, "hang-up:2s").hang_up_after_s == 2
    assert with_fault(plan, "leak").leaks
    assert with_fault(plan, "crash:3").crashes_after == 3
    for wrong in ("slow", "crash", "crash:x", "fly"):
        with pytest.raises(UsageError):
            with_fault(plan, wrong)


def test_a_key_is_answered_like_a_word() -> None:
    """It comes as an event of Asterisk, and not as sound."""
    caller = Caller(Manners(greet_after_ns=300 * MS, answer_after_ns=800 * MS))
    caller.pass_time(3 * S)
    caller.press("1")
    caller.pass_time(2 * S)
    assert caller.log[2:5] == [("key 1", 3 * S), ("caller_began", 3 * S), ("caller_ended", 3 * S)]
    assert caller.log[5] == ("began", 3 * S + 800 * MS)
