"""Scripts on a clock that the test moves, against somebody who speaks when the test says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_ari_sla.callers.detector import SpeechChange
from pytest_ari_sla.callers.meter import figures_of
from pytest_ari_sla.callers.script import EndCall, Perform, Play, ScriptMachine, Utterance
from pytest_ari_sla.callers.steps import dial, hang_up, listen, say, wait

if TYPE_CHECKING:
    from pytest_ari_sla.callers.script import Action
    from pytest_ari_sla.callers.steps import Step

MS = 1_000_000
S = 1000 * MS
SPEECH = np.ones(16_000, np.int16)
UTTERANCE = Utterance(voice=1, starts_ns=100 * MS, ends_ns=900 * MS)


class Talker:
    """A script that runs, a call answered at time 0, and what it has wanted so far."""

    def __init__(self, *steps: Step) -> None:
        self.machine = ScriptMachine(steps, dict.fromkeys(range(len(steps)), UTTERANCE), 0)
        self.actions: list[Action] = []
        self.now_ns = 0
        self.pass_until(0)

    def pass_until(self, moment_ns: int) -> None:
        """Let time pass, asking whenever the machine wants to be asked; what it says begins 5 ms later."""
        while True:
            actions = self.machine.advance(self.now_ns)
            self.actions += actions
            for action in actions:
                if isinstance(action, Play) and action.utterance is not None:
                    self.machine.said(self.now_ns + 5 * MS)
            if self.now_ns >= moment_ns:
                return
            self.now_ns = min(moment_ns, max(self.now_ns + MS, self.machine.deadline_ns))

    def hear(self, begin_ns: int, end_ns: int | None = None) -> None:
        """Let the other side speak; what the detector says comes 100 ms, at an end 250 ms, after the fact."""
        self.pass_until(begin_ns + 100 * MS)
        self.machine.heard(SpeechChange(0, True, begin_ns))
        if end_ns is not None:
            self.pass_until(end_ns + 250 * MS)
            self.machine.heard(SpeechChange(0, False, end_ns))
        self.pass_until(self.now_ns)

    def has_ended(self) -> bool:
        """Whether the script is over."""
        return self.machine.is_over

    @property
    def said_at_ns(self) -> list[int]:
        """When our speech began."""
        return [note.at_ns for note in self.machine.notes if note.what == "said"]


def test_a_greeting_is_heard_out_and_timed_from_the_answer() -> None:
    """A pause shorter than the silence that ends a turn is part of it."""
    talker = Talker(listen(silence="700ms"), hang_up())
    talker.hear(400 * MS, 1500 * MS)
    talker.hear(2000 * MS, 3000 * MS)
    talker.pass_until(3690 * MS)
    assert not talker.has_ended()
    talker.pass_until(3701 * MS)
    assert talker.has_ended()
    assert talker.actions == [EndCall()]
    assert (talker.machine.failure, talker.machine.talk.greeting) == ("", 400 * MS)
    assert talker.machine.talk.dead_air == 500 * MS


def test_a_word_that_is_over_when_it_is_told_of_has_been_heard() -> None:
    """Both come at once where the load generator was busy."""
    talker = Talker(listen(within="2s"), hang_up())
    talker.machine.heard(SpeechChange(0, True, 400 * MS))
    talker.machine.heard(SpeechChange(0, False, 600 * MS))
    talker.pass_until(5 * S)
    assert talker.machine.failure == ""


def test_a_turn_lasts_from_the_end_of_our_speech_to_the_beginning_of_theirs() -> None:
    """To where speech is within what is said, not to the edges of the file."""
    talker = Talker(say(SPEECH), listen(), hang_up())
    talker.hear(1700 * MS, 2500 * MS)
    talker.pass_until(4 * S)
    assert talker.machine.talk.turns == [1700 * MS - 905 * MS]
    assert talker.machine.talk.greeting is None
    assert talker.said_at_ns == [105 * MS]
    assert [action.utterance for action in talker.actions if isinstance(action, Play)] == [UTTERANCE, None]


def test_barging_in_waits_for_speech_and_measures_until_it_has_really_stopped() -> None:
    """A pause for breath is no stop."""
    talker = Talker(say(SPEECH, over=True, after="500ms"), hang_up())
    talker.hear(1 * S)
    talker.pass_until(1_500 * MS)
    assert isinstance(talker.actions[0], Play)
    talker.machine.heard(SpeechChange(0, False, 1_700 * MS))
    talker.machine.heard(SpeechChange(0, True, 1_900 * MS))
    talker.pass_until(2_300 * MS)
    talker.machine.heard(SpeechChange(0, False, 2_100 * MS))
    # Only then it is known that nothing began in these 500 ms.
    talker.pass_until(2_740 * MS)
    assert not talker.has_ended()
    talker.pass_until(2_760 * MS)
    assert talker.has_ended()
    assert talker.machine.talk.barge_ins == [2_100 * MS - talker.said_at_ns[0]]
    assert talker.machine.talk.talk_over == 0


@pytest.mark.parametrize(
    ("stops_ms", "goes_on_ms", "barge_ins_ms"),
    [
        (600, 900, [600]),  # they answer 100 ms after our last word
        (200, 690, []),  # they go on before it: a pause for breath
        (200, 710, [200]),  # longer than that: they had stopped, and speak over us again
        (810, 1300, []),  # they did not stop before it was over: that is no answer to it
    ],
)
def test_who_answers_at_once_when_interrupted_has_stopped_and_who_only_pauses_has_not(
    stops_ms: int, goes_on_ms: int, barge_ins_ms: list[int]
) -> None:
    """Our own speech lasts from 0 to 800 ms: an answer comes behind it."""
    talker = Talker(say(SPEECH, over=True, after="0ms", within="2s"), hang_up())
    talker.hear(1 * S)
    starts_ns = talker.now_ns + 105 * MS
    for moment_ms, speaks in ((stops_ms, False), (goes_on_ms, True)):
        talker.pass_until(starts_ns + moment_ms * MS + 100 * MS)
        talker.machine.heard(SpeechChange(0, speaks, starts_ns + moment_ms * MS))
    talker.pass_until(starts_ns + 1900 * MS)
    assert talker.has_ended() is bool(barge_ins_ms)
    assert talker.machine.talk.barge_ins == [moment_ms * MS for moment_ms in barge_ins_ms]


def test_who_falls_silent_just_in_time_has_stopped_in_time() -> None:
    """Whether that is for good is known only later."""
    for stops_ms, failed in ((1950, False), (2050, True)):
        talker = Talker(say(SPEECH, over=True, after="0ms", within="2s"), hang_up())
        talker.hear(1 * S)
        starts_ns = talker.now_ns + 105 * MS
        talker.pass_until(starts_ns + stops_ms * MS + 40 * MS)
        talker.machine.heard(SpeechChange(0, False, starts_ns + stops_ms * MS))
        talker.pass_until(starts_ns + 4 * S)
        assert bool(talker.machine.failure) is failed
        assert talker.machine.talk.barge_ins == ([] if failed else [stops_ms * MS])


def test_lost_packets_are_no_silence_that_ends_a_turn_or_a_barge_in() -> None:
    """The end that was told while nothing came is taken back, and with it all that would follow from it."""
    talker = Talker(say(SPEECH, over=True, after="0ms", within="2s"), listen(), hang_up())
    talker.hear(1 * S)
    starts_ns = talker.now_ns + 105 * MS
    talker.pass_until(starts_ns + 850 * MS)
    talker.machine.heard(SpeechChange(0, False, starts_ns + 600 * MS))
    talker.pass_until(starts_ns + 1000 * MS)
    talker.machine.heard(SpeechChange(0, True, starts_ns + 940 * MS, goes_on=True))
    assert (talker.machine.speaks, talker.machine.changed_ns) == (True, 1 * S)
    talker.pass_until(starts_ns + 1500 * MS)
    talker.machine.heard(SpeechChange(0, False, starts_ns + 1300 * MS))
    talker.pass_until(starts_ns + 4 * S)
    assert talker.machine.talk.barge_ins == [1300 * MS]
    assert talker.machine.talk.turns == []
    assert any("0.3 s of packets were lost, and no silence" in note.detail for note in talker.machine.notes)


def test_a_turn_that_packets_were_lost_at_the_end_of_is_doubtful() -> None:
    """The application may have spoken while they were lost."""
    talker = Talker(say(SPEECH), listen(), hang_up())
    talker.pass_until(1800 * MS)
    talker.machine.heard(SpeechChange(0, True, 1700 * MS, unheard_ns=240 * MS))
    assert talker.machine.talk.unheard == [240 * MS]
    assert any(note.detail.startswith("795 ms, or up to 240 ms less") for note in talker.machine.notes)


def test_what_is_said_over_somebody_is_said_once() -> None:
    """However long they go on: voices sound over and over until they are told to be silent."""
    talker = Talker(say(SPEECH, over=True, after="0ms", within="9s"), hang_up())
    talker.hear(1 * S)
    talker.pass_until(3 * S)
    assert [action.utterance for action in talker.actions if isinstance(action, Play)] == [UTTERANCE, None]


def test_who_has_stopped_and_answers_has_stopped_though_both_are_told_of_late() -> None:
    """The load generator was busy meanwhile."""
    talker = Talker(say(SPEECH, over=True, after="0ms"), listen(), hang_up())
    talker.hear(1 * S)
    (starts_ns,) = [talker.now_ns + 105 * MS]
    talker.pass_until(talker.now_ns + 50 * MS)
    talker.machine.heard(SpeechChange(0, False, starts_ns + 60 * MS))
    talker.machine.heard(SpeechChange(0, True, starts_ns + 1_600 * MS))
    talker.pass_until(starts_ns + 2 * S)
    assert talker.machine.talk.barge_ins == [60 * MS]
    assert talker.machine.talk.turns == [800 * MS]


def test_speaking_while_we_do_is_talk_over() -> None:
    """Counted where both speak, and only there; also where that is no answer to anything."""
    talker = Talker(say(SPEECH), hang_up())
    talker.hear(400 * MS, 600 * MS)
    talker.pass_until(2 * S)
    assert talker.machine.talk.talk_over == 200 * MS
    assert figures_of(talker.machine.talk) == {"talk_over": 0.2}


def test_a_greeting_may_come_after_a_pause_of_ours() -> None:
    """It is the first speech as long as we have said nothing, and pressed nothing."""
    for first, greeting in ((wait("1s"), 1_500 * MS), (dial("1"), None)):
        talker = Talker(first, listen(), hang_up())
        talker.hear(1_500 * MS, 2_500 * MS)
        talker.pass_until(4 * S)
        assert talker.has_ended()
        assert talker.machine.talk.greeting == greeting


@pytest.mark.parametrize(
    ("steps", "speech", "words"),
    [
        (
            [listen(within="5s")],
            (),
            "nothing was heard for 5.0 s: the application answered, and was silent for the whole call",
        ),
        (
            [listen(), listen(within="2s")],
            (S, 2 * S),
            "step 2 of 2, listen(within=2s): nothing was heard for 2.0 s; before that, 1.0 s of speech was heard",
        ),
        ([listen(most="3s")], (S, None), "step 1 of 1, listen(within=10s): they spoke for more than 3.0 s"),
        (
            [say(SPEECH, over=True, within="2s")],
            (S, None),
            "step 1 of 1, say(16000 samples, over=True): they did not stop when interrupted: 2.0 s on they still spoke",
        ),
        (
            [say(SPEECH, over=True, within="2s")],
            (),
            "step 1 of 1, say(16000 samples, over=True): nothing was heard for 2.0 s to be interrupted",
        ),
        ([hang_up(by="them", within="3s")], (), "the other side did not hang up; nothing but silence was heard"),
    ],
)
def test_a_script_that_cannot_go_on_says_where_and_what_was_heard_instead(
    steps: list[Step], speech: tuple[Any, ...], words: str
) -> None:
    """Each step has its time."""
    talker = Talker(*steps)
    if speech:
        talker.hear(*speech)
    talker.pass_until(20 * S)
    assert words in talker.machine.failure
    assert talker.machine.timed_out
    assert talker.actions[-1] == EndCall()


def test_who_acts_on_the_last_key_at_once_has_not_hung_up_too_early() -> None:
    """The key still sounds then, and what follows is that they hang up; at any other step it is too early."""
    for steps, failed in (
        ((dial("#"), hang_up(by="them")), False),
        ((dial("#"), listen(), hang_up(by="them")), True),
        ((dial("#"),), True),
    ):
        talker = Talker(*steps)
        talker.pass_until(20 * MS)
        talker.machine.hung_up("cause 16 Normal Clearing", 30 * MS)
        assert bool(talker.machine.failure) is failed


def test_being_hung_up_in_mid_script_tells_when_why_and_what_was_heard() -> None:
    """Unless that is what the script waits for."""
    talker = Talker(listen(), hang_up(by="them"))
    talker.hear(300 * MS, 1300 * MS)
    talker.machine.hung_up("cause 16 Normal Clearing", 2 * S)
    assert talker.machine.failure == (
        "step 1 of 2, listen(within=10s): the other side hung up 2.0 s after the answer (cause 16 Normal Clearing); "
        "until then 1.0 s of speech was heard, and then 0.7 s of silence"
    )
    assert not talker.machine.timed_out
    expected = Talker(hang_up(by="them"))
    expected.machine.hung_up("cause 16 Normal Clearing", 2 * S)
    assert (expected.machine.is_over, expected.machine.failure) == (True, "")


def test_a_step_of_a_teams_own_is_waited_for() -> None:
    """And what it raises ends the script with its words."""

    def check(caller: object) -> None:
        del caller

    talker = Talker(wait("1s"), check, dial("1"))
    talker.pass_until(1001 * MS)
    assert talker.actions == [Perform(check)]
    talker.machine.performed()
    talker.pass_until(1100 * MS)
    assert isinstance(talker.actions[-1], Play)
    failing = Talker(check)
    failing.machine.performed("ValueError: no account")
    failing.pass_until(MS)
    assert failing.machine.failure == "step 1 of 1, check: ValueError: no account"


def test_speech_that_never_begins_is_our_own_fault() -> None:
    """The order was given, and the load generator did not carry it out."""
    machine = ScriptMachine([say(SPEECH)], {0: UTTERANCE}, 0)
    machine.advance(0)
    machine.advance(3 * S)
    assert "the load generator did not begin to speak" in machine.failure
