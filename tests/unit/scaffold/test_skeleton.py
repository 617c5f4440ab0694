import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pytest_ari_sla.errors import UnknownName, UsageError
from pytest_ari_sla.scaffold.skeleton import KINDS, write_skeleton

EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


@EVERY_KIND
def test_a_new_package_passes_its_own_tests(kind: str, tmp_path: Path) -> None:
    """What is written works at once: an author begins with a green run."""
    write_skeleton(kind, "call-shape", tmp_path)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        cwd=tmp_path / "pytest-ari-sla-call-shape",
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@EVERY_KIND
def test_a_new_package_is_free_of_lint(kind: str, tmp_path: Path) -> None:
    """It is formatted, and imports nothing that it does not use."""
    write_skeleton(kind, "call-shape", tmp_path)
    rules = ["--isolated", "--no-cache", "--line-length", "120"]
    for command in (["check", "--select", "E,F,I,UP"], ["format", "--check"]):
        result = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *rules],
            cwd=tmp_path / "pytest-ari-sla-call-shape",
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout


@EVERY_KIND
def test_the_entry_point_leads_to_the_plugin(kind: str, tmp_path: Path) -> None:
    """Pytest finds the package by its entry point, and the hook that it implements exists."""
    from pytest_ari_sla.hookspecs import hooks

    files = write_skeleton(kind, "call-shape", tmp_path)
    folder = tmp_path / "pytest-ari-sla-call-shape"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    (module,) = project["entry-points"]["pytest11"].values()
    plugin = folder / "src" / Path(*module.split(".")).with_suffix(".py")
    assert plugin in files
    (hook,) = [line.split("(")[0][4:] for line in plugin.read_text().splitlines() if line.startswith("def ")]
    assert hasattr(hooks, hook)


def test_no_word_is_left_to_fill_in(tmp_path: Path) -> None:
    """Neither a file nor its name keeps a placeholder."""
    for kind in KINDS:
        for path in write_skeleton(kind, kind, tmp_path):
            assert "$" not in str(path.relative_to(tmp_path)) + path.read_text()


@pytest.mark.parametrize("name", ["", "Size", "2size", "packet size", "../size", "a--b", "size-"])
def test_a_name_that_cannot_be_a_package_is_refused(name: str, tmp_path: Path) -> None:
    """Nothing is written then."""
    with pytest.raises(UsageError, match="cannot name a package"):
        write_skeleton("tracker", name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unknown_kind_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    """Mistyped kinds are told."""
    with pytest.raises(UnknownName, match=r"unknown kind of plugin 'trackr'; did you mean tracker\?"):
        write_skeleton("trackr", "size", tmp_path)


def test_what_exists_is_not_overwritten(tmp_path: Path) -> None:
    """An author's work survives a second call."""
    first = write_skeleton("tracker", "size", tmp_path)[0]
    first.write_text("mine")
    with pytest.raises(UsageError, match="exists already, and is left as it is"):
        write_skeleton("tracker", "size", tmp_path)
    assert first.read_text() == "mine"
