"""Tries each fault of the table many times, and tells how often all was right: ``python -m tests.fault_table``."""

from __future__ import annotations

import argparse
import socket
import tempfile
from pathlib import Path

from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
from tests.asterisk.conftest import provisioned_folder
from tests.asterisk.fault_rows import SESSIONS, TABLE, Row, come_of, why_wrong

__all__ = ["main"]


def _tried(row: Row, asterisk: PrivateAsterisk) -> str:
    """Try a fault once; return what is wrong, empty where nothing is."""
    with tempfile.TemporaryDirectory(prefix="fault-") as folder:
        try:
            return why_wrong(row, come_of(row, asterisk, Path(folder).resolve()))
        except (AssertionError, OSError, ValueError) as error:
            return (str(error) or type(error).__name__).strip().splitlines()[-1]


def main() -> int:
    """Try the faults that are named, or all; return how many tries came out wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault_table", description=__doc__)
    parser.add_argument("--runs", type=int, default=1, help="how often each fault is tried")
    parser.add_argument("names", nargs="*", help="parts of the names of faults; none: all")
    options = parser.parse_args()
    rows = [row for row in TABLE if not options.names or any(name in row.name for name in options.names)]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    asterisk = PrivateAsterisk(provisioned_folder("22"), ari_port=port)
    asterisk.session_limit = SESSIONS
    failed = 0
    with asterisk:
        for row in rows:
            wrong = [why for _ in range(options.runs) if (why := _tried(row, asterisk))]
            failed += len(wrong)
            print(
                f"{options.runs - len(wrong):3} of {options.runs}  {row.name}",
                *sorted(set(wrong)),
                sep="\n      ",
                flush=True,
            )
    return failed


if __name__ == "__main__":
    raise SystemExit(min(main(), 100))
