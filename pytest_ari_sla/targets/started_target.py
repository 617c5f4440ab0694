"""A target that this tool runs itself: one guarded process, its ARI, and how its death is told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Self

from pytest_ari_sla.errors import SlaError, UsageError

if TYPE_CHECKING:
    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from pytest_ari_sla.targets.guarded_process import GuardedProcess
    from pytest_ari_sla.targets.target import Target

__all__ = ["StartedTarget"]


class StartedTarget(ABC):
    """What private Asterisks and simulators have in common; use it as a context manager.

    Attributes
    ----------
    name
        What sentences call it, without an article.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self._process: GuardedProcess | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    @abstractmethod
    def target(self) -> Target:
        """What a load needs to know about it, as plain values."""

    @property
    def endpoint(self) -> AriEndpoint:
        """Where its ARI is, and who we are there."""
        return self.target.endpoint

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.alive

    @property
    def pid(self) -> int:
        """Process id of the program itself."""
        return self._running().pid

    @abstractmethod
    def start(self) -> None:
        """Start it and wait until ARI answers."""

    def stop(self) -> None:
        """End it (asked first, killed after 5 s) and remove its folder; twice does no harm."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def ensure_alive(self) -> None:
        """Raise the error of a crash, with signal or exit code and its last words, if it ended by itself."""
        process = self._running()
        if not process.alive:
            raise self._crash(f"the {self.name} (process {process.pid}) {process.ending()}")

    @abstractmethod
    def _crash(self, problem: str) -> SlaError:
        """Return the error for a process that ended by itself."""

    def _ensure_not_started(self) -> None:
        if self._process is not None:
            raise UsageError(f"this {self.name} is started already")

    def _running(self) -> GuardedProcess:
        if self._process is None:
            raise UsageError(f"this {self.name} is not running: it was not started, or has been stopped")
        return self._process
