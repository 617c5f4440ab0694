import ast
import tomllib
from pathlib import Path

import pytest

from pytest_ari_sla.errors import UnknownName, UsageError
from pytest_ari_sla.scaffold.project import CI_SYSTEMS, write_project
from pytest_ari_sla.session.plugins.registry import builtin_registry
from pytest_ari_sla.sla.threshold import parse


@pytest.mark.parametrize("ci", CI_SYSTEMS)
def test_a_project_has_a_scenario_its_thresholds_and_a_job(ci: str, tmp_path: Path) -> None:
    """No file keeps a placeholder of ours; the job runs what was written."""
    contents = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in write_project(tmp_path, ci)}
    jobs = {"github": [".github/workflows/voice-sla.yml"], "gitlab": ["voice-sla.gitlab-ci.yml"], "none": []}
    assert sorted(contents) == sorted(
        [*jobs[ci], "pytest.ini", "scenarios/sla.toml", "scenarios/test_bot.py", "scenarios/test_voice.py"]
    )
    for job in jobs[ci]:
        assert "--ari-target external" in contents[job]


@pytest.mark.parametrize(
    ("name", "text", "is_written"),
    [
        ("pyproject.toml", "[project]\nname = 'voice'\n", True),
        ("pyproject.toml", "[tool.pytest.ini_options]\nxfail_strict = true\n", False),
        ("pyproject.toml", "[tool.pytest]\nstrict = true\n", False),
        ("tox.ini", "[tox]\n", True),
        ("tox.ini", "[tox]\n[pytest]\n", False),
        ("setup.cfg", "[tool:pytest]\n", False),
        ("pytest.toml", "", False),
        (".pytest.ini", "", False),
    ],
)
def test_settings_of_pytest_that_are_there_stand(name: str, text: str, is_written: bool, tmp_path: Path) -> None:
    """A pytest.ini of ours beside them would take their place."""
    (tmp_path / name).write_text(text)
    written = {path.name for path in write_project(tmp_path, "none")}
    assert ("pytest.ini" in written) == is_written


def test_a_job_of_github_takes_the_address_from_a_secret(tmp_path: Path) -> None:
    """Its own placeholders stay."""
    job, *_ = write_project(tmp_path, "github")
    assert job.name == "voice-sla.yml"
    assert "ARI_URL: ${{ secrets.ARI_URL }}" in job.read_text()


def test_the_thresholds_can_be_read(tmp_path: Path) -> None:
    """What is written works as it is."""
    write_project(tmp_path, "none")
    catalogue = builtin_registry().catalogue
    thresholds = tomllib.loads((tmp_path / "scenarios" / "sla.toml").read_text())["sla"]["thresholds"]
    assert [str(parse(text, catalogue)) for text in thresholds] == thresholds
    assert ast.get_docstring(ast.parse((tmp_path / "scenarios" / "test_voice.py").read_text()))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """Where one file is there already, none is written."""
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "sla.toml").write_text("mine")
    with pytest.raises(UsageError, match=r"these files already: scenarios/sla.toml; nothing was written"):
        write_project(tmp_path)
    assert [path.read_text() for path in tmp_path.rglob("*") if path.is_file()] == ["mine"]


def test_an_unknown_ci_system_is_refused(tmp_path: Path) -> None:
    """With the nearest one."""
    with pytest.raises(UnknownName, match=r"unknown CI system 'gitlap'; did you mean gitlab"):
        write_project(tmp_path, "gitlap")
