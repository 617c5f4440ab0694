"""The generated table of metrics: ``python -m tests.metrics_page`` writes ``docs/metrics.md``."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_ari_sla.metrics.hdr_layout import SIGNIFICANT_DIGITS
from pytest_ari_sla.session.plugins.registry import builtin_registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.metrics.metric import Metric

__all__ = ["PAGE", "READING", "ROOT", "metrics_page", "mos_of_legs", "names_in"]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "metrics.md"
READING = "own reading"
CORE_TESTS = {
    "calls": "tests/unit/load/calls/test_call_table.py",
    "calls.deaf": "tests/unit/load/calls/test_call_driver.py",
    "calls.leaked": "tests/asterisk/fault_rows.py",
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
    "relay": "tests/unit/peers/test_relay_worker.py",
    "relay.receive_drops": READING,
    "relay_rtt": "tests/unit/peers/test_relay_worker.py",
    "target.held_frames": "tests/unit/stream_media/test_transport.py",
    "target.leaked_files": "tests/unit/watch/test_leak_audit.py",
    "target.leaked_memory": "tests/unit/watch/test_leak_rules.py",
    "target.leaked_ports": "tests/unit/watch/test_leak_audit.py",
    "target.leaked_threads": "tests/unit/watch/test_leak_rules.py",
    "target.restarts": "tests/unit/watch/test_target_watch.py",
    "target.rtp_statistics_compared": "tests/asterisk/test_rtp_statistics.py",
    "target.rtp_statistics_off": "tests/asterisk/test_rtp_statistics.py",
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


MOS_INTRODUCTION = """
## What a MOS is the quality of

A score is of what one leg hears, and of no more than the probes that it hears can tell. Where it hears another leg,
both ends are this generator, and each direction has a score of its own. Where it hears itself, the ways there and back
cannot be told apart: what is lost or comes too late on either counts, which makes the score worse than that of either
way, and the delay of one way is taken to be half the round trip. A limit on the MOS of an echo or relay is therefore
stricter than the same limit on a pair.
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
    lines += [MOS_INTRODUCTION, "| Topology | Leg of a call | Its MOS is the quality of |", "|---|---|---|"]
    for name, topology in sorted(registry.topologies.items()):
        lines += [f"| `{name}` | {leg} | {words} |" for leg, words in mos_of_legs(topology.heard_leg).items()]
    return "\n".join(lines) + "\n"


def mos_of_legs(heard_leg: Sequence[int]) -> dict[str, str]:
    """Return what the MOS of the legs of a topology is the quality of, by their numbers, from 1."""
    words: dict[str, list[str]] = {}
    for leg, heard in enumerate(heard_leg):
        if heard < 0:
            what = "nothing: it hears no probes, and is not rated"
        elif heard == leg:
            what = "both ways together: all that either lost or delayed, at half the round trip"
        else:
            what = f"one direction: from leg {heard + 1} to it"
        words.setdefault(what, []).append(str(leg + 1))
    return {" and ".join(legs): what for what, legs in words.items()}


def _test_of(module: str) -> str:
    """Return the path of a built-in tracker's tests, which lie as the trackers do."""
    *room, name = module.split(".")[1:]
    return "/".join(["tests/unit", *room, f"test_{name}.py"])


@cache
def names_in(path: Path) -> frozenset[str]:
    """Return the strings that stand in a test as they are: a metric's name is one, wherever its figure is read."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def _captures(name: str) -> list[str]:
    """Return the tests that hold a metric to a capture."""
    oracles = sorted((ROOT / "tests" / "oracles").glob("test_*.py"))
    return [str(path.relative_to(ROOT)) for path in oracles if name in names_in(path)]


def _oracle(metric: Metric, tests: dict[str, str]) -> str:
    """Return what a metric is held to; a ratio is held to what its numerator is."""
    name = metric.numerator or metric.name
    if metric.oracle:
        return metric.oracle
    if captures := _captures(name):
        return f"a capture of the same load, {captures[0]}"
    if metric.name.startswith("harness."):
        return READING
    return CORE_TESTS.get(name) or tests.get(name) or CORE_TESTS[name.partition(".")[0]]


def _bound(metric: Metric) -> str:
    return metric.error_bound or {"count": "exact", "ratio": "exact", "distribution": "0.1 %"}[metric.kind]


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(metrics_page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
