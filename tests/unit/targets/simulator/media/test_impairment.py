"""Impairments of RTP: how many packets, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.targets.simulator.faults import Faults
from pytest_ari_sla.targets.simulator.media.impairment import MediaFaults

_MANY = 10_000


def test_nothing_happens_by_default() -> None:
    """And costs nothing."""
    assert not MediaFaults().active


@pytest.mark.parametrize(
    ("faults", "copies"),
    [(Faults(rtp_loss_ratio=1.0), 0), (Faults(rtp_duplicate_ratio=1.0), 2), (Faults(rtp_delay_s=1.0), 1)],
)
def test_packets_are_lost_or_doubled(faults: Faults, copies: int) -> None:
    """By their ratios."""
    media = MediaFaults(faults)
    assert media.active
    assert set(media.copies(10)) == {copies}


def test_ratios_are_kept() -> None:
    """About one packet of ten is lost."""
    lost = int((MediaFaults(Faults(rtp_loss_ratio=0.1)).copies(_MANY) == 0).sum())
    assert 900 < lost < 1100


def test_delays_are_within_their_bounds() -> None:
    """Never less than the delay, never more than delay and jitter."""
    delays_ns = MediaFaults(Faults(rtp_delay_s=0.05, rtp_jitter_s=0.02)).delays_ns(_MANY, 0)
    assert 50_000_000 <= delays_ns.min() < 51_000_000
    assert 69_000_000 < delays_ns.max() <= 70_000_000


def test_more_than_is_served_waits_ever_longer_and_no_more_than_a_second() -> None:
    """A packet a millisecond, of which each takes one: of 19 streams none waits, and 21 are too many."""

    def last_wait_ns(streams: int, seconds: int) -> int:
        media = MediaFaults(Faults(rtp_service_s=0.001))
        waits = [media.delays_ns(streams, packet * 20_000_000) for packet in range(50 * seconds)]
        return int(waits[-1].max())

    assert last_wait_ns(19, 4) < 25_000_000
    assert last_wait_ns(22, 4) == pytest.approx(420_000_000, rel=0.1)
    assert last_wait_ns(30, 4) == 1_000_000_000


@given(st.lists(st.integers(0, 100), max_size=20), st.integers(0, 100))
def test_kept_packets_come_when_their_time_has_come(times_ns: list[int], now_ns: int) -> None:
    """In order of time, each once."""
    media = MediaFaults()
    for number, due_ns in enumerate(times_ns):
        media.keep(due_ns, number, b"")
    due = [number for number, _ in media.due(now_ns)]
    assert due == [number for _, number in sorted((at, number) for number, at in enumerate(times_ns) if at <= now_ns)]
    assert media.next_due_ns() == min((at for at in times_ns if at > now_ns), default=None)
