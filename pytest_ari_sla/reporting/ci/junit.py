"""A scenario as JUnit properties, for pytest's own ``--junitxml``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.reporting.wording.text import clean
from pytest_ari_sla.reporting.wording.values import show

if TYPE_CHECKING:
    from pytest_ari_sla.reporting.record.run_record import Scenario

__all__ = ["junit_properties"]


def junit_properties(scenario: Scenario) -> list[tuple[str, str]]:
    """Return (name, value) pairs for ``record_property`` or ``user_properties``: safe in XML, and plain.

    Values of metrics are numbers in the metric's unit, so that a CI system can plot them.
    """
    calls = scenario.calls
    properties = [
        ("sla.verdict", scenario.verdict),
        ("sla.reason", scenario.reason),
        ("sla.calls.requested", str(calls.requested)),
        ("sla.calls.established", str(calls.established)),
        ("sla.calls.failed", str(calls.failed)),
        ("sla.calls.dropped", str(calls.dropped)),
    ]
    for threshold in scenario.thresholds:
        outcome = f"{threshold.verdict}: {show(threshold.value, threshold.unit)}"
        properties.append((f"sla.threshold[{threshold.expression}]", outcome))
    for metric, values in scenario.metrics.items():
        properties += [(f"sla.{metric}.{stat}", f"{value}") for stat, value in values.items() if value is not None]
    # XML 1.0 cannot hold most control characters, not even escaped.
    return [(clean(name), clean(value)) for name, value in properties]
