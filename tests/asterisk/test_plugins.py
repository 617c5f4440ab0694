from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk

PLUGINS = Path(__file__).parents[2] / "plugins"
NAMES = ["pesq", "vitals", "dialplan"]

SCENARIO = '''
import pytest

@pytest.mark.sla("pesq.nb.p50 >= 3.5", "vitals.cpu.max < 400%", "vitals.open_files.max < 1000")
async def test_an_extension(load):
    """Five callers in an extension of the dialplan."""
    await load(calls=5, duration="10s", topology="dialplan")
'''


def run_with_plugins(asterisk: PrivateAsterisk, folder: Path) -> dict[str, Any]:
    """Run the scenario in a pytest of its own that loads the plugins from their folders; return what it reports."""
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    (folder / "test_scenario.py").write_text(SCENARIO)
    sources = os.pathsep.join(str(PLUGINS / f"pytest-ari-sla-{name}" / "src") for name in NAMES)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--ari-url", asterisk.url]
    for name in NAMES:
        command += ["-p", f"pytest_ari_sla_{name}.plugin"]
    command += ["--dialplan-extension", "echo@default", "--sla-inconclusive", "pass"]
    ended = subprocess.run(
        [*command, "--sla-report", str(folder / "report"), str(folder)],
        cwd=folder,
        env=os.environ
        | {"ARI_USER": asterisk.endpoint.user, "ARI_PASSWORD": asterisk.endpoint.password, "PYTHONPATH": sources},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (scenario,) = json.loads((folder / "report" / "report.json").read_text())["scenarios"]
    reported: dict[str, Any] = scenario
    return reported


def test_the_shipped_plugins_measure_a_real_asterisk(asterisk22: PrivateAsterisk, tmp_path: Path) -> None:
    """Calls go where the dialplan plugin sends them; how they sound, and what they cost Asterisk, is in the report."""
    files_before = len(os.listdir(f"/proc/{asterisk22.pid}/fd"))
    scenario = run_with_plugins(asterisk22, tmp_path)
    metrics = scenario["metrics"]
    assert scenario["topology"] == "dialplan"
    assert metrics["pesq.nb"]["count"] > 0
    assert metrics["vitals.rss"]["min"] > 10e6
    assert metrics["vitals.channels"]["max"] == 5
    # Not against its least: on a busy machine the first reading may come when all calls are up.
    assert metrics["vitals.open_files"]["max"] >= files_before + 5
