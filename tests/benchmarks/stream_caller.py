"""Our caller over streams against a reflector that plays Asterisk: what it cost, and how well it kept its schedule.

``python -m tests.benchmarks.stream_caller KIND CALLS SECONDS PORT``; KIND may be several joined by "+": so many calls
of each, at one time. One line of JSON comes out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, cast

import numpy as np

from pytest_ari_sla.ari.resources import Channel, ExternalMedia
from pytest_ari_sla.load.planning.voices import echo_media
from pytest_ari_sla.media.call_media import MediaPlan
from pytest_ari_sla.media.caller_worker import CallerWorker
from pytest_ari_sla.media.transport import MediaSite
from pytest_ari_sla.session.plugins.registry import builtin_registry
from pytest_ari_sla.udp.port_leases import PortManager
from tests.benchmarks.caller import LATE_NS, PACKETS_PER_SECOND, WARM_UP_S, ReflectorError
from tests.benchmarks.processor_time import used_s

if TYPE_CHECKING:
    from pytest_ari_sla.metrics.snapshot import Snapshot
    from pytest_ari_sla.rtp.packet_batch import PacketBatch
    from pytest_ari_sla.stream_media.transport import StreamEndpoint

LINGER_S = 0.5
CODECS = {"audiosocket": "L16", "websocket": "PCMU"}


class StreamReflectorError(ReflectorError):
    """The same, where the wire has the bytes of each sample the other way round: the record is turned as well."""

    def __init__(self, *, swapped: bool) -> None:
        self._swapped = swapped

    def observe(self, batch: PacketBatch) -> None:
        """Record what is left of each round trip when the reflector's share is taken off."""
        words = batch.payload[:, 16:32].copy().view(np.uint16)
        record = (words.byteswap() if self._swapped else words).view(np.int64)
        known = batch.sent_ns > 0
        self._error.record((batch.arrival_ns - batch.sent_ns - (record[:, 1] - record[:, 0]))[known])


def order_of(kind: str, endpoint: StreamEndpoint) -> str:
    """Return what the reflector is told for a leg."""
    offer = endpoint.offer
    if kind == "audiosocket":
        return f"audiosocket {offer.external_host.rpartition(':')[2]} {endpoint.key.replace('-', '')}\n"
    uri = str(offer.websocket_uri).removeprefix("ws://")
    port = uri.partition("/")[0].rpartition(":")[2]
    return f"websocket {port} /media?leg={endpoint.key}\n"


async def run(options: argparse.Namespace) -> dict[str, object]:
    """Stream, and return the figures."""
    kinds = options.kind.split("+")
    frames = int((WARM_UP_S + options.seconds) * PACKETS_PER_SECOND)
    registry = builtin_registry()
    workers: list[CallerWorker] = []
    async with AsyncExitStack() as stack:
        manager = stack.enter_context(PortManager(host="127.0.0.1"))
        _, orders = await asyncio.open_connection("127.0.0.1", options.port)
        started = []
        for kind in kinds:
            plan = MediaPlan(options.calls, echo_media(registry.codec(CODECS[kind]), 20), 20)
            trackers = [*registry.trackers.values(), StreamReflectorError(swapped=kind == "audiosocket")]
            transport, site = registry.transport(kind), MediaSite("127.0.0.1", manager)
            worker = await stack.enter_async_context(CallerWorker(plan, transport, site, trackers))
            workers.append(worker)
            for _ in range(options.calls):
                endpoint = cast("StreamEndpoint", worker.take_call()[0])
                orders.write(order_of(kind, endpoint).encode())
                started.append((worker, endpoint))
        orders.write(b"\n")
        await orders.drain()
        await asyncio.sleep(1.0 + len(started) / 1000)
        answer = ExternalMedia(Channel("c"), ("", 0))
        for worker, endpoint in started:
            worker.start_leg(endpoint, worker.remote_of(endpoint, answer), frames)
        await asyncio.sleep(WARM_UP_S)
        own_before_s, media_before_s = time.process_time(), sum(used_s(worker.media_pid) for worker in workers)
        await asyncio.sleep(options.seconds)
        own_s = time.process_time() - own_before_s
        media_s = sum(used_s(worker.media_pid) for worker in workers) - media_before_s
        await asyncio.sleep(LINGER_S)
        orders.close()
    total = workers[0].snapshot().sum_of([worker.snapshot() for worker in workers])
    call_seconds = len(started) * options.seconds
    return _figures(total) | {
        "media_cpu_us_per_call_second": media_s / call_seconds * 1e6,
        "cpu_us_per_call_second": (own_s + media_s) / call_seconds * 1e6,
    }


def _figures(total: Snapshot) -> dict[str, object]:
    pacing, rtt, error = (total.histogram(name) for name in ("harness.pacing_error", "rtt", "reflector_error"))
    late = pacing.count - pacing.quantile_rank(LATE_NS) + total.count("harness.not_sent")
    return {
        "sent": pacing.count,
        "received": rtt.count,
        "late": late,
        "receive_drops": total.count("loss.lost"),
        "unwritten": total.count("harness.unwritten_frames"),
        "merged_reads": total.count("harness.merged_reads"),
        "pacing_p99_us": pacing.percentile(99) / 1e3,
        **{f"rtt_p{rank}_us": rtt.percentile(rank) / 1e3 for rank in (50, 99)},
        **{f"error_p{rank}_us": error.percentile(rank) / 1e3 for rank in (50, 99)},
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("kind")
    parser.add_argument("calls", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("port", type=int)
    sys.stdout.write(json.dumps(asyncio.run(run(parser.parse_args()))) + "\n")


if __name__ == "__main__":
    main()
