"""First calls and a first report without a project: ``ari-sla demo``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from pytest_ari_sla.scaffold.project import write_project

__all__ = ["run_demo"]


def run_demo(report: Path, asterisk: Path | None = None) -> int:
    """Run the scenario that ``ari-sla init`` writes, from a folder that is removed afterwards.

    Parameters
    ----------
    report
        The folder of the report.
    asterisk
        A binary, or the root folder of a system that has one, for a private Asterisk; None for the simulator.

    Returns
    -------
    The exit code of pytest.
    """
    target = "--ari-target=simulator" if asterisk is None else f"--asterisk={asterisk.absolute()}"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", target, "--ari-duration=5s"]
    # An ARI_URL of the user's would be another target than the one that was asked for.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ARI_")}
    with TemporaryDirectory(prefix="ari-sla-demo-") as name:
        write_project(Path(name), "none")
        command += [f"--sla-report={report.absolute()}", "scenarios/test_voice.py"]
        return subprocess.run(command, cwd=name, env=environment, check=False).returncode
