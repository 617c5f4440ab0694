from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.reporting.places import CALLS_NAME, HTML_NAME, MARKDOWN_NAME, RECORD_NAME, check_file, check_folder

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_that_can_be_made_is_not_left_behind(tmp_path: Path) -> None:
    """Nor is anything in one that is there."""
    check_folder(tmp_path / "new" / "deep")
    check_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", ["mine", "mine/deeper"])
def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path, wrong: str) -> None:
    """Somebody meant it."""
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(UsageError, match=r"no report can be written into '.*mine"):
        check_folder(tmp_path / wrong)


@pytest.mark.parametrize("name", [RECORD_NAME, HTML_NAME, MARKDOWN_NAME, CALLS_NAME])
def test_a_folder_in_the_place_of_a_file_of_the_report_is_refused(tmp_path: Path, name: str) -> None:
    """It could not be replaced."""
    (tmp_path / name).mkdir()
    with pytest.raises(UsageError, match=f"{name} is a folder there"):
        check_folder(tmp_path)


def test_a_file_in_the_place_of_the_captures_is_refused(tmp_path: Path) -> None:
    """They need a folder."""
    (tmp_path / "captures").touch()
    with pytest.raises(UsageError, match="captures is not a folder there"):
        check_folder(tmp_path)


def test_an_earlier_report_is_replaced(tmp_path: Path) -> None:
    """That is what ``--sla-report DIR`` is given for."""
    for name in (RECORD_NAME, HTML_NAME, MARKDOWN_NAME, CALLS_NAME):
        (tmp_path / name).touch()
    (tmp_path / "captures").mkdir()
    check_folder(tmp_path)


def test_a_file_that_can_be_written_is_left_as_it_is(tmp_path: Path) -> None:
    """Whether it is there or not."""
    path = tmp_path / "junit.xml"
    check_file(path)
    assert not path.exists()
    path.write_text("old")
    check_file(path)
    assert path.read_text() == "old"


@pytest.mark.parametrize("wrong", ["/proc/nothing/junit.xml", "/proc/self/junit.xml", "/"])
def test_a_file_that_cannot_be_written_is_refused(wrong: str) -> None:
    """A folder, a file system that takes none, a path that cannot be made."""
    from pathlib import Path

    with pytest.raises(UsageError, match="cannot be written"):
        check_file(Path(wrong))
