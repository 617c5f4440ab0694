"""Callers with scripts against a reflector: prints what they cost, and how well they kept their schedule.

``python -m tests.benchmarks.scripted_callers CALLS SECONDS`` runs itself on one core and the reflector on another; one
line of JSON comes out. Each caller speaks about half of the time, begins when it likes, and hears what it says itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import cast

from pytest_ari_sla.callers.audio import compile_script
from pytest_ari_sla.callers.conductor import Conductor
from pytest_ari_sla.callers.steps import Step, dial, say, wait
from pytest_ari_sla.codecs.speech import speech_like
from pytest_ari_sla.load.planning.voices import scripted_media
from pytest_ari_sla.media.call_media import MediaPlan
from pytest_ari_sla.media.caller_worker import CallerWorker
from pytest_ari_sla.media.transport import MediaSite
from pytest_ari_sla.rtp_media.transport import RtpEndpoint, RtpMedia
from pytest_ari_sla.session.plugins.registry import builtin_registry
from pytest_ari_sla.udp.port_leases import PortManager
from tests.benchmarks.__main__ import FIRST_PORT, GENERATOR_CORE, PORTS, REFLECTOR_CORE, _core, compile_native
from tests.benchmarks.processor_time import used_s

MOST_CORES = 1.0
MOST_LATE_P99_US = 1000.0
WARM_UP_S = 4.0


class Line:
    """A call that only its script ends."""

    def __init__(self, number: int) -> None:
        self.id = f"call-{number}"
        self.changed = asyncio.Event()
        self.notes = 0

    def end_reason(self) -> str | None:
        """Nobody hangs up."""
        return None

    def note(self, source: str, what: str, detail: str = "", at_ns: int | None = None) -> None:
        """Count."""
        self.notes += 1


def script(seconds: float) -> list[Step]:
    """Return a conversation that lasts at least so long."""
    question, stop = speech_like(2.0, 16_000, 5), speech_like(1.0, 16_000, 7)
    part: list[Step] = [say(question), wait("1s"), dial("12#"), wait("500ms"), say(stop), wait("1s")]
    return part * (int(seconds / 6) + 2)


async def run(calls: int, seconds: float) -> dict[str, float]:
    """Let them talk, and return the figures."""
    registry = builtin_registry()
    compiled = compile_script(script(WARM_UP_S + seconds), registry.codec("PCMU"), 20)
    conductor = Conductor(compiled)
    media = scripted_media(registry.topology("caller"), compiled)
    plan = MediaPlan(calls, media, 20, listener=conductor.listener(registry.codec("PCMU"), calls))
    with PortManager(host="127.0.0.1") as manager:
        worker = CallerWorker(plan, RtpMedia(), MediaSite("127.0.0.1", manager), list(registry.trackers.values()))
        async with worker:
            taken: Counter[int] = Counter()
            over = asyncio.Event()
            tasks, lines = [], [Line(number) for number in range(calls)]
            for number in range(calls):
                seat = cast("RtpEndpoint", worker.take_call()[0])
                worker.start_leg(seat, ("127.0.0.1", FIRST_PORT + 2 * (taken[seat.socket] % PORTS)), 1 << 30)
                taken[seat.socket] += 1
                tasks.append(asyncio.create_task(_talk(conductor, lines[number], seat, worker, over)))
            await asyncio.sleep(WARM_UP_S)
            before_s = time.process_time() + used_s(worker.media_pid)
            await asyncio.sleep(seconds)
            cost_s = time.process_time() + used_s(worker.media_pid) - before_s
            over.set()
            await asyncio.wait(tasks)
        total = worker.snapshot()
    pacing = total.histogram("harness.pacing_error")
    return {
        "calls": calls,
        "cores": cost_s / seconds,
        "media_cores": worker.media_cpu_ns() / 1e9 / (WARM_UP_S + seconds),
        "sent": pacing.count,
        "not_sent": total.count("harness.not_sent"),
        "pacing_p50_us": pacing.percentile(50) / 1e3,
        "pacing_p99_us": pacing.percentile(99) / 1e3,
        "told": sum(line.notes for line in lines),
    }


async def _talk(conductor: Conductor, line: Line, seat: RtpEndpoint, worker: CallerWorker, over: asyncio.Event) -> None:
    await asyncio.sleep(random.random() * WARM_UP_S * 0.8)
    await conductor.follow(line, seat, worker, worker.now_ns(), over.is_set)


def main() -> int:
    """Start the reflector, run, print, and say whether it holds."""
    calls, seconds = int(sys.argv[1]), float(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        compile_native(Path(folder))
        command = [f"{folder}/reflector", str(FIRST_PORT), str(PORTS), str(seconds + 30)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reflector:
            assert reflector.stdout is not None
            os.sched_setaffinity(reflector.pid, {_core(REFLECTOR_CORE)})
            reflector.stdout.readline()
            os.sched_setaffinity(0, {_core(GENERATOR_CORE)})
            figures = asyncio.run(run(calls, seconds))
            reflector.kill()
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0 if figures["cores"] < MOST_CORES and figures["pacing_p99_us"] < MOST_LATE_P99_US else 1


if __name__ == "__main__":
    raise SystemExit(main())
