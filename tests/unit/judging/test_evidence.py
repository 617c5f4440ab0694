import pytest

from pytest_ari_sla.capture.kept_packets import PackedStream, parse_policy
from pytest_ari_sla.judging.records.evidence import captured_calls
from pytest_ari_sla.load.results.outcome import CallOutcome, LoadOutcome
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.time_series import TimeSeries
from pytest_ari_sla.session.plugins.registry import builtin_registry
from tests.unit.load.calls.test_capture_candidates import stream

CATALOGUE = builtin_registry().catalogue
PACKED = [PackedStream.of(stream())]


def call(number: int, state: str = "ended", rtt_max: float = 0.01) -> CallOutcome:
    """Return a call."""
    return CallOutcome(f"r-{number}.", state, number, 1, 2, 3, "BYE", 1, {"rtt.max": rtt_max})


def load(*calls: CallOutcome, kept: tuple[int, ...]) -> LoadOutcome:
    """Return a load whose packets were kept of some calls."""
    captures = {f"r-{number}.": PACKED for number in kept}
    return LoadOutcome("echo", "PCMU", 0, 0, Snapshot(), TimeSeries(), calls=calls, captures=captures)


CALLS = (*(call(number) for number in range(8)), call(8, rtt_max=0.5), call(9, "dropped"))


def test_the_worst_calls_are_written_with_what_is_wrong_with_them() -> None:
    """The comment of the file is the sentence of the report."""
    found = captured_calls(load(*CALLS, kept=(0, 8, 9)), parse_policy("worst:5"), CATALOGUE)
    assert {name: (captured.path, captured.comment) for name, captured in found.items()} == {
        "r-9.": ("captures/r-9.pcapng", "It ended before it was told to: BYE."),
        "r-8.": ("captures/r-8.pcapng", "Its rtt.max was 500 ms, where 10 ms is usual."),
    }


@pytest.mark.parametrize("policy", ["all", "failed"])
def test_each_file_says_why_it_was_written(policy: str) -> None:
    """Not only that of the worst call: whoever opens one of many wants to know what to look for."""
    calls = (*(call(number) for number in range(7)), call(7, "failed"), call(8, rtt_max=0.5), call(9, "dropped"))
    found = captured_calls(load(*calls, kept=(0, 7, 8, 9)), parse_policy(policy), CATALOGUE)
    expected = {
        "r-0.": "Nothing about this call stands out.",
        "r-7.": "It was not established: BYE.",
        "r-8.": "Its rtt.max was 500 ms, where 10 ms is usual.",
        "r-9.": "It ended before it was told to: BYE.",
    }
    chosen = expected if policy == "all" else {name: expected[name] for name in ("r-7.", "r-9.")}
    assert {name: captured.comment for name, captured in found.items()} == chosen


def test_no_more_are_written_than_asked_for() -> None:
    """The worst one is the one that was lost."""
    assert list(captured_calls(load(*CALLS, kept=(0, 8, 9)), parse_policy("worst:1"), CATALOGUE)) == ["r-9."]


def test_what_was_not_kept_cannot_be_written() -> None:
    """A call without packets is left out, whatever the policy."""
    assert list(captured_calls(load(*CALLS, kept=(8,)), parse_policy("all"), CATALOGUE)) == ["r-8."]
    assert captured_calls(load(*CALLS, kept=(8,)), parse_policy("failed"), CATALOGUE) == {}
    assert list(captured_calls(load(*CALLS, kept=(8, 9)), parse_policy("failed"), CATALOGUE)) == ["r-9."]


def test_packets_travel_with_the_outcome_of_a_load() -> None:
    """From a worker to the controller they are plain, and several shards' are united."""
    first, second = load(kept=(1,)), load(kept=(2,))
    merged = LoadOutcome.merged([LoadOutcome.from_plain(part.to_plain()) for part in (first, second)])
    assert {name: list(streams) for name, streams in merged.captures.items()} == {"r-1.": PACKED, "r-2.": PACKED}
