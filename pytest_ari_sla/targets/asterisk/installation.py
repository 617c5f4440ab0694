"""Where the parts of an installed Asterisk are, and how its binary is started from there."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import AsteriskStartFailed, UsageError
from pytest_ari_sla.udp.host_limits import host_limit

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["AsteriskInstallation", "find_installation"]

_BINARIES = (
    "usr/sbin/asterisk",
    "usr/local/sbin/asterisk",
    "usr/bin/asterisk",
    "sbin/asterisk",
    "opt/asterisk/sbin/asterisk",
)
_LOADERS = (
    "lib/*-linux-*/ld-*.so*",
    "usr/lib/*-linux-*/ld-*.so*",
    "lib64/ld-*.so*",
    "usr/lib64/ld-*.so*",
    "lib/ld-*.so*",
)
_LIBRARIES = ("lib/*-linux-*", "usr/lib/*-linux-*", "lib64", "usr/lib64", "lib", "usr/lib", "usr/local/lib")
# Below the installation's prefix, and beside it: upstream keeps its data in /var/lib when the prefix is /usr.
_MODULES = ("lib/*-linux-*/asterisk/modules", "lib/asterisk/modules", "lib64/asterisk/modules")
_DATA = ("share/asterisk", "var/lib/asterisk", "../var/lib/asterisk")
_VERSION_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class AsteriskInstallation:
    """An Asterisk on disk.

    Attributes
    ----------
    command
        What starts the binary; arguments for Asterisk follow.
    modules
        Folder of its loadable modules.
    data
        Folder of its sounds and of the documentation without which it refuses its own configuration.
    """

    command: tuple[str, ...]
    modules: Path
    data: Path

    def version(self) -> str:
        """Ask the binary for its version, ``22.10.1`` for example.

        Raises
        ------
        AsteriskStartFailed
            If the binary does not run here, or is not Asterisk.
        """
        try:
            result = subprocess.run(
                [*self.command, "-V"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            problem = f"{self.command[-1]} does not run on this machine: {error}"
            raise host_limit(error) or AsteriskStartFailed(problem) from error
        # Debian appends to the version: 22.10.1+dfsg+~cs6…; certified ones say "certified/18.9" or "certified-20.7".
        found = re.match(r"Asterisk (?:certified[/-])?([^\s~+]+)", result.stdout)
        if result.returncode != 0 or found is None:
            output = (result.stderr or result.stdout).strip()
            raise AsteriskStartFailed(f"{self.command[-1]} does not answer '-V' as an Asterisk does", output)
        return found[1]


def find_installation(path: Path) -> AsteriskInstallation:
    """Find an Asterisk by its binary, or by the root folder of a file system that holds one.

    A file system with a C library of its own needs neither ``chroot`` nor privileges: its dynamic loader starts the
    binary with the libraries beside it, so paths mean the same inside and outside.

    Raises
    ------
    UsageError
        If there is no Asterisk at the path.
    """
    if not path.exists():
        raise UsageError(f"there is no file or folder {path}: --asterisk takes an Asterisk binary or a root folder")
    if path.is_dir():
        root = path.resolve()
        binary = _first(root, _BINARIES)
        if binary is None:
            raise UsageError(f"the folder {path} holds no Asterisk (looked for {', '.join(_BINARIES)})")
        command = (*_loader_of(root), str(binary))
    else:
        binary = path.resolve()
        command = (str(binary),)
    prefix = binary.parent.parent
    modules = _first(prefix, _MODULES)
    data = next((folder for folder in _all(prefix, _DATA) if (folder / "documentation").is_dir()), None)
    if modules is None or data is None:
        missing = "modules" if modules is None else "documentation"
        raise UsageError(f"{path} is not a complete Asterisk: its {missing} folder is not below {prefix}")
    return AsteriskInstallation(command, modules, data.resolve())


def _loader_of(root: Path) -> tuple[str, ...]:
    """Return how to start a binary with the C library of its own file system; nothing where there is none."""
    loader = _first(root, _LOADERS)
    # With ``/`` as the root the kernel finds the loader by itself.
    if loader is None or root.parent == root:
        return ()
    return (str(loader), "--library-path", ":".join(str(folder) for folder in _all(root, _LIBRARIES)))


def _all(base: Path, patterns: Iterable[str]) -> list[Path]:
    """Return what exists of these patterns below a folder; absolute links, that point outside, mostly do not."""
    return [found for pattern in patterns for found in sorted(base.glob(pattern)) if found.exists()]


def _first(base: Path, patterns: Iterable[str]) -> Path | None:
    return next(iter(_all(base, patterns)), None)
