"""Reading and writing ``report.json``: whole or not at all, and with a clear word when it is not ours to read."""

from __future__ import annotations

import os
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

import msgspec

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.reporting.places import RECORD_NAME
from pytest_ari_sla.reporting.record.run_record import SCHEMA_VERSION, RunRecord
from pytest_ari_sla.reporting.wording.text import clean_tree

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "RECORD_NAME",
    "decode_record",
    "encode_record",
    "read_record",
    "write_atomically",
    "write_record",
]


class _Header(msgspec.Struct):
    """As much of a record as every version of the format has."""

    schema: int


def encode_record(record: RunRecord) -> bytes:
    """Return a record as indented JSON.

    Numbers that JSON cannot hold (NaN, infinity) become null, and every text is cleaned (see :mod:`.text`).
    """
    plain = msgspec.to_builtins(record, enc_hook=_to_plain)
    return msgspec.json.format(msgspec.json.encode(clean_tree(plain)), indent=1) + b"\n"


def _to_plain(value: object) -> object:
    """Turn a NumPy scalar or array, as plug-ins like to put into a record, into built-ins."""
    if (to_list := getattr(value, "tolist", None)) is not None:
        return to_list()
    message = f"a record holds plain values, not {type(value).__name__}"
    raise TypeError(message)


def decode_record(content: bytes, source: str = RECORD_NAME) -> RunRecord:
    """Read a record from JSON.

    Parameters
    ----------
    content
        The JSON text.
    source
        Where it comes from, for messages.

    Raises
    ------
    UsageError
        The content is not a run record, or was written by a newer version of this tool.
    """
    try:
        # Before all else: a newer record may not fit these types, and would be called no report at all.
        version = msgspec.json.decode(content, type=_Header).schema
        if version > SCHEMA_VERSION:
            raise UsageError(
                f"{source} has schema {version}; this version of pytest-ari-sla reads up to {SCHEMA_VERSION}. "
                "Read it with the version that wrote it, or a newer one."
            )
        return msgspec.json.decode(content, type=RunRecord)
    except msgspec.DecodeError as error:  # also covers ValidationError
        raise UsageError(f"{source} is not a report of pytest-ari-sla: {error}") from error


def read_record(path: Path) -> RunRecord:
    """Read the record in a file, or in a report's folder.

    Raises
    ------
    UsageError
        There is none, or it cannot be read (see :func:`decode_record`).
    """
    file = path / RECORD_NAME if path.is_dir() else path
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    return decode_record(content, str(file))


def write_record(record: RunRecord, folder: Path) -> Path:
    """Write a record into a folder, which is made if need be, and return its path.

    A reader sees the old record or the new one, also if the machine dies in between: a soak writes every minute.
    """
    path = folder / RECORD_NAME
    write_atomically(path, encode_record(record))
    return path


def write_atomically(path: Path, content: bytes) -> None:
    """Put a file in place in one step, content first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside its target: os.replace() is one step only within a file system. It moves the file away, so no delete.
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            # Or else, after a power cut, the new name may stand for an empty file.
            os.fsync(file.fileno())
            os.chmod(file.fileno(), 0o644)  # a temporary file is private, a report is for everyone on the machine
            os.replace(file.name, path)
        # Ctrl-C as well must not leave a temporary file in the report's folder.
        except BaseException:
            os.unlink(file.name)
            raise
