from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

PROVISION = Path(__file__).with_name("provision")


def provision(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script; nothing answers at the mirror that it is given."""
    return subprocess.run(
        [PROVISION, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "DEBIAN_MIRROR": "http://127.0.0.1:9/debian", **environment},
    )


def test_a_complete_folder_is_left_as_it_is(tmp_path: Path) -> None:
    """Running the script again costs nothing, and needs no network."""
    (tmp_path / ".provisioned").write_text("Asterisk 22.10.1\n")
    result = provision("22", str(tmp_path))
    assert (result.returncode, result.stdout) == (0, f"Asterisk 22.10.1 is in {tmp_path}\n")


def test_the_default_folder_is_in_the_users_cache(tmp_path: Path) -> None:
    """XDG_CACHE_HOME where it is set, else ~/.cache."""
    folder = tmp_path / ".cache/pytest-ari-sla/asterisk-16"
    folder.mkdir(parents=True)
    (folder / ".provisioned").write_text("Asterisk 16.28.0\n")
    assert str(folder) in provision("16", HOME=str(tmp_path)).stdout
    assert str(folder) in provision("16", XDG_CACHE_HOME=str(tmp_path / ".cache")).stdout


def test_a_folder_of_somebody_else_is_not_touched(tmp_path: Path) -> None:
    """It may hold anything."""
    (tmp_path / "precious").touch()
    result = provision("22", str(tmp_path))
    assert result.returncode == 1
    assert f"{tmp_path} exists, but was not completed by this script" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_mirror_that_does_not_answer_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    """The folder is complete or not there at all."""
    result = provision("22", str(tmp_path / "asterisk"))
    assert result.returncode == 1
    assert "could not read the suite 'forky' from the mirror http://127.0.0.1:9/debian" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["22", "a", "b"], ["18"]])
def test_wrong_arguments_are_answered_with_the_usage(arguments: list[str]) -> None:
    """A version without a recipe is one of them."""
    result = provision(*arguments)
    assert result.returncode == 1
    assert "usage: provision 22|16 [DIR]" in result.stderr


def test_without_a_home_a_folder_must_be_named() -> None:
    """As in a bare container."""
    result = provision("22")
    assert result.returncode == 1
    assert "name a folder: provision 22 DIR" in result.stderr
