"""Lets the calls of a load follow their script: brings what is heard to each, and does what each wants."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Protocol

from pytest_ari_sla.callers.clipping import LATEST_NS, LONGEST_NS, LevelMemory, clipped_ns
from pytest_ari_sla.callers.detector import BLOCK_NS
from pytest_ari_sla.callers.listener import SpeechListener
from pytest_ari_sla.callers.meter import ScriptMeter, figures_of
from pytest_ari_sla.callers.script import EndCall, Perform, Play, ScriptMachine, ScriptNote

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_ari_sla.callers.audio import CompiledScript
    from pytest_ari_sla.callers.detector import SpeechChange
    from pytest_ari_sla.callers.script import Action, Utterance
    from pytest_ari_sla.callers.steps import OwnStep
    from pytest_ari_sla.hookspecs.codec import Codec
    from pytest_ari_sla.media.caller_worker import CallerWorker
    from pytest_ari_sla.media.transport import LegEndpoint

__all__ = ["Conductor", "ScriptedCall"]

# The end of a load wakes no call that follows a script: it is asked for this often.
LONGEST_WAIT_S = 1.0

OWN_STEP_END_S = 5.0
"""So long a step of a team's own that is cut short may take to clear up."""

# Nothing tells that a voice began in the same frame as the one before, but that this frame is over.
_FRAME_OVER_NS = 60_000_000

# What came in time may be measured later, while this process has other things to do.
_HEARD_AFTER_NS = 1_000_000_000


class ScriptedCall(Protocol):
    """A call, as its script sees it."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def changed(self) -> asyncio.Event:
        """Set when something has happened to it."""

    def end_reason(self) -> str | None:
        """Return why the other side has ended it; None while it has not."""

    def note(self, source: str, what: str, detail: str = "", at_ns: int | None = None) -> None:
        """Add to its time line; ``at_ns`` is by the media's clock."""


class _Follower:
    """One call and its script; what a step of a team's own sees is this."""

    def __init__(self, call: ScriptedCall, machine: ScriptMachine, now_ns: Callable[[], int]) -> None:
        self._call = call
        self._now_ns = now_ns
        self.machine = machine
        self.awaited_voice_ns: int | None = None
        self.ordered_ns = 0
        self.compared = 0

    @property
    def id(self) -> str:
        return self._call.id

    @property
    def is_heard(self) -> bool:
        return self.machine.speaks

    @property
    def silent_s(self) -> float:
        return 0.0 if self.machine.speaks else (self._now_ns() - self.machine.changed_ns) / 1e9

    def note(self, what: str, detail: str = "") -> None:
        self._call.note("script", what, detail)

    def heard(self, change: SpeechChange) -> None:
        self.machine.heard(change)
        self._call.changed.set()


class Conductor:
    """All scripted calls of a load.

    Parameters
    ----------
    script
        What each of them does.

    Attributes
    ----------
    meter
        What came of them.
    """

    def __init__(self, script: CompiledScript) -> None:
        self._script = script
        self._loop = asyncio.get_running_loop()
        # By leg: what is heard names no call.
        self._followers: dict[int, _Follower] = {}
        self._early: dict[int, list[SpeechChange]] = {}
        self._levels: LevelMemory | None = None
        self.meter = ScriptMeter()

    @property
    def presses_keys(self) -> bool:
        """Whether callers press keys as telephone events."""
        return self._script.presses_keys

    def listener(self, codec: Codec, legs: int, *, hears_itself: bool = False) -> SpeechListener:
        """Return who listens on all legs of the load; ``hears_itself``: what callers say comes back to them."""
        self._levels = LevelMemory(legs) if hears_itself else None
        return SpeechListener(codec, legs, self._tell, self._levels)

    def _tell(self, changes: list[SpeechChange]) -> None:
        """Bring what the measuring thread has heard to the event loop."""
        # call_soon_threadsafe() raises once the loop is closed, and the measuring thread may still have a batch.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, changes)

    def _deliver(self, changes: list[SpeechChange]) -> None:
        for change in changes:
            follower = self._followers.get(change.leg)
            if follower is not None:
                follower.heard(change)
            else:
                # Before the answer, or behind the end: a call that begins takes what is its own.
                self._early.setdefault(change.leg, []).append(change)

    def begin(self, endpoint: LegEndpoint) -> None:
        """Take note that a leg is another call's from now on."""
        # Legs are used again: what came behind the last call's end is not this one's.
        self._early.pop(endpoint.leg, None)

    async def follow(
        self,
        call: ScriptedCall,
        endpoint: LegEndpoint,
        caller: CallerWorker,
        answered_ns: int,
        is_cut_short: Callable[[], bool],
    ) -> tuple[str, dict[str, float]]:
        """Let an answered call follow the script to its end.

        Parameters
        ----------
        call, endpoint
            The call, and its leg, which sends silence already.
        caller
            Its media.
        answered_ns
            When it was answered, by the media's clock.
        is_cut_short
            Tells whether it is to end whatever its script says.

        Returns
        -------
        Why the script could not go on (empty: it could), and the call's own figures.
        """
        machine = ScriptMachine(self._script.steps, self._script.utterances, answered_ns)
        follower = self._followers[endpoint.leg] = _Follower(call, machine, caller.now_ns)
        for change in self._early.pop(endpoint.leg, []):
            machine.heard(change)
        # asyncio itself holds tasks weakly: one that nobody holds may be collected in mid-step.
        tasks: set[asyncio.Task[None]] = set()
        try:
            while not machine.is_over and not is_cut_short():
                self._look_at_voice(follower, endpoint, caller)
                self._look_at_echo(follower, endpoint, caller.now_ns())
                if (reason := call.end_reason()) is not None:
                    machine.hung_up(reason, caller.now_ns())
                # Only the last voice would be heard of two that begin in one frame.
                for action in _without_pauses(machine.advance(caller.now_ns())):
                    self._do(action, follower, endpoint, caller, tasks)
                if not machine.is_over:
                    await self._wait(call, machine, caller)
        finally:
            del self._followers[endpoint.leg]
            await _end(tasks)
            self._look_at_echo(follower, endpoint, caller.now_ns())
            self.meter.take(machine)
            for note in machine.notes:
                call.note("script", note.what, note.detail, note.at_ns)
        return machine.failure, figures_of(machine.talk)

    def _look_at_voice(self, follower: _Follower, endpoint: LegEndpoint, caller: CallerWorker) -> None:
        """Tell a caller that waits for it when it really began to speak."""
        if follower.awaited_voice_ns is None:
            return
        began_ns = caller.voice_began_ns(endpoint)
        # Of two that begin in one frame only the second one is heard.
        is_same_frame = began_ns >= follower.ordered_ns and caller.now_ns() >= began_ns + _FRAME_OVER_NS
        if began_ns != follower.awaited_voice_ns or is_same_frame:
            follower.awaited_voice_ns = None
            follower.machine.said(began_ns)

    def _look_at_echo(self, follower: _Follower, endpoint: LegEndpoint, now_ns: int) -> None:
        """Compare what a caller that hears itself has said with what came back of it, once that must have come."""
        machine, levels = follower.machine, self._levels
        while levels is not None and follower.compared < len(machine.spoken):
            began_ns, utterance = machine.spoken[follower.compared]
            starts_ns = began_ns + utterance.starts_ns
            until_ns = min(began_ns + utterance.ends_ns, starts_ns + LONGEST_NS) + LATEST_NS
            is_whole = now_ns >= until_ns + _HEARD_AFTER_NS
            if not is_whole and not machine.is_over:
                return
            follower.compared += 1
            heard = levels.between(endpoint.leg, starts_ns, until_ns)
            if utterance.levels_db is None or heard is None:
                continue
            said_db = utterance.levels_db[: LONGEST_NS // BLOCK_NS]
            clipped = clipped_ns(said_db, starts_ns, *heard, is_whole=is_whole)
            if clipped is not None:
                machine.talk.clipped.append(clipped)
                machine.notes.append(ScriptNote(starts_ns, "clipped", f"{clipped / 1e6:.0f} ms did not come back"))

    def _do(
        self,
        action: Action,
        follower: _Follower,
        endpoint: LegEndpoint,
        caller: CallerWorker,
        tasks: set[asyncio.Task[None]],
    ) -> None:
        match action:
            case Play(utterance):
                self._play(utterance, follower, endpoint, caller)
            case Perform(step):
                tasks.add(asyncio.create_task(self._perform(step, follower), name=f"own step of {follower.id}"))
            case EndCall():
                pass  # whoever holds the call ends it when it has been followed to its end

    def _play(
        self, utterance: Utterance | None, follower: _Follower, endpoint: LegEndpoint, caller: CallerWorker
    ) -> None:
        if utterance is None:
            caller.play(endpoint, 0)
        else:
            # An order that has not been carried out leaves the old time as it was: a change tells that it has been.
            follower.awaited_voice_ns, follower.ordered_ns = caller.voice_began_ns(endpoint), caller.now_ns()
            caller.play(endpoint, utterance.voice)

    async def _perform(self, step: OwnStep, follower: _Follower) -> None:
        """Do a step of a team's own; what it raises ends the call, not the load."""
        problem = ""
        try:
            done = step(follower)
            if inspect.isawaitable(done):
                await done
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        # pytest.fail() raises what is no Exception.
        except BaseException as error:
            problem = f"{type(error).__name__}: {error}"
        follower.machine.performed(problem)
        follower._call.changed.set()

    async def _wait(self, call: ScriptedCall, machine: ScriptMachine, caller: CallerWorker) -> None:
        """Wait until something is told, or the machine wants to be asked again."""
        left_s = min((machine.deadline_ns - caller.now_ns()) / 1e9, LONGEST_WAIT_S)
        if left_s > 0:
            try:
                async with asyncio.timeout(left_s):
                    await call.changed.wait()
            except TimeoutError:
                return
        call.changed.clear()


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    """End steps of a team's own that still run; what they clear up then is done when this returns."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=OWN_STEP_END_S)


def _without_pauses(actions: Sequence[Action]) -> list[Action]:
    """Leave out being silent where speaking follows at once."""
    last = max((place for place, action in enumerate(actions) if isinstance(action, Play)), default=-1)
    return [action for place, action in enumerate(actions) if place == last or not isinstance(action, Play)]
