from __future__ import annotations

from pytest_ari_sla.ari_client.removal.cleanup import CleanupReport
from pytest_ari_sla.load.diagnosis import left_behind


def test_each_call_that_something_is_left_of_counts_once() -> None:
    """By the beginning of its resources' ids; one that is known to be left is not unknown as well."""
    cleanup = CleanupReport(
        leaked=("run-001.c0000001.a.", "run-001.c0000001.b.", "run-001.c0000002."),
        unknown=("run-001.c0000002.a.", "run-001.c0000003.a.", "run-001.c0000003.b."),
    )
    left = left_behind(cleanup)
    assert (left.count("calls.leaked"), left.count("calls.left_unknown")) == (2, 1)
    nothing = left_behind(CleanupReport(removed=("run-001.c0000001.a.",)))
    assert (nothing.count("calls.leaked"), nothing.count("calls.left_unknown")) == (0, 0)
