"""What is said of a fault that was looked for."""

import pytest

from pytest_ari_sla.bugs.known_bug import BugVerdict, KnownBug, finding_words

CRASH = KnownBug("asterisk#1757", "running out of RTP ports ends it", known_in="16.28, 22.10.1")


@pytest.mark.parametrize(
    ("verdict", "tries", "words"),
    [
        (BugVerdict.HAS, 1, "has asterisk#1757 (running out of RTP ports ends it): it was gone"),
        (BugVerdict.HAS, 1200, "has asterisk#1757 (running out of RTP ports ends it): it was gone, on try 1,200"),
        (BugVerdict.NOT_SHOWN, 1, "does not show asterisk#1757 in 1 try"),
        (BugVerdict.NOT_SHOWN, 240, "does not show asterisk#1757 in 240 tries"),
        (BugVerdict.NOT_TRIED, 0, "asterisk#1757 was not tried: it was gone"),
    ],
)
def test_a_finding_is_a_sentence(verdict: BugVerdict, tries: int, words: str) -> None:
    """It never says that a fault is not there: only that it did not show."""
    assert finding_words(CRASH, verdict, tries, "it was gone") == words


def test_faults_that_the_tracker_knows_have_a_link() -> None:
    """Others have none."""
    assert CRASH.link == "https://github.com/asterisk/asterisk/issues/1757"
    assert KnownBug("listen-backlog", "some wait").link == ""
