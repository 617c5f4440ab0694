"""Makes the sample reports in ``reports/sample`` from a real run.

``python -m tests.make_sample ASTERISK`` runs the smoke scenarios against a private Asterisk (a binary, or the root
folder of a file system that holds one) with a limit that the relay does not keep: the sample has something to show.
``python -m tests.make_sample`` alone renders the stored run again, after a change of templates or charts.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from pytest_ari_sla.reporting.record.record_file import read_record
from pytest_ari_sla.reporting.report_folder import write_reports
from tests.record_console import FOLDER as CONSOLE

REPOSITORY = Path(__file__).parents[1]
SAMPLE = REPOSITORY / "reports" / "sample"
LIMIT = "rtt.p99 < 2ms"
CAPTURE = "worst:3"
HOST = "load-generator"
JUNIT = "junit.xml"


def run_scenarios(asterisk: str, folder: Path) -> None:
    """Put the smoke scenarios on an Asterisk; that one of them fails is expected."""
    command = [sys.executable, "-m", "pytest", "--asterisk", asterisk, "--sla", LIMIT, "--sla-capture", CAPTURE]
    files = ["--sla-report", str(folder), "--junitxml", str(folder / JUNIT)]
    done = subprocess.run([*command, *files, "scenarios/test_smoke.py"], cwd=REPOSITORY, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"pytest ended with exit code {done.returncode}; no sample was made")


def store(folder: Path) -> None:
    """Write all formats of a folder's record as the sample, without what is particular to this machine."""
    record = read_record(folder)
    record.run.host = HOST
    record.run.command_line = (
        f"pytest --asterisk /usr/sbin/asterisk --sla '{LIMIT}' --sla-capture {CAPTURE} --junitxml {JUNIT} "
        "scenarios/test_smoke.py"
    )
    for scenario in record.scenarios:
        for shard in scenario.harness:
            shard.host = record.run.host
    write_reports(record, SAMPLE)


def main() -> None:
    """Make a new sample, or render the stored one."""
    if len(sys.argv) == 1:
        store(SAMPLE)
        return
    with TemporaryDirectory() as name:
        folder = Path(name)
        run_scenarios(sys.argv[1], folder)
        for old in SAMPLE.iterdir():
            if old != CONSOLE:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        store(folder)
        if (folder / "captures").is_dir():
            shutil.copytree(folder / "captures", SAMPLE / "captures")
        junit = (folder / JUNIT).read_text(encoding="utf-8")
        (SAMPLE / JUNIT).write_text(re.sub(r'hostname="[^"]*"', f'hostname="{HOST}"', junit), encoding="utf-8")


if __name__ == "__main__":
    main()
