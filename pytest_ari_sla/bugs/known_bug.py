"""What is known of a fault, and what came of looking for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pytest_ari_sla.metrics.units import counted

__all__ = ["BugFinding", "BugVerdict", "KnownBug", "finding_words"]

_ISSUES = "https://github.com/asterisk/asterisk/issues/"


@dataclass(frozen=True)
class KnownBug:
    """A fault of Asterisk.

    Attributes
    ----------
    id
        ``asterisk#N`` for one that its tracker knows, else a short name.
    title
        What goes wrong, in a few words.
    known_in
        Versions that were seen to have it.
    simulator_copies
        Whether the simulator does the same, on purpose: applications must get along with it.
    """

    id: str
    title: str
    known_in: str = ""
    simulator_copies: bool = False

    @property
    def link(self) -> str:
        """Where it was reported; empty where it was not."""
        tracker, _, number = self.id.partition("#")
        return f"{_ISSUES}{number}" if tracker == "asterisk" and number else ""


class BugVerdict(Enum):
    """What came of looking for a fault."""

    HAS = "has it"
    NOT_SHOWN = "does not show it"
    NOT_TRIED = "not tried"


@dataclass(frozen=True)
class BugFinding:
    """What came of looking for one fault.

    Attributes
    ----------
    bug
        The fault.
    verdict
        What came of it.
    words
        The same in a sentence, with what was seen.
    """

    bug: KnownBug
    verdict: BugVerdict
    words: str


def finding_words(bug: KnownBug, verdict: BugVerdict, tries: int, seen: str) -> str:
    """Return what came of it, in a sentence.

    Parameters
    ----------
    bug
        The fault.
    verdict
        What came of it.
    tries
        How often its trigger was pulled.
    seen
        What was seen; for a fault that was not tried, why not.
    """
    if verdict is BugVerdict.NOT_TRIED:
        return f"{bug.id} was not tried: {seen}"
    often = counted(tries, "try", "tries")
    if verdict is BugVerdict.NOT_SHOWN:
        return f"does not show {bug.id} in {often}"
    return f"has {bug.id} ({bug.title}): {seen}" + (f", on try {tries:,}" if tries > 1 else "")
