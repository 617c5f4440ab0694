"""What the watch of the target saw, and what Asterisk told of its queues."""

from __future__ import annotations

from pytest_ari_sla.metrics.core.shapes import count, times
from pytest_ari_sla.metrics.metric import Metric

__all__ = ["TARGET_METRICS"]

TARGET_METRICS: tuple[Metric, ...] = (
    count("target.leftovers", "Channels and bridges of the application under test that outlive the scripts' calls"),
    times("target.stall", "How long a request took that needs a channel's lock, once a second, while others did not"),
    times("target.stopped_answering", "How long a request took that needs no lock, once a second"),
    count("target.restarts", "Times that Asterisk was found to have been started anew"),
    Metric(
        "target.rtp_statistics_off",
        "count",
        "count",
        "SIP calls of which Asterisk's rtp_statistics tell something else than was measured at their other end",
        judges_loss=True,
    ),
    count("target.rtp_statistics_compared", "SIP calls of which both could be held against each other", "higher"),
    count("target.leaked_files", "File descriptors that Asterisk holds after a load beyond those before it"),
    count("target.leaked_ports", "UDP sockets among them: its RTP ports"),
    count("target.leaked_threads", "Threads that Asterisk has after a load beyond those before it"),
    Metric(
        "target.leaked_memory",
        "count",
        "B",
        "Memory that Asterisk holds after a load beyond that before it, at no more calls at a time than earlier",
    ),
    count("target.held_frames", "Frames that were not sent since Asterisk had said that its queue is full"),
    Metric(
        "target.queue_backlog",
        "distribution",
        "s",
        "How long a frame waits in the queue of Asterisk's WebSocket channels, as GET_STATUS tells once a second",
    ),
)
