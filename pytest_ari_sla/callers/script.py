"""A caller that follows its script: told what is heard and what time it is, it says what to do next. No I/O.

Each kind of step is a generator: it does something, and yields the time at which it wants to be asked again at the
latest; it is asked earlier whenever something is told. All times are ns since the Unix epoch, by the media's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_ari_sla.callers.steps import OWN_STEP_TIMEOUT_NS, Dial, HangUp, Listen, Say, Wait

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pytest_ari_sla.callers.detector import SpeechChange
    from pytest_ari_sla.callers.steps import OwnStep, Step

__all__ = ["Action", "EndCall", "Perform", "Play", "ScriptMachine", "ScriptNote", "Talk", "Utterance"]

FALLEN_SILENT_NS = 500_000_000
"""Somebody who was interrupted, and is silent for so long, has stopped; anything shorter is a pause for breath, unless
our own speech has ended in it: what follows answers that."""

TOLD_AFTER_NS = 150_000_000
"""So late it is told that somebody speaks: three blocks after it began, when all has been read that came by then."""

# A frame of most codecs: an order to speak is carried out with a frame, and nothing tells of that.
LOOK_AGAIN_NS = 20_000_000
PLAY_GRACE_NS = 2_000_000_000
"""An order to speak that has not been carried out after so long never will be."""

_NEVER_NS = 1 << 62


@dataclass(frozen=True)
class Utterance:
    """Something that a caller can say.

    Attributes
    ----------
    voice
        Number of the voice of the load that holds it.
    starts_ns, ends_ns
        When its speech begins and ends, after the voice's beginning.
    levels_db
        (blocks,) How loud its speech is, 10 ms by 10 ms; None where it is no sound.
    """

    voice: int
    starts_ns: int
    ends_ns: int
    # The == of two arrays is an array, which has no truth value.
    levels_db: NDArray[np.float64] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Play:
    """Say something from the next frame on; None: be silent."""

    utterance: Utterance | None


@dataclass(frozen=True)
class EndCall:
    """The script is over, well or badly: hang up."""


@dataclass(frozen=True)
class Perform:
    """Call a step of a team's own, and tell :meth:`ScriptMachine.performed` when it is done."""

    step: OwnStep


Action = Play | EndCall | Perform


@dataclass(frozen=True)
class ScriptNote:
    """An entry of the time line."""

    at_ns: int
    what: str
    detail: str = ""


@dataclass
class Talk:
    """What was measured of one conversation, in ns.

    Attributes
    ----------
    greeting
        From the answer until the first speech of the other side; None where it did not speak first.
    turns
        From each end of our speech until their next speech began.
    barge_ins
        From each beginning of our speech over theirs until they fell silent.
    dead_air
        Their longest silence while we listened.
    talk_over
        For how long they spoke while we did, except where we spoke over them; None where we never spoke.
    clipped
        How much of the beginning of each of our utterances did not come back, where they come back.
    unheard
        Of each time that packets were lost at the end of: for how long. It may be too long by that.
    """

    greeting: int | None = None
    turns: list[int] = field(default_factory=list)
    barge_ins: list[int] = field(default_factory=list)
    dead_air: int | None = None
    talk_over: int | None = None
    clipped: list[int] = field(default_factory=list)
    unheard: list[int] = field(default_factory=list)


class _StepFailed(Exception):
    """A step could not go on; the argument says why."""


class ScriptMachine:
    """One caller.

    Parameters
    ----------
    steps
        What it does.
    utterances
        What it says, by the number of the step (from 0).
    answered_ns
        When the call was answered.

    Attributes
    ----------
    deadline_ns
        When :meth:`advance` is to be called at the latest.
    is_over
        Whether there is nothing more to do.
    failure
        Why the script could not go on, and at which step; empty while it can.
    timed_out
        Whether it was for time that it could not.
    talk
        What was measured.
    spoken
        What was said, and when it began.
    notes
        What happened, for the time line.
    speaks
        Whether the other side speaks.
    changed_ns
        Since when it does, or does not.
    """

    def __init__(self, steps: Sequence[Step], utterances: Mapping[int, Utterance], answered_ns: int) -> None:
        self._steps = steps
        self._utterances = utterances
        self._answered_ns = answered_ns
        self._now_ns = answered_ns
        self._actions: list[Action] = []
        self._number = 0
        self._play_began_ns: int | None = None
        self._awaiting_since_ns: int | None = None
        self._listening_since_ns: int | None = None
        self._performed: str | None = None
        self._spans: list[tuple[int, int]] = []
        self._own_spans: list[tuple[int, int]] = []
        self._running = self._run()
        self.speaks = False
        self.changed_ns = answered_ns
        self.deadline_ns = answered_ns
        self.is_over = False
        self.failure = ""
        self.timed_out = False
        self.talk = Talk()
        self.spoken: list[tuple[int, Utterance]] = []
        self.notes: list[ScriptNote] = []

    # --- what is told ---

    def heard(self, change: SpeechChange) -> None:
        """Take note that the other side began, or has stopped, to speak; or that it had not stopped."""
        since_ns = change.at_ns
        if change.goes_on and self._spans:
            since_ns, ended_ns = self._spans.pop()
            lost = f"{_s(change.at_ns - ended_ns)} of packets were lost, and no silence"
            self.notes.append(ScriptNote(change.at_ns, "heard", f"the same speech goes on: {lost}"))
        elif change.speaks:
            self._take_start(change)
        else:
            self._spans.append((self.changed_ns, change.at_ns))
            self.notes.append(ScriptNote(change.at_ns, "heard", f"{_s(change.at_ns - self.changed_ns)} of speech"))
        self.speaks, self.changed_ns = change.speaks, since_ns

    def _take_start(self, change: SpeechChange) -> None:
        at_ns, times = change.at_ns, 0
        before = self._steps[: self._number]
        is_first = not self._spans and not self._own_spans and all(isinstance(step, Listen | Wait) for step in before)
        if is_first and self.talk.greeting is None:
            # Early media speaks before the answer.
            self.talk.greeting, times = max(0, at_ns - self._answered_ns), 1
        if self._listening_since_ns is not None:
            quiet_since_ns = max(self.changed_ns, self._listening_since_ns)
            self.talk.dead_air = max(self.talk.dead_air or 0, at_ns - quiet_since_ns)
        # Speech that began before ours had ended is no answer to it.
        if self._awaiting_since_ns is not None and at_ns >= self._awaiting_since_ns:
            turn_ns, times = at_ns - self._awaiting_since_ns, times + 1
            self.talk.turns.append(turn_ns)
            self.notes.append(ScriptNote(at_ns, "turn", f"{turn_ns / 1e6:.0f} ms{_less(change.unheard_ns)}"))
            self._awaiting_since_ns = None
        if change.unheard_ns:
            self.talk.unheard += [change.unheard_ns] * times

    def said(self, began_ns: int) -> None:
        """Take note when what was last to be said really began."""
        self._play_began_ns = began_ns

    def performed(self, problem: str = "") -> None:
        """Take note that the step of a team's own is done, or why it is not."""
        self._performed = problem

    def hung_up(self, reason: str, now_ns: int) -> None:
        """Take note that the other side has ended the call."""
        if self.is_over:
            return
        self._now_ns = now_ns
        if self._may_hang_up():
            self._end()
        else:
            after = _s(now_ns - self._answered_ns)
            self._fail(f"the other side hung up {after} after the answer ({reason}); until then {self._heard_words()}")

    def _may_hang_up(self) -> bool:
        """Whether the other side may end the call now; a key is acted on while it still sounds."""
        ahead = self._steps[self._number :]
        step = ahead[1] if isinstance(ahead[0], Dial) and len(ahead) > 1 else ahead[0]
        return isinstance(step, HangUp) and step.within_ns is not None

    def advance(self, now_ns: int) -> list[Action]:
        """Let time pass; return what is to be done now."""
        self._now_ns = max(now_ns, self._now_ns)
        if not self.is_over:
            try:
                self.deadline_ns = next(self._running)
            except StopIteration:
                self._end()
            except _StepFailed as problem:
                self._fail(str(problem))
        actions, self._actions = self._actions, []
        return actions

    # --- its end ---

    def _end(self) -> None:
        self._settle()
        self.notes.append(ScriptNote(self._now_ns, "script", "completed"))

    def _fail(self, why: str) -> None:
        self.failure = f"step {self._number + 1} of {len(self._steps)}, {_words(self._steps[self._number])}: {why}"
        self._settle()
        self.notes.append(ScriptNote(self._now_ns, "script", self.failure))

    def _settle(self) -> None:
        self.is_over = True
        self.deadline_ns = _NEVER_NS
        self._actions.append(EndCall())
        theirs = [*self._spans, *([(self.changed_ns, self._now_ns)] if self.speaks else [])]
        if self._own_spans or self.talk.barge_ins:
            self.talk.talk_over = sum(
                max(0, min(ours[1], their[1]) - max(ours[0], their[0])) for ours in self._own_spans for their in theirs
            )

    def _time_out(self, why: str) -> _StepFailed:
        self.timed_out = True
        if self._listening_since_ns is not None and not self.speaks:
            # Elsewhere silence is measured when speech ends it; nothing has ended this one.
            silent_ns = self._now_ns - max(self.changed_ns, self._listening_since_ns)
            self.talk.dead_air = max(self.talk.dead_air or 0, silent_ns)
        return _StepFailed(why)

    def _heard_words(self) -> str:
        """Return what was heard in the whole call."""
        speech_ns = sum(end - begin for begin, end in self._spans)
        if self.speaks:
            return f"{_s(speech_ns + self._now_ns - self.changed_ns)} of speech was heard, and it had not ended"
        if not self._spans:
            return "nothing but silence was heard"
        return f"{_s(speech_ns)} of speech was heard, and then {_s(self._now_ns - self.changed_ns)} of silence"

    # --- the steps ---

    def _run(self) -> Generator[int, None, None]:
        for number, step in enumerate(self._steps):
            self._number = number
            self.notes.append(ScriptNote(self._now_ns, "step", f"{number + 1}: {_words(step)}"))
            match step:
                case Say(over=True):
                    yield from self._say_over(step)
                case Say() | Dial():
                    yield from self._say()
                case Listen():
                    yield from self._listen(step)
                case Wait():
                    yield from self._until(self._now_ns + step.duration_ns)
                case HangUp():
                    if step.within_ns is None:
                        return
                    yield from self._until(self._now_ns + step.within_ns)
                    raise self._time_out(f"the other side did not hang up; {self._heard_words()}")
                case _:
                    yield from self._perform(step)

    def _until(self, moment_ns: int) -> Generator[int, None, None]:
        while self._now_ns < moment_ns:
            yield moment_ns

    def _begin_to_say(self) -> Generator[int, None, tuple[int, int]]:
        """Begin to speak; return when our speech begins and ends."""
        utterance = self._utterances[self._number]
        self._play_began_ns = None
        self._actions.append(Play(utterance))
        ordered_ns = self._now_ns
        while (began_ns := self._began_ns()) is None:
            if self._now_ns - ordered_ns > PLAY_GRACE_NS:
                raise _StepFailed("the load generator did not begin to speak: it is overloaded")
            yield self._now_ns + LOOK_AGAIN_NS
        self.spoken.append((began_ns, utterance))
        # What is told late has happened in its time: a turn counts from here on, whenever that is asked.
        self._awaiting_since_ns = began_ns + utterance.ends_ns
        return began_ns + utterance.starts_ns, began_ns + utterance.ends_ns

    # A method: mypy holds that an attribute set to None stays None for a whole loop.
    def _began_ns(self) -> int | None:
        return self._play_began_ns

    def _end_saying(self, starts_ns: int, ends_ns: int) -> None:
        self._actions.append(Play(None))
        self.notes.append(ScriptNote(starts_ns, "said", f"{_s(ends_ns - starts_ns)} of speech"))

    def _say(self) -> Generator[int, None, None]:
        # Whoever speaks again no longer waits for the answer to what was said before.
        self._awaiting_since_ns = None
        starts_ns, ends_ns = yield from self._begin_to_say()
        self._own_spans.append((starts_ns, ends_ns))
        yield from self._until(ends_ns)
        self._end_saying(starts_ns, ends_ns)

    def _say_over(self, step: Say) -> Generator[int, None, None]:
        yield from self._await_speech(step.within_ns, "to be interrupted")
        yield from self._until(self.changed_ns + step.after_ns)
        starts_ns, ends_ns = yield from self._begin_to_say()
        yield from self._until(ends_ns)
        self._end_saying(starts_ns, ends_ns)
        # Not before our own speech is over: until then they may be interrupted still.
        limit_ns = max(starts_ns + step.within_ns, ends_ns)
        while (silent_ns := self._fell_silent_ns(starts_ns, ends_ns)) is None:
            # Whoever is silent by then may have stopped in time.
            if self._now_ns >= limit_ns and (self.speaks or self.changed_ns > limit_ns):
                raise self._time_out(f"they did not stop when interrupted: {_s(step.within_ns)} on they still spoke")
            yield limit_ns if self.speaks else self.changed_ns + FALLEN_SILENT_NS + TOLD_AFTER_NS
        # Whoever stopped before ours could be heard was not interrupted: that is no barge-in time.
        if silent_ns > starts_ns:
            self.talk.barge_ins.append(silent_ns - starts_ns)
            detail = f"they fell silent after {(silent_ns - starts_ns) / 1e6:.0f} ms"
            self.notes.append(ScriptNote(silent_ns, "barge-in", detail))

    def _fell_silent_ns(self, starts_ns: int, ends_ns: int) -> int | None:
        """Return when they had stopped for good, though they may speak again by now; None while they have not.

        ``starts_ns``, ``ends_ns``: when we spoke.
        """
        for began_ns, ended_ns, is_over in self._silences():
            is_answered = is_over and began_ns <= ends_ns <= ended_ns
            if ended_ns > starts_ns and (is_answered or ended_ns - began_ns >= FALLEN_SILENT_NS):
                return began_ns
        return None

    def _silences(self) -> Iterator[tuple[int, int, bool]]:
        """Yield when each silence behind speech of theirs began, until when it is known to last, and if it is over."""
        speech = [*(began_ns for began_ns, _ in self._spans), *([self.changed_ns] if self.speaks else [])]
        for place, (_, began_ns) in enumerate(self._spans, 1):
            is_over = place < len(speech)
            yield began_ns, speech[place] if is_over else self._now_ns - TOLD_AFTER_NS, is_over

    def _listen(self, step: Listen) -> Generator[int, None, None]:
        self._listening_since_ns = self._now_ns
        yield from self._await_speech(step.within_ns, "")
        limit_ns = self._now_ns + step.most_ns
        while self.speaks or self._now_ns - self.changed_ns < step.silence_ns:
            if self._now_ns >= limit_ns:
                raise self._time_out(f"they spoke for more than {_s(step.most_ns)}")
            yield limit_ns if self.speaks else min(limit_ns, self.changed_ns + step.silence_ns)
        self._listening_since_ns = None

    def _await_speech(self, within_ns: int, what_for: str) -> Generator[int, None, None]:
        limit_ns = self._now_ns + within_ns
        # Speech that was over before this step began is not what it waits for.
        spans = len(self._spans)
        # Somebody who said a short word may be told of when that is over already.
        while not self.speaks and len(self._spans) == spans:
            if self._now_ns >= limit_ns:
                nothing = f"nothing was heard for {_s(within_ns)}{' ' * bool(what_for)}{what_for}"
                if not self._spans:
                    raise self._time_out(f"{nothing}: the application answered, and was silent for the whole call")
                raise self._time_out(f"{nothing}; before that, {self._heard_words()}")
            yield limit_ns

    def _perform(self, step: OwnStep) -> Generator[int, None, None]:
        # It may still hold the result of an own step before this one.
        self._performed = None
        self._actions.append(Perform(step))
        limit_ns = self._now_ns + OWN_STEP_TIMEOUT_NS
        while (problem := self._problem()) is None:
            if self._now_ns >= limit_ns:
                raise self._time_out(f"it was not done after {_s(OWN_STEP_TIMEOUT_NS)}")
            yield limit_ns
        if problem:
            raise _StepFailed(problem)

    def _problem(self) -> str | None:
        return self._performed


def _words(step: Step) -> str:
    return str(step) if isinstance(step, Say | Listen | Dial | Wait | HangUp) else getattr(step, "__name__", repr(step))


def _less(unheard_ns: int) -> str:
    return f", or up to {unheard_ns / 1e6:.0f} ms less: packets were lost" if unheard_ns else ""


def _s(duration_ns: int) -> str:
    return f"{duration_ns / 1e9:.1f} s"
