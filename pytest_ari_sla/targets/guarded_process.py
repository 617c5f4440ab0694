"""A program with a folder of its own, both gone when this process is gone, however it ends."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["GuardedProcess"]

_GRACE_S = 5.0


class GuardedProcess:
    """A temporary folder, and one program that works in it.

    The program is ended and the folder removed by :meth:`end`, when this interpreter exits, and (by a guard process,
    ``orphan_guard``) when this process is killed.

    Parameters
    ----------
    prefix
        How the folder's name begins.
    parent_folder
        Where the folder is made; by default the system's place for temporary files.

    Attributes
    ----------
    folder
        The temporary folder; it exists until :meth:`end`.
    """

    def __init__(self, prefix: str, parent_folder: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent_folder))
        self._owner = os.getpid()
        self._program: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        atexit.register(self._end_if_owner)

    @property
    def output_path(self) -> Path:
        """The file that the program prints into."""
        return self.folder / "output.txt"

    @property
    def pid(self) -> int:
        """Process id of the program; 0 before it is started."""
        return self._program.pid if self._program is not None else 0

    @property
    def alive(self) -> bool:
        """Whether the program runs."""
        return self._program is not None and self._program.poll() is None

    def start(self, command: Sequence[str]) -> None:
        """Start the program.

        It gets a session of its own, so that Ctrl-C on a terminal reaches only us: calls end before their target does.

        Raises
        ------
        OSError
            If the command cannot be run.
        """
        with self.output_path.open("wb") as output:
            self._program = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
            )
        guard = [sys.executable, "-m", "pytest_ari_sla.targets.orphan_guard"]
        self._guard = subprocess.Popen(
            [*guard, str(os.getpid()), str(self._program.pid), str(self.folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def ending(self) -> str:
        """Say how the program ended, as the end of a sentence that begins with its name."""
        code = self._program.poll() if self._program is not None else None
        if code is None:
            return "has not ended"
        if code < 0:
            return f"was ended by signal {-code} ({signal.Signals(-code).name})"
        return f"ended with exit code {code}"

    def end(self) -> None:
        """End the program, asked first, killed after a while; remove the folder. Twice does no harm."""
        atexit.unregister(self._end_if_owner)
        for process in (self._program, self._guard):
            if process is not None:
                _end(process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_if_owner(self) -> None:
        """End at interpreter exit, but not in a forked child, which inherits the handler."""
        if os.getpid() == self._owner:
            self.end()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
