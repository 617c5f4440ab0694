"""What a received packet costs in each built-in tracker, by batch size: ``python -m tests.benchmarks.bench_trackers``.

2,000 legs echo 20 ms of G.711 for some seconds, with a little loss. Batches are made beforehand; their grouping by
leg, which all trackers share, is a line of its own. Time advances once a second, as in a load, and is included.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.codecs.g711 import pcmu
from pytest_ari_sla.hookspecs.codec import Voice
from pytest_ari_sla.hookspecs.tracker import TrackerContext
from pytest_ari_sla.rtp.packet_batch import PacketBatch
from pytest_ari_sla.trackers.builtin import BuiltinTrackers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.tracker import Tracker

SECOND = 1_000_000_000
PACKET_TIME_NS = 20_000_000
LOSS_LIMIT_NS = 3 * SECOND
START_NS = 1_700_000_000 * SECOND
CHEAP = ("sequence", "latency", "loss", "jitter")


@dataclass
class SteadyLog:
    """A send log in which every packet was sent when it was due."""

    legs: int
    packets: int

    def due(self) -> NDArray[np.int64]:
        """(legs,) Packets due in all."""
        return np.full(self.legs, self.packets)

    sent = due

    def settled(self, now_ns: int | NDArray[np.int64], age_ns: int) -> NDArray[np.int64]:
        """(legs,) Packets due so long ago."""
        settled: NDArray[np.int64] = np.clip((now_ns - age_ns - START_NS) // PACKET_TIME_NS + 1, 0, self.due())
        return settled

    def audio_start_ns(self) -> NDArray[np.int64]:
        """(legs,) When each leg's first packet was due."""
        return np.full(self.legs, START_NS)

    def was_sent(self, legs: NDArray[np.int32], probes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """All were."""
        return np.ones(len(legs), bool)

    def closed(self) -> NDArray[np.bool_]:
        """None is ending."""
        return np.zeros(self.legs, bool)

    def due_ns(self, legs: NDArray[np.int32], probes: NDArray[np.int64]) -> NDArray[np.int64]:
        """All legs keep one schedule, spread over a packet time."""
        return START_NS + probes * PACKET_TIME_NS + legs * (PACKET_TIME_NS // self.legs)


def echoes(legs: int, seconds: int, loss: float) -> PacketBatch:
    """Return all packets of a load in order of arrival: 1 ms of round trip, a few ms for one in a hundred."""
    random = np.random.default_rng(1)
    packets = seconds * SECOND // PACKET_TIME_NS
    probe, leg = (grid.reshape(-1) for grid in np.indices((packets, legs)))
    intended_ns = START_NS + probe * PACKET_TIME_NS + leg * (PACKET_TIME_NS // legs)
    slow_ns = np.where(random.random(len(leg)) < 0.01, random.integers(0, 5_000_000, len(leg)), 0)
    arrival_ns = intended_ns + 1_000_000 + random.integers(0, 100_000, len(leg)) + slow_ns
    order = np.argsort(arrival_ns, kind="stable")
    order = order[random.random(len(order)) >= loss]
    hearing: NDArray[np.int32] = leg[order].astype(np.int32)
    probe, intended_ns = probe[order], intended_ns[order]
    count = len(order)
    return PacketBatch(
        leg=hearing,
        sequence=probe.astype(np.uint16),
        timestamp=(probe * 160).astype(np.uint32),
        ssrc=hearing.astype(np.uint32),
        payload_type=np.zeros(count, np.uint8),
        marker=np.zeros(count, np.bool_),
        arrival_ns=arrival_ns[order],
        source_leg=hearing,
        probe=probe,
        sent_ns=intended_ns + 20_000,
        intended_ns=intended_ns,
        payload=np.full((count, 160), 0x55, np.uint8),
        payload_length=np.full(count, 160, np.int32),
    )


def context_of(legs: int, seconds: int) -> TrackerContext:
    """Return the context of such a load."""
    return TrackerContext(
        legs=legs,
        heard_leg=np.arange(legs, dtype=np.int32),
        voices=(Voice(pcmu(), np.full((500, 160), 0x55, np.uint8)),),
        voice_of_leg=np.zeros(legs, np.int32),
        packet_time_ns=PACKET_TIME_NS,
        send_log=SteadyLog(legs, seconds * SECOND // PACKET_TIME_NS),
        probe_window=256,
        loss_limit_ns=LOSS_LIMIT_NS,
    )


def time_tracker(tracker: Tracker, context: TrackerContext, batches: Sequence[PacketBatch]) -> int:
    """Return the CPU time in ns that a tracker takes for all batches, its grouping being there already."""
    tracker.begin(context)
    next_advance_ns = START_NS + SECOND
    began_ns = time.process_time_ns()
    for batch in batches:
        if batch.arrival_ns[-1] >= next_advance_ns:
            tracker.advance(next_advance_ns)
            next_advance_ns += SECOND
        tracker.observe(batch)
    tracker.advance(next_advance_ns)
    return time.process_time_ns() - began_ns


def time_grouping(batches: Sequence[PacketBatch]) -> int:
    """Return the CPU time in ns of sorting all batches by leg."""
    began_ns = time.process_time_ns()
    for batch in batches:
        _ = batch.by_leg
    return time.process_time_ns() - began_ns


def measure(load: PacketBatch, context: TrackerContext, rows: int, repeats: int) -> dict[str, float]:
    """Return ns per packet of grouping and of each tracker: the least of some repeats."""
    trackers = BuiltinTrackers().pytest_ari_sla_register_trackers()
    costs: dict[str, float] = {}
    for _ in range(repeats):
        batches = [load.select(slice(start, start + rows)) for start in range(0, len(load), rows)]
        timings: dict[str, Callable[[], int]] = {"(group by leg)": partial(time_grouping, batches)}
        for tracker in trackers:
            timings[tracker.name] = partial(time_tracker, copy.deepcopy(tracker), context, batches)
        for name, timing in timings.items():
            costs[name] = min(timing() / len(load), costs.get(name, float("inf")))
    return costs


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--legs", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--loss", type=float, default=0.001)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=[64, 1000, 2000, 5000])
    options = parser.parse_args()
    load = echoes(options.legs, options.seconds, options.loss)
    context = context_of(options.legs, options.seconds)
    columns = {rows: measure(load, context, rows, options.repeats) for rows in options.rows}
    names = list(next(iter(columns.values())))
    lines = [
        f"{options.legs} legs, {len(load)} packets, {options.loss:.1%} lost; ns of CPU per packet",
        f"{'rows per batch':28}" + "".join(f"{rows:>8}" for rows in columns),
    ]
    lines += [f"{name:28}" + "".join(f"{costs[name]:8.0f}" for costs in columns.values()) for name in names]
    for title, chosen in {"+".join(CHEAP): CHEAP, "all": tuple(names[1:])}.items():
        sums = [costs[names[0]] + sum(costs[name] for name in chosen) for costs in columns.values()]
        lines.append(f"{title:28}" + "".join(f"{total:8.0f}" for total in sums))
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
