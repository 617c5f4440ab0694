"""What transports are whose media is moved by a loop: its process and memory, from their opening to their end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AsyncExitStack
from itertools import takewhile
from typing import TYPE_CHECKING, Self

import numpy as np

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.media.loop.commands import ForgetLeg, Stall, StopLeg
from pytest_ari_sla.media.loop.memory import Gauge
from pytest_ari_sla.media.transport import TransportHealth
from pytest_ari_sla.rtp.send_schedule import SlotAssigner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.codec import Voice
    from pytest_ari_sla.media.call_media import MediaPlan
    from pytest_ari_sla.media.loop.memory import LoopMemory
    from pytest_ari_sla.media.loop.process import LoopProcess
    from pytest_ari_sla.media.loop.send_log import SlotSendLog
    from pytest_ari_sla.media.transport import LegEndpoint, MediaSite

__all__ = ["LoopTransport"]


class LoopTransport(ABC):
    """Most of an :class:`~pytest_ari_sla.media.transport.OpenTransport`.

    Parameters
    ----------
    plan, site
        The load's media, and where it ends.
    start_loop
        Starts what moves frames, on its memory: a process, unless a test plays it.
    memory, send_log
        The loop's, and what it says of all that was sent.
    """

    def __init__(
        self,
        plan: MediaPlan,
        site: MediaSite,
        start_loop: Callable[..., LoopProcess],
        memory: LoopMemory,
        send_log: SlotSendLog,
    ) -> None:
        self._plan = plan
        self._site = site
        self._start_loop = start_loop
        self._loop_memory = memory
        self._departures = send_log
        self._slots = SlotAssigner(plan.packet_time_ms)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._open(stack)
            self._opened = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    async def _open(self, stack: AsyncExitStack) -> None:
        memory = self._loop_memory
        stack.callback(memory.close)  # first in, last out: the loop uses it to its end
        memory.touch()
        np.concatenate([self._in_memory(voice) for voice in self._plan.media.voices], out=memory.frames)
        self._take_sockets(stack)
        self._loop = self._start_loop(memory, realtime=self._plan.realtime)
        stack.push_async_callback(self._loop.stop)
        self._hand_sockets_over()
        await self._loop.obeyed()

    @abstractmethod
    def _take_sockets(self, stack: AsyncExitStack) -> None:
        """Take what the loop will need, until the loop has ended."""

    @abstractmethod
    def _hand_sockets_over(self) -> None:
        """Hand it to the loop, which has just been started."""

    @abstractmethod
    def _in_memory(self, voice: Voice) -> NDArray[np.uint8]:
        """Return what a voice takes of the loop's memory, in one piece."""

    # --- legs ---

    def voice_began_ns(self, endpoint: LegEndpoint) -> int:
        """Return when a leg began to say what it was last told to play; 0 where it was told nothing yet."""
        return self._departures.voice_began_ns(endpoint.leg)

    def _playable(self, endpoint: LegEndpoint, number: int) -> Voice:
        """Return a voice of the load.

        Raises
        ------
        UsageError
            It has another codec than the leg, or frames of another size.
        """
        now, then = self._plan.voice(endpoint.leg), self._plan.media.voices[number]
        if now.codec != then.codec or now.frames.shape[1] != then.frames.shape[1]:
            raise UsageError(f"a leg that speaks {now.codec.name} cannot play frames of {then.codec.name}")
        return then

    def _frame_offset(self, voice: Voice) -> int:
        """Return where a voice's frames begin in memory."""
        before = takewhile(lambda other: other is not voice, self._plan.media.voices)
        return sum(self._in_memory(other).size for other in before)

    async def stop(self, endpoint: LegEndpoint) -> None:
        """Send nothing more for a leg; return when the loop has confirmed it."""
        self._loop.command(StopLeg(endpoint.leg))
        await self._loop.obeyed()

    async def give_back(self, endpoints: Sequence[LegEndpoint]) -> None:
        """Let slots be taken again, when the loop has forgotten the legs."""
        for endpoint in endpoints:
            self._loop.command(ForgetLeg(endpoint.leg))
        await self._loop.obeyed()
        for endpoint in endpoints:
            self._departures.show(endpoint.leg)
            self._slots.release(endpoint.leg)

    # --- itself ---

    def now_ns(self) -> int:
        """Return the time by which frames are dated."""
        return self._loop_memory.now_ns()

    def _loop_health(self) -> TransportHealth:
        """Return what the loop has told of itself."""
        gauges = self._loop_memory.gauges
        return TransportHealth(
            cpu_ns=int(gauges[Gauge.CPU_NS]),
            clock_steps=int(gauges[Gauge.CLOCK_STEPS]),
            stalls=int(gauges[Gauge.LOOP_STALLS]),
            stalled_ns=int(gauges[Gauge.LOOP_STALLED_NS]),
        )

    def frames_received(self) -> int:
        """Return how many frames came, from anywhere, and were measured."""
        return int(self._loop_memory.gauges[Gauge.RING_TAIL])

    @property
    def has_realtime_priority(self) -> bool:
        """Whether the loop runs under SCHED_FIFO."""
        return bool(self._loop_memory.gauges[Gauge.REALTIME_PRIORITY])

    @property
    def pid(self) -> int:
        """Process id of the loop."""
        return self._loop.pid

    def ensure_alive(self) -> None:
        """Find out whether the loop ended by itself; see :meth:`LoopProcess.ensure_alive`."""
        self._loop.ensure_alive()

    def stall(self, duration_ns: int) -> None:
        """Make the loop do nothing for a while."""
        self._loop.command(Stall(duration_ns))
