"""The command that holds a fleet to its size, at a size that says little but shows that it works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fleet_at_size import RAMP_LIMIT, is_held, run_fleet, worst_ramp_error

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.soak
def test_a_fleet_is_held_to_a_reflector(tmp_path: Path) -> None:
    """All calls come up along the ramp, and whatever the verdict says about a busy machine, no packet is lost here."""
    scenario = run_fleet(tmp_path, calls=200, ramp_s=8, hold_s=3)
    assert scenario["topology"] == "reflected"
    assert scenario["calls"]["established"] == 200
    assert [shard["shard"] for shard in scenario["harness"]] == [1, 2]
    assert scenario["metrics"]["harness"]["receive_drops"] == 0
    assert scenario["metrics"]["loss"]["lost"] == 0
    assert max(worst_ramp_error(scenario, calls=200, ramp_s=8, hold_s=3)) <= RAMP_LIMIT


@pytest.mark.parametrize(
    ("verdict", "not_sent", "late_s", "ramp_error", "held"),
    [
        ("pass", 1, 0.005, 0.02, True),
        ("pass", 2, 0.0, 0.0, False),
        ("pass", 0, 0.0051, 0.0, False),
        ("pass", 0, 0.0, 0.021, False),
        ("inconclusive", 0, 0.0, 0.0, False),
    ],
)
def test_a_fleet_has_held_only_what_it_promised(
    verdict: str, not_sent: int, late_s: float, ramp_error: float, held: bool
) -> None:
    """The verdict of the usual machinery, at most 0.1 % of packets late and as many not sent, and 2 % off the ramp."""
    metrics = {"harness": {"not_sent": not_sent}, "harness.pacing_error": {"p999": late_s}, "loss": {"sent": 1_000}}
    assert is_held({"verdict": verdict, "metrics": metrics}, (0.0, ramp_error)) is held
