from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.session.reports.report import _point_latest_to, _write_reports
from tests.unit.reporting.factory import make_record

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("full_from", range(4))
def test_on_a_disk_that_fills_up_each_file_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_from: int
) -> None:
    """What was written stays, each that was not has a note, and nothing half is left."""
    written = 0
    sync = os.fsync

    def fill_up(handle: int) -> None:
        nonlocal written
        if written >= full_from:
            raise OSError(28, "No space left on device")
        written += 1
        sync(handle)

    monkeypatch.setattr(os, "fsync", fill_up)
    run = make_record()
    page = _write_reports(run, [], tmp_path, None)
    names = ["report.json", "calls.csv", "report.html", "summary.md"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[:full_from])
    for name in names[full_from:]:
        assert any("No space left" in note and f"({name})" in note for note in run.notes)
    assert page == {0: None, 1: tmp_path / "report.json", 2: tmp_path / "report.json"}.get(
        full_from, tmp_path / "report.html"
    )


def test_the_link_to_the_latest_report_follows(tmp_path: Path) -> None:
    """Also one that leads nowhere any more."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        _point_latest_to(tmp_path / name)
        assert (tmp_path / "latest").resolve() == tmp_path / name
    (tmp_path / "second").rmdir()
    (tmp_path / "third").mkdir()
    _point_latest_to(tmp_path / "third")
    assert (tmp_path / "latest").resolve() == tmp_path / "third"


def test_a_folder_in_the_place_of_that_link_is_somebodys_own(tmp_path: Path) -> None:
    """CI systems make one of the link when they keep it; nothing of ours is left beside it."""
    (tmp_path / "latest").mkdir()
    (tmp_path / "first").mkdir()
    with pytest.raises(FileExistsError, match="latest is not a link, and was left as it is"):
        _point_latest_to(tmp_path / "first")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "latest"]
