"""What a reader has to know of the machine and the command that made a run."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_ari_sla.ari.endpoint import redact
from pytest_ari_sla.reporting.record.run_record import Environment
from pytest_ari_sla.session.machine.cores import usable_cores

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["describe_environment", "reproducing_command"]

_PACKAGES = ("pytest", "pytest-xdist", "aiohttp", "numpy", "cffi", "msgspec")


def describe_environment() -> Environment:
    """Return what this machine is and runs."""
    cores = usable_cores()
    return Environment(
        python=platform.python_version(),
        kernel=f"{platform.system()} {platform.release()}",
        cpu=_processor(),
        cores=int(cores) if cores.is_integer() else cores,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        packages={name: version(name) for name in _PACKAGES},
    )


def reproducing_command(arguments: Iterable[object], password: str | None) -> str:
    """Return the command line of a session, fit for a shell, with user and password taken out of every URL."""
    return shlex.join(["pytest", *(_without_secrets(str(word), password) for word in arguments)])


def _without_secrets(word: str, password: str | None) -> str:
    name, equals, value = word.partition("=")
    safe = f"{name}={redact(value)}" if equals and "://" in value else redact(word) if "://" in word else word
    return safe.replace(password, "…") if password else safe  # it may stand elsewhere, as in the command of --app


def _processor() -> str:
    if sys.platform == "linux":  # there, platform.processor() is empty, or the architecture
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
