"""This generator's own part in what was measured: where it was late, lost packets, or lacked the machine."""

from __future__ import annotations

from pytest_ari_sla.metrics.core.shapes import count, shares, times
from pytest_ari_sla.metrics.metric import Metric

__all__ = ["GENERATOR_METRICS"]

GENERATOR_METRICS: tuple[Metric, ...] = (
    Metric(
        "harness.pacing_error",
        "distribution",
        "s",
        "How late a packet was sent, against its schedule",
        prominent=True,
        places=("timeline",),
        rank=900,
        title="How late this generator sent",
        compared=(),  # our own lateness says nothing of the target
    ),
    count("harness.receive_drops", "Packets that were dropped in our own receive buffers"),
    count("harness.not_sent", "Packets that the schedule called for and that were not sent"),
    count(
        "harness.sent_after_end",
        "Packets sent after the last sign of life of calls that were over before we knew; nobody is judged by them",
    ),
    times("harness.measuring_stall", "How long the measuring process stood still, where it did for 1 s"),
    times("harness.media_stall", "How long the process that moves packets stood still, where it did for 250 ms"),
    times("harness.echo_stall", "How long the echo server behind the relay stood still, where it did for 250 ms"),
    count("harness.foreign_packets", "Packets from addresses that no call expects; ignored"),
    count("harness.malformed_packets", "Datagrams from a call's address that are no RTP packets; ignored"),
    count("harness.unwritten_frames", "Frames that were not sent since our connection took no more bytes"),
    count(
        "harness.out_of_files",
        "Times that a call's connection had to wait, since this tool had no more open files or local ports",
    ),
    count("harness.merged_reads", "Reads of a stream that gave several frames, which share the last one's arrival"),
    count("harness.reports_sent", "RTCP sender reports that this generator sent", "higher"),
    count("harness.reports_ignored", "RTCP datagrams that no call expects, or that cannot be read; ignored"),
    times("harness.control_lag", "How much too long control-plane times may be: bytes handed over or read late by us"),
    times("harness.setup_lag", "The same of set-up times: of the request and of the event"),
    times("harness.request_lag", "The same of requests' times"),
    times("harness.event_lag", "The same of events' times"),
    times("harness.clock_floor", "Two readings of the clock in a row: what no delay can be told from"),
    count("harness.trackers_failed", "Trackers that raised an exception and were left out; their metrics are missing"),
    count("harness.batches_left_out", "Batches of packets that a tracker raised over; its metrics lack them"),
    count("harness.clock_steps", "Jumps of the system clock against the monotonic one, during the load"),
    Metric(
        "harness.cpu",
        "distribution",
        "ratio",
        "Share of one core that the media loop used, second by second",
        resolution=1e-4,
    ),
    Metric(
        "harness.watch_cpu",
        "distribution",
        "ratio",
        "Share of one core that the watch of the target used, second by second",
        resolution=1e-4,
    ),
    Metric(
        "harness.memory",
        "distribution",
        "B",
        "Memory in RAM of each process that makes calls and measures them, second by second",
        resolution=1,
    ),
    shares("harness.host_ours", "Share of the cores that we may run on, and the target with us, which we took"),
    shares("harness.host_others", "Share of the same cores that all others took, the target among them"),
    count("harness.starving", "Seconds in which these cores were busy, 40 % of them with us, and others were waiting"),
)
