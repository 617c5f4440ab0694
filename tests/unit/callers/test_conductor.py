"""Who makes calls follow their scripts, with a line and media that only note what they are asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal, cast

from pytest_ari_sla.callers.audio import compile_script
from pytest_ari_sla.callers.conductor import Conductor
from pytest_ari_sla.callers.steps import hang_up, wait
from pytest_ari_sla.codecs.g711 import pcmu

if TYPE_CHECKING:
    from pytest_ari_sla.callers.steps import Step
    from pytest_ari_sla.media.caller_worker import CallerWorker
    from pytest_ari_sla.media.transport import LegEndpoint

MS = 1_000_000


class Changed(asyncio.Event):
    """Never set; counts how often it is waited for."""

    waits = 0

    async def wait(self) -> Literal[True]:
        """Time out at once."""
        self.waits += 1
        raise TimeoutError


class Line:
    """A call that only its script ends."""

    id = "call-1"

    def __init__(self) -> None:
        self.changed = Changed()

    def end_reason(self) -> str | None:
        """Nobody hangs up."""
        return None

    def note(self, source: str, what: str, detail: str = "", at_ns: int | None = None) -> None:
        """Forget."""


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


async def follow(*steps: Step) -> Line:
    """Let a call follow a script to its end."""
    line, media, endpoint = Line(), cast("CallerWorker", Media()), cast("LegEndpoint", Endpoint())
    conductor = Conductor(compile_script(list(steps), pcmu(), 20))
    failure, _ = await conductor.follow(line, endpoint, media, 0, lambda: False)
    assert failure == ""
    return line


async def test_a_script_that_is_over_is_not_waited_for() -> None:
    """Its call would be hung up a second late."""
    line = await follow(hang_up())
    assert line.changed.waits == 0


async def test_a_script_is_waited_for_until_it_is_over() -> None:
    """As long as there is something to wait for."""
    line = await follow(wait("1s"), hang_up())
    assert line.changed.waits > 0
