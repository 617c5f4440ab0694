"""What ``ari-sla init`` writes, run as it stands: the scenario by hand, and the CI job's own lines."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.scaffold.project import write_project
from pytest_ari_sla.targets.simulator.process import SimulatorProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

# Two seconds say nothing about speed, and are too short for a comparison that could tell.
SMALL = "--ari-duration=2s --sla-pacing-limit=1m --sla-inconclusive=pass --sla-max-regression=10000%"
INSTALLS = "pip install pytest-ari-sla"  # tests/sessions/test_readme_commands.py does that


@pytest.fixture(scope="module")
def pbx() -> Iterator[str]:
    """Return the secret of a CI job: the URL of what stands for its Asterisk."""
    with SimulatorProcess() as simulator:
        yield f"http://{simulator.user}:{simulator.password}@{simulator.url.split('/')[2]}"


def lines_of_job(job: Path) -> list[str]:
    """Return what the job gives to its shell, step by step."""
    text = job.read_text()
    steps = re.findall(r"^ +- run: (?:\|\n((?: {10}.*\n)+)|(.*)\n)", text, re.MULTILINE)  # of GitHub
    if not steps:
        script = re.search(r"script:\n((?: {4}.*\n)+)", text)
        assert script
        steps = re.findall(r"^ +- (?:>\n((?: {6}.*\n)+)|(.*)\n)", script[1], re.MULTILINE)  # of GitLab
    folded = (block.replace("\n", " ") if job.suffix == ".yml" and "script:" in text else block for block, _ in steps)
    return [block or line for block, (_, line) in zip(folded, steps, strict=True)]


def run_job(job: Path, pbx: str) -> subprocess.CompletedProcess[str]:
    """Run the lines of a job as CI does: one shell, which ends at the first failure."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
    environment |= {"ARI_URL": pbx, "PYTEST_ADDOPTS": SMALL}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    lines = [line for line in lines_of_job(job) if line != INSTALLS]
    return subprocess.run(
        ["bash", "-e", "-c", "\n".join(lines)],
        cwd=next(folder for folder in job.parents if (folder / "scenarios").is_dir()),
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


@pytest.mark.parametrize("ci", ["github", pytest.param("gitlab", marks=pytest.mark.soak)])
def test_the_job_runs_as_it_stands(ci: str, pbx: str, tmp_path: Path) -> None:
    """It leaves a report, JUnit's file, and a baseline, which the next run is compared with."""
    (job,) = (path for path in write_project(tmp_path, ci) if path.suffix == ".yml")
    assert INSTALLS in lines_of_job(job)
    first = run_job(job, pbx)
    assert first.returncode == 0, first.stdout
    assert "Warning" not in first.stdout
    reports = tmp_path / "reports" / "voice"
    assert ElementTree.parse(reports / "junit.xml").getroot().find(".//testcase") is not None
    assert json.loads((reports / "report.json").read_text())["scenarios"][0]["baseline"] is None
    second = run_job(job, pbx)
    assert second.returncode == 0, second.stdout
    assert json.loads((reports / "report.json").read_text())["scenarios"][0]["baseline"]["comparisons"]


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_a_job_without_its_secret_fails(ci: str, tmp_path: Path) -> None:
    """CI gives an empty variable then: the simulator must not be tested in the place of their Asterisk."""
    (job,) = (path for path in write_project(tmp_path, ci) if path.suffix == ".yml")
    done = run_job(job, "")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.stdout
    assert "ARI_URL is set, but empty" in done.stdout


def test_the_test_of_a_bot_calls_the_extension_that_is_named(pbx: str, tmp_path: Path) -> None:
    """Without a name it is skipped, and says which variable names one; how fast the bot is does not matter here."""
    write_project(tmp_path, "none")
    ari_sla = [sys.executable, "-m", "pytest_ari_sla"]
    log = tmp_path / "bot.jsonl"
    pytest_command = [sys.executable, "-m", "pytest", "--ari-url", pbx, "-p", "no:cacheprovider", *SMALL.split()]
    with subprocess.Popen([*ari_sla, "bot", pbx, "--log", str(log)]) as bot:
        try:
            while bot.poll() is None and not (log.exists() and "subscribed" in log.read_text()):
                time.sleep(0.05)
            done = subprocess.run(
                [*pytest_command, "--sla-report=report", "scenarios/test_bot.py"],
                cwd=tmp_path,
                env=os.environ | {"VOICE_BOT": "bot@stasis"},
                text=True,
                capture_output=True,
                check=False,
            )
        finally:
            bot.terminate()
    (scenario,) = json.loads((tmp_path / "report" / "report.json").read_text())["scenarios"]
    assert scenario["topology"] == "caller", done.stdout
    assert scenario["metrics"]["script"]["completed"] == scenario["calls"]["requested"] == 10, done.stdout


def test_the_demo_makes_calls_on_the_simulator_and_leaves_nothing_but_its_report(tmp_path: Path) -> None:
    """It needs no project and no Asterisk, and an ARI_URL that is set is not its target."""
    environment = {**os.environ, "ARI_URL": "http://nobody:secret@192.0.2.1:8088", "PYTEST_ADDOPTS": SMALL}
    command = [sys.executable, "-m", "pytest_ari_sla", "demo"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True, check=False)
    assert "Target: simulator" in done.stdout, done.stdout + done.stderr
    record = json.loads((tmp_path / "reports" / "demo" / "report.json").read_text())
    assert record["scenarios"][0]["calls"]["established"] == 10
    assert [path.name for path in tmp_path.iterdir()] == ["reports"]
