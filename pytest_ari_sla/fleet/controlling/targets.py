"""What a fleet is put on, found or started once for all workers, and swept after those that died."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import SlaError

if TYPE_CHECKING:
    from pytest_ari_sla.session.target_source import TargetSource
    from pytest_ari_sla.settings import Settings, TlsTrust
    from pytest_ari_sla.targets.target import Target

__all__ = ["FleetTargets"]

_SWEEP_PATIENCE_S = 5.0
"""How long Asterisk may be out of reach while a dead worker's channels are removed."""

_LEFT_SHOWN = 5


class FleetTargets:
    """The target of a fleet and, where loads are compared against another one, that too; any thread may ask.

    Parameters
    ----------
    settings
        What the user asked for.

    Attributes
    ----------
    left
        What dead workers left at a target and could not be removed, a sentence for each.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._errors: dict[bool, Exception] = {}
        self._sources: dict[bool, TargetSource] = {}
        self._sweepers: list[threading.Thread] = []
        self.left: list[str] = []

    def get(self, *, is_other: bool = False) -> Target:
        """Return a target, started if need be; asked again after a failure, the same error is raised.

        Parameters
        ----------
        is_other
            Whether it is the one that loads are compared against.
        """
        with self._lock:
            if is_other in self._errors:
                raise self._errors[is_other]
            if is_other not in self._sources:
                from pytest_ari_sla.session.target_source import TargetSource

                settings = self._settings
                self._sources[is_other] = TargetSource((settings.of_other_target() if is_other else None) or settings)
            try:
                return self._sources[is_other].get()
            except Exception as error:
                self._errors[is_other] = error
                raise

    def crash(self) -> SlaError | None:
        """Return how a target has ended by itself, if one has."""
        # A copy: another thread may add one.
        return next((crash for source in list(self._sources.values()) if (crash := source.crash())), None)

    def sweep_after(self, prefix: str) -> None:
        """Remove the channels of a dead worker, whose ids begin so; in a thread, since it takes a while."""
        sweeper = threading.Thread(target=self._sweep, args=(prefix,), daemon=True)
        sweeper.start()
        self._sweepers.append(sweeper)

    def _sweep(self, prefix: str) -> None:
        # A copy: another thread may add one.
        for source in list(self._sources.values()):
            if (target := source.known) and (left := _left_at(target, source.trust, prefix)):
                self.left.append(left)

    def finish_sweeping(self) -> None:
        """Wait for what is being removed."""
        for sweeper in self._sweepers:
            sweeper.join()

    def close(self) -> None:
        """Stop what was started."""
        for source in self._sources.values():
            source.close()


def _left_at(target: Target, trust: TlsTrust, prefix: str) -> str:
    """Remove what a dead worker left; return what could not be removed, as a sentence, or nothing."""
    from pytest_ari_sla.ari_client.removal.sweep import Sweeper
    from pytest_ari_sla.ari_client.tls import tls_context

    try:
        swept = Sweeper(target.endpoint, tls_context(trust)).until_clean(prefix, _SWEEP_PATIENCE_S)
    except SlaError as error:
        # The CA file is gone, say: what concerns one target must not keep the other from its sweep.
        why = str(error)
    else:
        if not swept.left and not swept.problem:
            return ""
        shown = ", ".join(swept.left[:_LEFT_SHOWN])
        why = swept.problem or f"{len(swept.left):,} could not be removed: {shown}"
    return f"channels and bridges of a worker that died may be left at {target.endpoint.base_url} ({prefix}…): {why}"
