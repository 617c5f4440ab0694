"""The files for containers that ``ari-sla init`` writes: what they start, started on this host in their stead."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from pytest_ari_sla.scaffold.project import write_containers, write_project
from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
from tests.asterisk.conftest import provisioned_folder

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "not \"a' word"


@pytest.fixture
def services(tmp_path: Path) -> dict[str, Any]:
    """Return the services of a project's compose file."""
    write_project(tmp_path, "none")
    write_containers(tmp_path)
    text = re.sub(r"\$\{ARI_PASSWORD:\?[^}]*\}", "PASSWORD", (tmp_path / "compose.yaml").read_text())
    found: dict[str, Any] = yaml.safe_load(text)["services"]
    return found


def instruction(containerfile: Path, name: str) -> list[str]:
    """Return the words of an instruction in its exec form."""
    (text,) = re.findall(rf"^{name} (\[.*\])$", containerfile.read_text(), re.MULTILINE)
    words: list[str] = json.loads(text)
    return words


def write_user(configuration: Path, command: str) -> None:
    """Run what the container's shell does before it becomes Asterisk."""
    before, becomes = command.replace("/etc/asterisk", str(configuration)).split(" && ")
    assert becomes == "exec asterisk -f"
    subprocess.run(["sh", "-c", before], env={**os.environ, "ARI_PASSWORD": PASSWORD}, check=True)


def test_asterisk_and_load_generator_find_each_other(services: dict[str, Any], tmp_path: Path) -> None:
    """The load's command, with its environment, passes on an Asterisk that has the container's configuration."""
    asterisk, load = services["asterisk"], services["load"]
    configuration = tmp_path / asterisk["build"] / "etc"
    write_user(configuration, instruction(tmp_path / asterisk["build"] / "Containerfile", "CMD")[-1])
    http, port = configuration / "http.conf", free_port()
    assert "bindport = 8088" in http.read_text()
    http.write_text(http.read_text().replace("8088", str(port)).replace("0.0.0.0", "127.0.0.1"))
    environment = load["environment"]
    assert (environment["ARI_URL"], environment["ARI_PASSWORD"]) == ("http://asterisk:8088", "PASSWORD")
    assert load["depends_on"].keys() == {"asterisk"}
    running = PrivateAsterisk(provisioned_folder("22"), ari_port=port, configuration_folder=configuration)
    running.user, running.password = environment["ARI_USER"], PASSWORD
    entry_point = instruction(tmp_path / load["build"] / "Containerfile", "ENTRYPOINT")
    options = ["--ari-duration=1s", "--sla-pacing-limit=1m", "--sla-inconclusive=pass"]
    with running:
        done = subprocess.run(
            [sys.executable, "-m", *entry_point, *load["command"], *options],
            cwd=tmp_path,
            env=os.environ | environment | {"ARI_URL": f"http://127.0.0.1:{port}", "ARI_PASSWORD": PASSWORD},
            text=True,
            capture_output=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    (folder, _) = load["volumes"][0].split(":")
    report = json.loads((tmp_path / folder / "voice" / "report.json").read_text())
    assert report["scenarios"][0]["calls"]["established"] == 10


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
