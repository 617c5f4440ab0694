"""Who makes calls follow their scripts, with a line and media that only note what they are asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import pytest

from pytest_ari_sla.callers.audio import compile_script
from pytest_ari_sla.callers.conductor import Conductor
from pytest_ari_sla.callers.detector import BLOCK_NS
from pytest_ari_sla.callers.steps import hang_up, say, wait
from pytest_ari_sla.codecs.g711 import pcmu

if TYPE_CHECKING:
    from pytest_ari_sla.callers.script import Utterance
    from pytest_ari_sla.callers.steps import Step
    from pytest_ari_sla.media.caller_worker import CallerWorker
    from pytest_ari_sla.media.transport import LegEndpoint

MS = 1_000_000
WORD = np.resize(np.repeat(np.array([8000, -8000], np.int16), 20), 1600)


class Changed(asyncio.Event):
    """Never set; counts how often it is waited for."""

    waits = 0

    async def wait(self) -> Literal[True]:
        """Time out at once; others have their turn."""
        self.waits += 1
        await asyncio.sleep(0)
        raise TimeoutError


class Line:
    """A call that only its script ends."""

    id = "call-1"

    def __init__(self) -> None:
        self.changed = Changed()
        self.failure = ""
        self.told: list[str] = []

    def end_reason(self) -> str | None:
        """Nobody hangs up."""
        return None

    def note(self, source: str, what: str, detail: str = "", at_ns: int | None = None) -> None:
        """Keep."""
        self.told.append(f"{what} {detail}")


class Media:
    """Media whose clock goes on by 100 ms whenever it is read."""

    def __init__(self) -> None:
        self._now_ns = 0

    def now_ns(self) -> int:
        """Return the time."""
        self._now_ns += 100 * MS
        return self._now_ns


class Endpoint:
    """The call's leg."""

    leg = 0


class SlotMedia(Media):
    """Media whose clock goes on by 1 ms, and that begins what it is told with the next frame of 20 ms."""

    def __init__(self) -> None:
        super().__init__()
        self._began_ns = 0
        self.played: list[tuple[int, int]] = []

    def now_ns(self) -> int:
        """Return the time."""
        self._now_ns += MS
        return self._now_ns

    def play(self, endpoint: LegEndpoint, voice: int) -> None:
        """Begin a voice with the next frame."""
        self._began_ns = (self._now_ns // (20 * MS) + 1) * 20 * MS
        self.played.append((voice, self._began_ns))

    def voice_began_ns(self, endpoint: LegEndpoint) -> int:
        """Return when that was."""
        return self._began_ns


async def follow(*steps: Step, media: Media | None = None) -> Line:
    """Let a call follow a script to its end."""
    line, endpoint = Line(), cast("LegEndpoint", Endpoint())
    conductor = Conductor(compile_script(list(steps), pcmu(), 20))
    line.failure, _ = await conductor.follow(line, endpoint, cast("CallerWorker", media or Media()), 0, lambda: False)
    return line


async def test_a_script_that_is_over_is_not_waited_for() -> None:
    """Its call would be hung up a second late."""
    line = await follow(hang_up())
    assert (line.failure, line.changed.waits) == ("", 0)


async def test_a_script_is_waited_for_until_it_is_over() -> None:
    """As long as there is something to wait for."""
    line = await follow(wait("1s"), hang_up())
    assert line.failure == ""
    assert line.changed.waits > 0


@pytest.mark.parametrize("pause_ms", [0, 1, 5, 10, 15, 20, 40])
async def test_who_speaks_again_in_the_frame_in_which_they_fell_silent_is_heard(pause_ms: int) -> None:
    """Both orders begin with one frame then, which says nothing of the second."""
    media = SlotMedia()
    line = await follow(say(WORD), wait(f"{pause_ms}ms"), say(WORD), hang_up(), media=media)
    assert line.failure == ""
    assert [voice for voice, _ in media.played if voice] == [1, 2]


class EchoMedia(SlotMedia):
    """Media that gives back 40 ms later what is said, but for its beginning."""

    def __init__(self, conductor: Conductor, utterance: Utterance, missing: int) -> None:
        super().__init__()
        self._conductor, self._utterance, self._missing = conductor, utterance, missing

    def play(self, endpoint: LegEndpoint, voice: int) -> None:
        """Let what will come back be heard already: nobody looks before its time."""
        super().play(endpoint, voice)
        levels = self._conductor._levels
        assert levels is not None
        assert self._utterance.levels_db is not None
        began_ns = self._began_ns + self._utterance.starts_ns + 40 * MS
        for block, level in enumerate(self._utterance.levels_db if voice else ()):
            heard = np.array([-96.0 if block < self._missing else level])
            levels.keep(np.array([0]), np.array([began_ns + block * BLOCK_NS]), heard)


@pytest.mark.parametrize(
    ("missing", "pause", "clipped_s"),
    [(0, "4s", 0.0), (5, "4s", 0.05), (10, "4s", 0.1), (5, "0s", 0.05), (10, "0s", None)],
)
async def test_who_hears_itself_is_told_what_is_missing_at_the_beginning(
    missing: int, pause: str, clipped_s: float | None
) -> None:
    """Of a word of 100 ms; where all of it is missing, that is known only when it must have come back."""
    script = compile_script([say(WORD), wait(pause), hang_up()], pcmu(), 20)
    conductor = Conductor(script)
    conductor.listener(pcmu(), 1, hears_itself=True)
    media = cast("CallerWorker", EchoMedia(conductor, script.utterances[0], missing))
    _, figures = await conductor.follow(Line(), cast("LegEndpoint", Endpoint()), media, 0, lambda: False)
    assert figures.get("clipped") == clipped_s


async def test_a_step_that_fails_as_pytest_fails_ends_its_script_at_once() -> None:
    """What pytest.fail() raises is not an Exception; nobody waits for the step's time to be over."""

    async def check(caller: object) -> None:
        pytest.fail("the account is empty")

    line = await follow(check, hang_up())
    assert line.failure == "step 1 of 2, check: Failed: the account is empty"


async def test_a_step_that_is_cut_short_has_cleared_up_when_its_call_is_over() -> None:
    """Also where that takes a while: what it holds is not left to the end of the event loop."""
    told = []

    async def hold(caller: object) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            told.append("cleared up")

    line = await follow(hold, hang_up())
    assert "it was not done after 30.0 s" in line.failure
    assert told == ["cleared up"]
