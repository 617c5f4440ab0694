from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.capture.kept_packets import CapturedStream, parse_policy, rebuilt_packets
from pytest_ari_sla.judging.records.worst_calls import ranked_by, worst_calls
from pytest_ari_sla.load.calls import capture_candidates
from pytest_ari_sla.load.calls.capture_candidates import CaptureCandidates
from pytest_ari_sla.load.results.outcome import CallOutcome
from pytest_ari_sla.session.plugins.registry import builtin_registry

CATALOGUE = builtin_registry().catalogue
RANKED_BY = {name: metric.better for name, metric in ranked_by(CATALOGUE).items()}
ASTERISK, OURS = ("127.0.0.1", 18_230), ("127.0.0.1", 20_480)


def call(number: int, state: str = "ended", **values: float) -> CallOutcome:
    """Return a call; ``rtt_max`` stands for ``rtt.max``."""
    named = {name.replace("_", "."): value for name, value in values.items()}
    return CallOutcome(f"c{number}", state, number, 1, 2, 3, "reason", 1, named)


def stream(packets: int = 3) -> CapturedStream:
    """Return a stream of some packets."""
    sent_ns = np.arange(1, packets + 1, dtype=np.int64)
    sent = rebuilt_packets(
        sent_ns,
        first_sequence=1,
        first_timestamp=0,
        ticks_per_packet=160,
        ssrc=9,
        payload_type=0,
        payload_length=160,
    )
    return CapturedStream(OURS, ASTERISK, sent)


def kept(policy: str, *calls: CallOutcome) -> set[str]:
    """Return whose packets are kept."""
    candidates = CaptureCandidates(parse_policy(policy), RANKED_BY)
    for outcome in calls:
        candidates.offer(outcome, [stream()])
    return set(candidates.kept())


CALLS = st.lists(
    st.builds(
        lambda state, rtt, lost: (state, rtt, lost),
        st.sampled_from(["ended", "ended", "ended", "dropped", "failed"]),
        st.floats(0.001, 2),
        st.integers(0, 50),
    ),
    max_size=60,
)


@given(CALLS, st.integers(1, 4))
def test_the_worst_calls_are_always_among_those_kept(drawn: list[tuple[str, float, int]], count: int) -> None:
    """However many calls there were in between, and whatever turns out to be usual."""
    calls = [
        call(number, state, rtt_max=rtt, rtt_p99=rtt / 2, loss_lost=lost)
        for number, (state, rtt, lost) in enumerate(drawn)
    ]
    found = kept(f"worst:{count}", *calls)
    assert {worst.id for worst in worst_calls(calls, {}, CATALOGUE, count)} <= found
    assert len(found) <= count * (len(RANKED_BY) + 1)


def test_where_higher_is_better_the_lowest_are_kept() -> None:
    """A plug-in's score of 0 is no good call."""
    candidates = CaptureCandidates(parse_policy("worst:1"), {"score": "higher"})
    for number, score in enumerate((0.9, 0.1, 0.5)):
        candidates.offer(call(number, score=score), [stream()])
    assert set(candidates.kept()) == {"c1"}


def test_each_policy_keeps_what_it_names() -> None:
    """All, those that failed, or none."""
    calls = [call(1), call(2, "failed"), call(3, "dropped"), call(4, "cancelled")]
    assert kept("all", *calls) == {"c1", "c2", "c3", "c4"}
    assert kept("failed", *calls) == {"c2", "c3"}
    assert kept("off", *calls) == set()


def test_memory_is_bounded_whatever_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more calls than there is room for, the first ones stay; failed ones are never given up for others."""
    monkeypatch.setattr(capture_candidates, "MOST_CALLS", 3)
    calls = [call(number) for number in range(100)] + [call(100, "failed")]
    assert kept("all", *calls) == {"c0", "c1", "c2", "c100"}


def test_a_call_without_a_packet_leaves_nothing() -> None:
    """A file without packets would tell nothing."""
    candidates = CaptureCandidates(parse_policy("all"))
    candidates.offer(call(1, "failed"), [stream(0)])
    assert candidates.kept() == {}


def test_what_is_kept_can_be_unpacked() -> None:
    """Every packet of every stream is there, in order."""
    candidates = CaptureCandidates(parse_policy("all"))
    candidates.offer(call(1), [stream(3), stream(0), stream(2)])
    first, second = (packed.unpacked() for packed in candidates.kept()["c1"])
    assert (first.source, first.destination, first.encoding) == (OURS, ASTERISK, "PCMU/8000")
    assert first.packets.time_ns.tolist() == [1, 2, 3]
    assert second.packets.header["sequence"].tolist() == [1, 2]
    assert second.packets.payload.shape == (2, 0)


def test_audio_is_kept_of_the_worst_few_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes twenty times the room of headers: of all others these are left; of what is not RTP, nothing."""
    monkeypatch.setattr(capture_candidates, "MOST_AUDIBLE", 1)
    audible = stream()
    payload = np.zeros((len(audible.packets), 160), np.uint8)
    audible = replace(audible, packets=replace(audible.packets, payload=payload))
    for is_rtp in (True, False):
        candidates = CaptureCandidates(parse_policy("all"), {"turn": "lower"})
        for number in range(20):
            candidates.offer(call(number, turn=number % 7), [replace(audible, is_rtp=is_rtp)])
        kept = candidates.kept()
        assert [name for name, (one,) in kept.items() if one.payload_bytes] == ["c6"]
        assert len(kept) == (20 if is_rtp else 1)
