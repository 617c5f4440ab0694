"""Our caller with built-in trackers against a reflector: prints what it cost and how well it kept its schedule.

``python -m tests.benchmarks.caller --help`` tells its arguments. One line of JSON comes out. With an ARI URL, channels
are set up and removed there at 50 per second all the while, by the same process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, cast

import numpy as np

from pytest_ari_sla.ari_client.session import AriSession
from pytest_ari_sla.load.planning.voices import echo_media
from pytest_ari_sla.media.call_media import MediaPlan
from pytest_ari_sla.media.caller_worker import CallerWorker
from pytest_ari_sla.media.transport import MediaSite
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.rtp_media.transport import RtpEndpoint, RtpMedia
from pytest_ari_sla.session.plugins.registry import builtin_registry
from pytest_ari_sla.udp.port_leases import PortManager
from tests.benchmarks.processor_time import used_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.tracker import TrackerContext
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

PACKETS_PER_SECOND = 50
SETUPS_PER_SECOND = 50
WARM_UP_S, LINGER_S = 5.5, 0.5
"""What streams cost is measured between the two: setting them up, and one RTCP report each, is another thing."""
LATE_NS = 5_000_000
RECORD_OFFSET = 16
"""Where the reflector writes its record into a payload: behind the probe."""


class ReflectorError:
    """A tracker that compares each measured round trip with the reflector's own record of it."""

    name = "reflector_error"
    metrics = (
        Metric("reflector_error", "distribution", "s", "Round trip less the time the reflector held the packet"),
    )

    def begin(self, context: TrackerContext) -> None:
        """Start empty."""
        self._error = Histogram()

    def observe(self, batch: PacketBatch) -> None:
        """Record what is left of each round trip when the reflector's share is taken off."""
        record = batch.payload[:, RECORD_OFFSET : RECORD_OFFSET + 16].copy().view(np.int64)
        known = batch.sent_ns > 0
        held_ns = record[:, 1] - record[:, 0]
        self._error.record((batch.arrival_ns - batch.sent_ns - held_ns)[known])

    def advance(self, now_ns: int) -> None:
        """Nothing depends on time."""

    def release(self, legs: NDArray[np.int32]) -> None:
        """Nothing is kept per leg."""

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return the errors so far."""
        return {"reflector_error": self._error}

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Nothing is kept per leg."""
        return {}


async def set_up_channels(url: str, counts: Counter[str]) -> None:
    """Set channels up at a steady rate, and remove each at once, until cancelled."""
    async with AriSession(url, app="ari-sla-bench", id_prefix="ari-sla-bench") as session, asyncio.TaskGroup() as tasks:
        while True:
            tasks.create_task(_set_up_one(session, counts))
            await asyncio.sleep(1 / SETUPS_PER_SECOND)


async def _set_up_one(session: AriSession, counts: Counter[str]) -> None:
    channel = session.new_id("channel")
    await session.external_media(channel, "127.0.0.1:9", "ulaw")
    await session.watch(channel).in_stasis()
    await session.hangup(channel)
    counts["setups"] += 1


async def run(options: argparse.Namespace) -> dict[str, object]:
    """Stream, and return the figures."""
    calls, seconds, port, ports, ari_url = options.calls, options.seconds, options.port, options.ports, options.ari
    counts: Counter[str] = Counter()
    registry = builtin_registry()
    codec = registry.codec("PCMU")
    plan = MediaPlan(calls, echo_media(codec, 20), 20)
    names = options.trackers.split(",") if options.trackers else registry.trackers
    trackers = [*(registry.trackers[name] for name in names), ReflectorError()]
    packets = int((WARM_UP_S + seconds) * PACKETS_PER_SECOND)
    with PortManager(host="127.0.0.1") as manager:
        worker = CallerWorker(plan, RtpMedia(), MediaSite("127.0.0.1", manager), trackers)
        async with worker:
            seats = [worker.take_call()[0] for _ in range(calls)]
            taken: Counter[int] = Counter()
            for seat in cast("list[RtpEndpoint]", seats):
                # As with Asterisk, every call on a socket has a port of its own at the other end.
                worker.start_leg(seat, ("127.0.0.1", port + 2 * (taken[seat.socket] % ports)), packets)
                taken[seat.socket] += 1
            signalling = None if ari_url is None else asyncio.create_task(set_up_channels(ari_url, counts))
            await asyncio.sleep(WARM_UP_S)
            used_before_s = time.process_time() + used_s(worker.media_pid)
            await asyncio.sleep(seconds)
            cost_s = time.process_time() + used_s(worker.media_pid) - used_before_s
            await asyncio.sleep(LINGER_S)
            if signalling is not None:
                signalling.cancel()
                await asyncio.wait([signalling])
    return _figures(worker, cost_s / calls / seconds) | counts


def _figures(worker: CallerWorker, cpu_s: float) -> dict[str, object]:
    total = worker.snapshot()
    pacing, rtt = total.histogram("harness.pacing_error"), total.histogram("rtt")
    error = total.histogram("reflector_error")
    late = pacing.count - pacing.quantile_rank(LATE_NS) + total.count("harness.not_sent")
    return {
        "sent": pacing.count,
        "received": rtt.count,
        "late": late,
        "receive_drops": total.count("harness.receive_drops"),
        "pacing_p99_us": pacing.percentile(99) / 1e3,
        "pacing_max_us": pacing.max / 1e3,
        "rtt_p50_us": rtt.percentile(50) / 1e3,
        "rtt_p99_us": rtt.percentile(99) / 1e3,
        "error_p50_us": error.percentile(50) / 1e3,
        "error_p99_us": error.percentile(99) / 1e3,
        "media_cpu_us_per_call_second": worker.media_cpu_ns() / 1e3 / pacing.count * PACKETS_PER_SECOND,
        "cpu_us_per_call_second": cpu_s * 1e6,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("calls", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("port", type=int)
    parser.add_argument("ports", type=int)
    parser.add_argument("--ari", metavar="URL", help="an ARI to set channels up at, meanwhile")
    parser.add_argument("--trackers", metavar="NAMES", help="built-in trackers, with commas; default: all")
    sys.stdout.write(json.dumps(asyncio.run(run(parser.parse_args()))) + "\n")


if __name__ == "__main__":
    main()
