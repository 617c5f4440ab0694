"""The running load for Prometheus: the picture that the live console shows, as gauges and counters over HTTP.

Needs the extra ``pytest-ari-sla[prometheus]``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_ari_sla.errors import HarnessError, UsageError
from pytest_ari_sla.reporting.wording.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from pytest_ari_sla.reporting.live.live_state import LiveFigure, LiveState

__all__ = ["PrometheusEndpoint"]

_PREFIX: Final = "ari_sla"
_UNITS: Final = {"s": "seconds", "ratio": "ratio", "mos": "mos", "B": "bytes", "ppm": "ppm"}
_SIMPLE: Final = (
    ("calls_up", "Calls that are up", "calls_now"),
    ("calls_wanted", "Calls that the profile wants up", "calls_wanted"),
    ("elapsed_seconds", "Time since the load began", "elapsed_s"),
)
_COUNTS: Final = (
    ("calls_established", "Calls established", "established"),
    ("calls_failed", "Calls that failed", "failed"),
    ("calls_dropped", "Calls that ended too early", "dropped"),
)


class PrometheusEndpoint:
    """Serves the latest state at ``http://HOST:PORT/metrics``.

    Parameters
    ----------
    port
        TCP port; 0 for any free one.
    host
        Address to listen at; this machine only, unless it is said otherwise.

    Raises
    ------
    UsageError
        The library is not installed.
    HarnessError
        The port cannot be had.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        try:
            from prometheus_client import CollectorRegistry, start_http_server
        except ImportError as error:
            raise UsageError("--sla-prometheus needs: pip install 'pytest-ari-sla[prometheus]'") from error
        self._state: LiveState | None = None
        # The global registry would add figures of this process: its garbage collector, its memory.
        registry = CollectorRegistry()
        registry.register(self)
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise HarnessError(f"cannot serve metrics at {host}:{port}: {error.strerror}") from error
        self.port = self._server.server_port

    def update(self, state: LiveState) -> None:
        """Let the next scrape see this state."""
        self._state = state

    def clear(self) -> None:
        """Let the load be over: what it came to stays to be scraped, but no call is up any more."""
        if self._state is not None:
            self._state = replace(self._state, calls_now=0, calls_wanted=0)

    def close(self) -> None:
        """Stop serving."""
        # In this order: the socket must not go while the server still serves, nor the thread be awaited before it ends.
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def collect(self) -> Iterator[Metric]:
        """Yield the state in Prometheus' shape; called by a scrape, in the server's thread."""
        # Taken once: the next state may come in the middle of a scrape.
        state = self._state
        if state is not None:
            yield from _load_metrics(state)
            yield from _figure_metrics(state)
            yield from _shard_metrics(state)
            yield from _threshold_metrics(state)


def _load_metrics(state: LiveState) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    labels = [clean(state.scenario)]
    for name, description, field in _SIMPLE:
        gauge = GaugeMetricFamily(f"{_PREFIX}_{name}", description, labels=["scenario"])
        gauge.add_metric(labels, getattr(state, field))
        yield gauge
    for name, description, field in _COUNTS:
        counter = CounterMetricFamily(f"{_PREFIX}_{name}", description, labels=["scenario"])
        counter.add_metric(labels, getattr(state, field))
        yield counter
    loss = GaugeMetricFamily(f"{_PREFIX}_loss_ratio", "Share of packets lost", labels=["scenario", "span"])
    for span, value in (("recent", state.loss_recent), ("whole", state.loss_whole)):
        if value is not None:
            loss.add_metric([*labels, span], value)
    yield loss


def _figure_metrics(state: LiveState) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    scenario = clean(state.scenario)
    for figure in state.figures:
        if figure.is_count:
            # Since the load's start: how much in a while is for rate() to say, as of any counter.
            counter = CounterMetricFamily(_name_of(figure), f"Count of {clean(figure.metric)}", labels=["scenario"])
            counter.add_metric([scenario], figure.whole or 0)
            yield counter
            continue
        if figure.whole is not None:
            ratio = GaugeMetricFamily(_name_of(figure), clean(figure.metric), labels=["scenario", "span"])
            for span, value in (("recent", figure.recent), ("whole", figure.whole)):
                if value is not None:
                    ratio.add_metric([scenario, span], value)
            yield ratio
            continue
        gauge = GaugeMetricFamily(
            _name_of(figure), f"Percentiles of {clean(figure.metric)}", labels=["scenario", "span", "quantile"]
        )
        for span, quantile, value in (
            ("recent", "0.5", figure.recent_p50),
            ("recent", "0.99", figure.recent_p99),
            ("whole", "0.5", figure.whole_p50),
            ("whole", "0.99", figure.whole_p99),
        ):
            if value is not None:
                gauge.add_metric([scenario, span, quantile], value)
        yield gauge


def _name_of(figure: LiveFigure) -> str:
    """Return a name as Prometheus wants it: ASCII, with a base unit, which a number of things has none of."""
    unit = _UNITS.get(figure.unit, figure.unit)
    words = [_PREFIX, figure.metric, *([unit] if unit != "count" else [])]
    # A plug-in's metric may be named in any alphabet.
    return re.sub(r"\W", "_", "_".join(words), flags=re.ASCII)


def _shard_metrics(state: LiveState) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    labels = ["scenario", "shard"]
    late = GaugeMetricFamily(f"{_PREFIX}_pacing_error_seconds", "How late packets left, 99th percentile", labels=labels)
    busy = GaugeMetricFamily(f"{_PREFIX}_generator_cpu_ratio", "Busy share of a core", labels=labels)
    drops = CounterMetricFamily(f"{_PREFIX}_receive_drops", "Packets lost in our own receive buffers", labels=labels)
    for shard in state.shards:
        values = [clean(state.scenario), str(shard.shard)]
        drops.add_metric(values, shard.receive_drops)
        for gauge, value in ((late, shard.pacing_p99_s), (busy, shard.cpu_ratio)):
            if value is not None:
                gauge.add_metric(values, value)
    yield from (late, busy, drops)


def _threshold_metrics(state: LiveState) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    labels = ["scenario", "threshold"]
    holds = GaugeMetricFamily(f"{_PREFIX}_threshold_holds", "Whether a threshold holds so far: 1 or 0", labels=labels)
    for threshold in state.thresholds:
        if threshold.holds is not None:
            holds.add_metric([clean(state.scenario), clean(threshold.expression)], threshold.holds)
    yield holds
