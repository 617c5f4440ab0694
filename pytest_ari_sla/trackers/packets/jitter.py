"""Jitter as RFC 3550 defines it, sampled once a second for every leg that receives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.rtp.jitter import CLOCK_TOLERANCE, JUMP_NS, JitterEstimator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.tracker import TrackerContext
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["SAMPLE_NS", "JitterTracker"]

SAMPLE_NS = 1_000_000_000
"""Time between two samples: advancing more often weighs no leg more than another."""


_HIGHEST_SPEED = 1000.0


class JitterTracker:
    """A distribution over legs and time; a leg's last state counts too, when it is released.

    Jitter is reckoned by the codec's RTP clock. Time stamps that run by another one (a G.722 sender that counts 16,000
    a second) make jitter of nothing: such legs are counted, and what their time stamps' speed was is told.
    """

    name = "jitter"
    metrics = (
        Metric(
            "jitter",
            "distribution",
            "s",
            "Interarrival jitter, each leg once a second",
            source="RFC 3550, 6.4.1 and A.8",
            oracle="a capture of the same load, tests/oracles/test_media.py; tshark, tests/asterisk/test_captures.py",
            error_bound="1 %",
            prominent=True,
            places=("summary", "tile", "timeline", "worst calls"),
            rank=70,
            title="Jitter",
            compared=("p99",),
        ),
        Metric(
            "timestamp.jumps",
            "count",
            "count",
            f"Time stamps more than {JUMP_NS // 1_000_000} ms off within one SSRC, which jitter leaves out",
        ),
        Metric(
            "timestamp.wrong_clock",
            "count",
            "count",
            "Legs whose time stamps ran at another rate than their codec's RTP clock (RFC 3551, table 4)",
        ),
        Metric(
            "timestamp.speed",
            "distribution",
            "ratio",
            "How fast time stamps ran against the codec's RTP clock, each leg at its end: 1 where within a tenth",
            resolution=1e-3,
            error_bound="0.1 %; what is off by less than 10 % counts as right",
        ),
    )
    BYTES_PER_LEG = JitterEstimator.BYTES_PER_LEG + 1

    def begin(self, context: TrackerContext) -> None:
        """Start without any stream."""
        clock_rate_hz = np.zeros(context.legs, np.int64)
        for codec, legs in context.codecs():
            # not the sample rate: G.722 counts 8,000 a second (RFC 3551, 4.5.2)
            clock_rate_hz[legs] = codec.clock_rate_hz
        self._estimator = JitterEstimator(context.legs, clock_rate_hz, context.packet_time_ns)
        self._is_active = np.zeros(context.legs, np.bool_)
        self._histogram, self._speed = Histogram(), Histogram()
        self._wrong_clocks = 0
        self._next_sample_ns = 0

    def observe(self, batch: PacketBatch) -> None:
        """Bring the jitter of the batch's legs up to date."""
        self._estimator.update(batch)
        self._is_active[batch.leg] = True

    def advance(self, now_ns: int) -> None:
        """Take a sample, if it is time."""
        if now_ns >= self._next_sample_ns:
            # Looks come about once a second: waiting for a whole one would miss each that is a little early.
            self._next_sample_ns = now_ns + SAMPLE_NS * 9 // 10
            self._sample(self._is_active)

    def release(self, legs: NDArray[np.int32]) -> None:
        """Take a last sample of these legs, and forget them."""
        is_leaving = np.zeros(len(self._is_active), np.bool_)
        is_leaving[legs] = True
        self._sample(self._is_active & is_leaving)
        speed = self._estimator.clock_speed()[legs]
        speed = speed[~np.isnan(speed)]
        self._speed.record(np.rint(np.clip(speed, 0, _HIGHEST_SPEED) * 1000).astype(np.int64))
        self._wrong_clocks += int(np.count_nonzero(abs(speed - 1) > CLOCK_TOLERANCE))
        self._estimator.reset(legs)

    def _sample(self, chosen: NDArray[np.bool_]) -> None:
        jitter_ns = self._estimator.jitter_ns()[chosen]
        self._histogram.record(np.rint(jitter_ns[~np.isnan(jitter_ns)]).astype(np.int64))
        self._is_active &= ~chosen

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return the samples since :meth:`begin`."""
        return {
            "jitter": self._histogram.copy(),
            "timestamp.jumps": self._estimator.jumps,
            "timestamp.wrong_clock": self._wrong_clocks,
            "timestamp.speed": self._speed.copy(),
        }

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Return each leg's jitter now, in s."""
        return {"jitter": self._estimator.jitter_ns() / 1e9}
