from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from pytest_ari_sla.codecs.l16 import l16_wideband
from pytest_ari_sla.codecs.speech import frames
from pytest_ari_sla.hookspecs.codec import Voice
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.voice_quality import G711_PLC, burst_ratio, rate
from pytest_ari_sla.trackers.probes.voice_quality import VoiceQualityTracker
from tests.unit.batches import batch_of, batch_sizes
from tests.unit.trackers.loads import LOSS_LIMIT_NS, FixedLog, Load, context_of, echo, loads


def by_definition(load: Load) -> list[float]:
    """Rate each leg from its list of probes played."""
    scores = []
    for leg, source in enumerate(load.heard_leg):
        heard = [packet for packet in load.packets if (packet.leg, packet.source_leg) == (leg, source)]
        if source < 0 or not heard:
            continue
        first_ms = (heard[0].arrival_ns - heard[0].sent_ns) / 1e6
        in_time = [packet for packet in heard if packet.arrival_ns - packet.intended_ns < LOSS_LIMIT_NS]
        played = {p.probe for p in in_time if p.arrival_ns - p.sent_ns <= first_ms * 1e6 + 60e6}
        sent = [probe for probe in range(load.log.packets[source]) if (source, probe) not in load.log.unsent]
        marks = "".join("1" if probe in played else "0" for probe in sent)
        burst = burst_ratio(len(sent), marks.count("0"), len([run for run in marks.split("1") if run]))
        played_ms: dict[int, float] = {}
        for p in in_time:
            if p.arrival_ns - p.sent_ns <= first_ms * 1e6 + 60e6:
                played_ms.setdefault(p.probe, (p.arrival_ns - p.sent_ns) / 1e6)
        mean_ms = sum(played_ms.values()) / len(played_ms) if played_ms else first_ms
        delay_ms = (mean_ms / 2 if leg == source else mean_ms) + 60 + 20
        scores.append(float(rate(G711_PLC, 100 * marks.count("0") / len(sent), burst, delay_ms).mos[0]))
    return scores


def scores_of(load: Load, sizes: list[int]) -> Histogram:
    """Return the tracker's distribution."""
    tracker = VoiceQualityTracker()
    load.run(tracker, sizes)
    histogram = tracker.snapshot()["mos"]
    assert isinstance(histogram, Histogram)
    return histogram


@given(loads(), batch_sizes())
def test_any_batches_are_rated_as_by_definition(load: Load, sizes: list[int]) -> None:
    """Lost, unsent, late and discarded packets in echo and pair: one score a leg, whatever the split."""
    found, expected = scores_of(load, sizes), by_definition(load)
    assert found.count == len(expected)
    assert found.total == pytest.approx(1000 * sum(expected), abs=len(expected))


def test_a_clean_echo_is_as_good_as_g711_gets() -> None:
    """No loss, 1 ms round trip: only the jitter buffer and the packet time cost anything."""
    histogram = scores_of(Load(FixedLog([50]), [0], [echo(probe) for probe in range(50)]), [10])
    assert histogram.count == 1
    assert histogram.mean / 1000 == pytest.approx(float(rate(G711_PLC, 0, 1, 80.5).mos[0]), abs=1e-3)


@pytest.mark.parametrize(("delay_ms", "played"), [(61.0, True), (61.001, False)])
def test_a_packet_beyond_the_jitter_buffer_sounds_like_a_lost_one(delay_ms: float, played: bool) -> None:
    """Sixty ms after the first packet's delay is the last moment to be played."""
    probes = [echo(probe, delay_ms if probe == 20 else 1.0) for probe in range(50)]
    score = scores_of(Load(FixedLog([50]), [0], sorted(probes, key=lambda p: p.arrival_ns)), [10]).mean
    without = scores_of(Load(FixedLog([50]), [0], probes[:20] + probes[21:]), [10]).mean
    assert (score == without) == (not played)


def test_the_delay_is_that_of_the_call_and_not_of_its_first_packet() -> None:
    """One that was held up by 15 ms, as while a channel is set up, and forty-nine that took 1 ms."""
    probes = [echo(probe, 15.0 if probe == 0 else 1.0) for probe in range(50)]
    score = scores_of(Load(FixedLog([50]), [0], sorted(probes, key=lambda p: p.arrival_ns)), [10]).mean / 1000
    mean_ms = (15 + 49) / 50
    assert score == pytest.approx(float(rate(G711_PLC, 0, 1, mean_ms / 2 + 80).mos[0]), abs=1e-3)


def test_lateness_of_our_own_is_not_held_against_the_call() -> None:
    """Packets that this generator sent 80 ms late were never late on the way."""
    late = [echo(probe, 1.0, send_late_ms=80.0 * (probe % 2)) for probe in range(50)]
    clean = [echo(probe) for probe in range(50)]
    assert scores_of(Load(FixedLog([50]), [0], late), [1]) == scores_of(Load(FixedLog([50]), [0], clean), [1])


def test_what_may_still_lie_unread_is_not_heard_as_loss() -> None:
    """Without any call of advance, nothing that is missing is known to be lost."""
    load = Load(FixedLog([200]), [0], [echo(probe) for probe in range(200) if probe % 10])
    lagging = VoiceQualityTracker()
    load.run(lagging, [3], advance=False)
    assert lagging.snapshot()["mos"] == scores_of(
        Load(FixedLog([200]), [0], [echo(probe) for probe in range(200)]), [3]
    )


def test_legs_are_rated_once_and_begin_anew() -> None:
    """Until its release a leg has a score of its own that is in no distribution."""
    tracker = VoiceQualityTracker()
    load = Load(FixedLog([5, 5]), [0, 1], [echo(probe) for probe in range(5)])
    load.run(tracker, [2], release=False)
    assert tracker.per_leg()["mos"].tolist() == pytest.approx([4.375, math.nan], abs=0.03, nan_ok=True)
    assert tracker.snapshot()["mos"] == Histogram()
    tracker.release(load.legs)
    assert tracker.snapshot()["mos"] != Histogram()
    assert np.isnan(tracker.per_leg()["mos"]).all()


def test_a_codec_without_impairment_values_is_not_rated() -> None:
    """No score is better than one that is made up."""
    tracker = VoiceQualityTracker()
    codec = l16_wideband()
    assert codec.impairment is None
    tracker.begin(replace(context_of(FixedLog([1]), [0]), voices=(Voice(codec, frames(codec, 20)),)))
    tracker.observe(batch_of([echo(0)]))
    tracker.advance(0)
    assert np.isnan(tracker.per_leg()["mos"]).all()
    tracker.release(np.zeros(1, np.int32))
    assert tracker.snapshot() == {"mos": Histogram()}
