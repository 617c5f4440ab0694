"""The files of a report, and whether they can be written: asked before the first call, not after a soak.

What only fails later on (a disk that fills up, a mount that goes away) costs that file alone, and is said in a note.
"""

from __future__ import annotations

from contextlib import suppress
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final

from pytest_ari_sla.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "CALLS_NAME",
    "CAPTURES_NAME",
    "EVIDENCE_NAME",
    "HTML_NAME",
    "MARKDOWN_NAME",
    "RECORD_NAME",
    "check_file",
    "check_folder",
]

RECORD_NAME: Final = "report.json"
HTML_NAME: Final = "report.html"
MARKDOWN_NAME: Final = "summary.md"
CALLS_NAME: Final = "calls.csv"
CAPTURES_NAME: Final = "captures"
EVIDENCE_NAME: Final = "evidence"


def check_folder(folder: Path) -> None:
    """Make sure that a report can be written into a folder; nothing of the trial is left.

    Raises
    ------
    UsageError
        It is a file, this user or the disk does not let us, or what is there cannot be replaced by a report.
    """
    try:
        _try_folder(folder)
    except OSError as error:
        raise UsageError(f"no report can be written into {str(folder)!r}: {_reason(error)}") from error
    for name in (RECORD_NAME, HTML_NAME, MARKDOWN_NAME, CALLS_NAME):
        if (folder / name).is_dir():
            raise UsageError(f"no report can be written into {str(folder)!r}: {name} is a folder there")
    for name in (CAPTURES_NAME, EVIDENCE_NAME):
        if (folder / name).exists() and not (folder / name).is_dir():
            raise UsageError(f"no report can be written into {str(folder)!r}: {name} is not a folder there")


def check_file(path: Path) -> None:
    """Make sure that a file can be written; nothing of the trial is left.

    Raises
    ------
    UsageError
        It is a folder, or this user or the disk does not let us.
    """
    try:
        if path.exists():
            # To append: a trial must not empty a file that is there.
            with path.open("ab"):
                pass
        else:
            _try_folder(path.parent)
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be written: {_reason(error)}") from error


def _try_folder(folder: Path) -> None:
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            # Some bytes: a full disk still lets an empty file be made.
            file.write(bytes(4096))
    finally:
        for path in made:
            with suppress(OSError):  # it was not made, or somebody else has put something into it
                path.rmdir()


def _reason(error: OSError) -> str:
    """Say what is wrong; "File exists" would not say what of it is."""
    return "a part of that path is not a folder" if isinstance(error, FileExistsError) else error.strerror or str(error)
