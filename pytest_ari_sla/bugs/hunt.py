"""One test that looks for one fault: its victim, its tries, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_ari_sla.bugs.known_bug import BugFinding, BugVerdict, finding_words
from pytest_ari_sla.bugs.victim import Victim
from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
from pytest_ari_sla.targets.simulator.process import SimulatorProcess

if TYPE_CHECKING:
    from pytest_ari_sla.bugs.known_bug import KnownBug
    from pytest_ari_sla.settings import Settings

__all__ = ["BugHunt"]


class BugHunt:
    """One test that looks for one fault; what the fixture ``asterisk_bug`` gives.

    Parameters
    ----------
    bug
        The fault.
    settings
        Of the session: which target the victim is like.

    Attributes
    ----------
    tries
        How often its trigger was pulled; the test counts.
    verdict
        What came of it so far.
    """

    def __init__(self, bug: KnownBug, settings: Settings) -> None:
        self.bug = bug
        self._settings = settings
        self.tries = 0
        self.verdict = BugVerdict.NOT_SHOWN
        self._seen = ""

    def victim(self, **options: Any) -> Victim:
        """Return a fresh target of its own, which the test may break.

        Like the session's target: a private Asterisk of the same folder, else a simulator; ``options`` are what both
        know, such as ``rtp_ports``. An Asterisk of somebody else is left alone.
        """
        if self._settings.asterisk:
            return Victim(PrivateAsterisk(self._settings.asterisk, **options))
        if self._settings.ari_url:
            self.not_tried(
                "it may break the Asterisk that it is tried on; give --asterisk with one of the same version"
            )
        if self.bug.simulator_copies:
            self.not_tried("the simulator does the same on purpose, and is not an Asterisk")
        return Victim(SimulatorProcess(**options))

    def found(self, seen: str) -> NoReturn:
        """End the test: the target has the fault, as is seen by this."""
        self.verdict, self._seen = BugVerdict.HAS, seen
        pytest.fail(self.words(), pytrace=False)

    def not_tried(self, why: str) -> NoReturn:
        """End the test: the fault cannot be tried on this target."""
        self.verdict, self._seen = BugVerdict.NOT_TRIED, why
        pytest.skip(self.words())

    def words(self) -> str:
        """Return what came of it, in a sentence."""
        return finding_words(self.bug, self.verdict, self.tries, self._seen)

    def finding(self, problem: str) -> BugFinding:
        """Return what came of it; ``problem`` where the test broke by itself."""
        # found() ends a test by an exception as well.
        if problem and self.verdict is not BugVerdict.HAS:
            self.verdict, self._seen = BugVerdict.NOT_TRIED, problem
        return BugFinding(self.bug, self.verdict, self.words())
