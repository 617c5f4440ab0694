"""A program with a folder of its own, both gone when this process is gone, however it ends."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_ari_sla.children.ending import ending_of
from pytest_ari_sla.children.guarding import protect
from pytest_ari_sla.children.wards import EndProgram, RemoveFolder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_ari_sla.children.guarding import Protection

__all__ = ["GuardedProcess"]

_GRACE_S = 5.0


class GuardedProcess:
    """A temporary folder, and one program that works in it.

    The program is ended and the folder removed by :meth:`end`, when this interpreter exits, and (by the
    guard of this process, :mod:`pytest_ari_sla.children.guard`) when this process is killed.

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
        self._protections: list[Protection] = []
        atexit.register(self._end_if_owner)  # first: a folder that cannot be guarded is removed all the same
        self._protections.append(protect(RemoveFolder(path=str(self.folder))))

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

    def start(
        self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> None:
        """Start the program, in its own folder and with our environment unless told otherwise.

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
                # A core file in its own folder is found by forensics, and removed with the rest.
                cwd=folder or self.folder,
                env=environment,
                start_new_session=True,
            )
        # Not by its number: that may be another process's by the time at which the guard has to act.
        handle = os.pidfd_open(self._program.pid)
        try:
            self._protections.append(protect(EndProgram(), handle))
        finally:
            os.close(handle)

    def ending(self) -> str:
        """Say how the program ended, as the end of a sentence that begins with its name."""
        return ending_of(self._program.poll() if self._program is not None else None)

    def end(self) -> None:
        """End the program, asked first, killed after a while; remove the folder. Twice does no harm."""
        atexit.unregister(self._end_if_owner)
        if self._program is not None:
            _end(self._program)
        shutil.rmtree(self.folder, ignore_errors=True)
        # Last: if we are killed while we tidy up, the guard does the rest.
        for protection in self._protections:
            protection.release()

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
