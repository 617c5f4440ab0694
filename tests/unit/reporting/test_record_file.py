import os
from pathlib import Path

import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.reporting.record.record_file import read_record, write_atomically, write_record
from tests.unit.reporting.factory import make_record


def test_a_record_is_found_by_its_folder_and_by_its_file(tmp_path: Path) -> None:
    """Both ways of naming a report lead to it."""
    path = write_record(make_record(), tmp_path / "new" / "folder")
    assert read_record(path) == read_record(path.parent) == make_record()


def test_a_missing_record_is_a_usage_error(tmp_path: Path) -> None:
    """The message names the file that was looked for."""
    with pytest.raises(UsageError, match=r"cannot read .*report\.json: No such file"):
        read_record(tmp_path)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader never sees half a file, and no temporary file stays behind."""
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


def test_a_report_can_be_read_by_other_users(tmp_path: Path) -> None:
    """A CI system's artifact step may run as somebody else."""
    assert write_record(make_record(), tmp_path).stat().st_mode & 0o777 == 0o644
