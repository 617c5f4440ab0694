"""The generated table of metrics: ``python -m tests.metrics_page`` writes ``docs/metrics.md``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_ari_sla.metrics.hdr_layout import SIGNIFICANT_DIGITS
from pytest_ari_sla.session.plugins.registry import builtin_registry

if TYPE_CHECKING:
    from pytest_ari_sla.metrics.catalogue import Metric

__all__ = ["PAGE", "ROOT", "metrics_page"]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "metrics.md"
READING = "own reading"
CORE_TESTS = {
    "calls": "tests/unit/load/calls/test_call_table.py",
    "calls.deaf": "tests/unit/load/calls/test_call_driver.py",
    "calls.leaked": "tests/asterisk/test_fault_table.py",
    "calls.left_unknown": "tests/unit/load/test_diagnosis.py",
    "calls.not_started": "tests/unit/load/calls/test_call_driver.py",
    "content.unheard": "tests/unit/media/test_caller_worker.py",
    "first_packet": "tests/unit/load/calls/test_first_packet.py",
    "ari.errors": "tests/unit/load/meters/test_control_meter.py",
    "dead_air": "tests/unit/callers/test_script.py",
    "sip": "tests/oracles/test_sip.py",
    "script": "tests/unit/callers/test_meter.py",
    "talk_over": "tests/unit/callers/test_script.py",
    "target": "tests/asterisk/test_voice_bot.py",
    "relay": "tests/unit/far_end/test_relay_worker.py",
    **dict.fromkeys(
        ("relay.received", "relay.forwarded", "relay.echoed", "relay.duplicates", "relay.lost"),
        "a capture of the same load, tests/oracles/test_media.py",
    ),
    "relay.receive_drops": READING,
    "relay_rtt": "tests/unit/far_end/test_relay_worker.py",
    "target.held_frames": "tests/unit/stream_media/test_transport.py",
    "target.restarts": "tests/unit/watch/test_target_watch.py",
    "target.stall": "tests/unit/watch/test_probes.py",
    "target.stopped_answering": "tests/unit/watch/test_probes.py",
    "target.queue_backlog": "tests/unit/stream_media/test_transport.py",
}
"""Where metrics are held to arithmetic, other than in the test of the tracker that measures them."""

INTRODUCTION = f"""\
# What is measured

Generated from the catalogue by `python -m tests.metrics_page`; a test holds it to the code.

*Held to* names the independent calculation that tests compare a metric with: a capture (tshark, dumpcap) of the same
load where it says so, else the arithmetic of a unit test over packets whose fate the test has chosen. Metrics of the
generator's own health (`harness.…`) are readings of the kernel and of its own clocks; nothing outside can tell them.

*Error bound* is what measuring adds. Counts are exact, and so are the two counts of a ratio. A distribution is kept as
a histogram of {SIGNIFICANT_DIGITS} significant digits: a percentile is at most 0.1 % above the sample of that rank and
never below it; minimum, mean and maximum are exact.

Every delay is the kernel's time of arrival less the time of sending. Up to seven packets that leave together have the
kernel's stamp of the first. Of more, the kernel stamps the first and every 32nd in one packet time of 64, and each
packet has an even share of its system call, but of an interruption none. Against a reflector's own record that is 9 to
16 us off at p50 (`python -m tests.benchmarks`, 500 and 2,000 calls).
"""


def metrics_page() -> str:
    """Return the page."""
    registry = builtin_registry()
    tests = {
        metric.name: _test_of(type(tracker).__module__)
        for tracker in registry.trackers.values()
        for metric in tracker.metrics
    }
    lines = [INTRODUCTION, "| Metric | Unit | Definition | Held to | Error bound |", "|---|---|---|---|---|"]
    lines += [
        f"| `{metric.name}` | {metric.unit} | {metric.definition} | {_oracle(metric, tests)} | {_bound(metric)} |"
        for metric in registry.catalogue
    ]
    return "\n".join(lines) + "\n"


def _test_of(module: str) -> str:
    """Return the path of a built-in tracker's tests, which lie as the trackers do."""
    *room, name = module.split(".")[1:]
    return "/".join(["tests/unit", *room, f"test_{name}.py"])


def _oracle(metric: Metric, tests: dict[str, str]) -> str:
    """Return what a metric is held to; a ratio is held to what its numerator is."""
    if metric.oracle:
        return metric.oracle
    if metric.name.startswith("harness."):
        return READING
    name = metric.numerator or metric.name
    return CORE_TESTS.get(name) or tests.get(name) or CORE_TESTS[name.partition(".")[0]]


def _bound(metric: Metric) -> str:
    return metric.error_bound or {"count": "exact", "ratio": "exact", "distribution": "0.1 %"}[metric.kind]


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(metrics_page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
