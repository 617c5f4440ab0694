"""When a slow answer is a stall of channel requests, and when everything was slow."""

import pytest

from pytest_ari_sla.bugs.stall import Stall, StallRule

MS = 1_000_000


def rule_with_lists(*answers_ms: tuple[int, int]) -> StallRule:
    """Return a rule that has seen lists asked and answered at these times."""
    rule = StallRule()
    for asked_ms, answered_ms in answers_ms:
        rule.list_answered(asked_ms * MS, answered_ms * MS)
    return rule


QUICK = [(begin, begin + 4) for begin in range(0, 5000, 100)]


def test_a_channel_request_that_hangs_while_lists_are_answered_is_a_stall() -> None:
    """Told while it lasts."""
    stall = rule_with_lists(*QUICK).judge(1000 * MS, 3500 * MS)
    assert stall == Stall(2500 * MS, 4 * MS)
    assert stall.words() == "requests about one channel waited 2.5 s while lists were answered in 4 ms"


@pytest.mark.parametrize(
    ("lists", "what"),
    [
        ([], "nothing answers: Asterisk is dead, or its HTTP server stands still"),
        ([(1000, 3400), (1100, 3401)], "lists were slow as well: the machine stood still"),
        ([(1500, 1504), (1600, 2300)], "one list was quick, the next slow"),
        ([(600, 604), (700, 704)], "the quick lists were asked before it"),
        ([(1600, 1604)], "a single list may have been lucky"),
    ],
)
def test_what_stands_still_as_a_whole_is_no_stall(lists: list[tuple[int, int]], what: str) -> None:
    """Blame is earned."""
    assert rule_with_lists(*lists).judge(1000 * MS, 3500 * MS) is None, what


def test_one_slow_list_among_many_quick_ones_hides_no_stall() -> None:
    """A busy machine makes one wait now and then."""
    assert rule_with_lists(*QUICK, (1600, 2300)).judge(1000 * MS, 3500 * MS) == Stall(2500 * MS, 4 * MS)


def test_less_than_a_second_is_slow_and_no_stall() -> None:
    """Thresholds on ari.request are for that."""
    assert rule_with_lists(*QUICK).judge(1000 * MS, 1999 * MS) is None
