"""What single streams are like, against a capture of the same load: numbers, time stamps, delays and audio."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.oracles.g711 import is_silent
from tests.oracles.loads import HISTOGRAM, P50_WITHIN_S, P99_WITHIN_S, Load
from tests.oracles.rtp_wire import percentile
from tests.oracles.sequence_model import sequence_counts

BOUNDS = [(50, P50_WITHIN_S), (99, P99_WITHIN_S)]
COMFORT_NOISE = (13, 19)


@pytest.fixture(params=["echo", "pair", "relay", "digits", "strange"])
def load(request: pytest.FixtureRequest, loads: dict[str, Load]) -> Load:
    """Return each load whose legs hear something."""
    return loads[request.param]


@pytest.fixture(params=["echo", "pair", "relay"])
def probed(request: pytest.FixtureRequest, loads: dict[str, Load]) -> Load:
    """Return each load whose packets can be told apart, and come back as they were sent."""
    return loads[request.param]


def test_sequence_numbers_say_what_they_say_on_the_wire(load: Load) -> None:
    """Gaps, what filled them, copies, what was overtaken, streams that began anew and packets of no stream."""
    names = ("sequence.drops", "sequence.recovered", "sequence.duplicates", "sequence.restarts", "sequence.strays")
    said: Counter[str] = Counter()
    for heard, _ in load.callers():
        said += sequence_counts(heard.heard)
    assert {name: load.total.count(name) for name in (*names, "reordered")} == {
        name: said[name] for name in (*names, "reordered")
    }


def test_time_stamps_run_as_fast_as_on_the_wire(probed: Load) -> None:
    """From each leg's first packet to its last, within the tenth by which a burst of late packets may move that."""
    speeds = [heard.clock_speed() for heard, _ in probed.callers()]
    assert speeds == pytest.approx([1] * len(speeds), abs=0.1)
    reported = probed.total.histogram("timestamp.speed")
    assert (reported.count, reported.min, reported.max) == (len(speeds), 1000, 1000)
    assert (probed.total.count("timestamp.jumps"), probed.total.count("timestamp.wrong_clock")) == (0, 0)


@pytest.mark.parametrize(("percent", "within_s"), BOUNDS)
def test_delay_from_the_intended_send_is_that_of_the_wire(probed: Load, percent: float, within_s: float) -> None:
    """A leg's probes are due by one schedule, which the earliest of them tells: but for how late even that one was."""
    name = "rtt_intended" if len(probed.heard_leg) == 1 else "one_way_intended"
    wire_s = [delay / 1e9 for heard, sender in probed.callers() for delay in heard.intended_delays_ns(sender)]
    assert probed.total.histogram(name).count == len(wire_s)
    captured_s, late_s = percentile(wire_s, percent), probed.percentile_s("harness.pacing_error", 50)
    assert captured_s - within_s <= probed.percentile_s(name, percent) <= captured_s * HISTOGRAM + late_s + within_s


@pytest.mark.parametrize(("percent", "within_s"), BOUNDS)
def test_delay_variation_is_that_of_the_wire(probed: Load, percent: float, within_s: float) -> None:
    """Above the leg's least delay, which is known up to some second after the packet: of first copies alone."""
    least_s: list[float] = []
    most_s: list[float] = []
    for heard, sender in probed.callers():
        until_then, of_all = heard.variation_ns(sender)
        least_s += [ns / 1e9 for ns in until_then]
        most_s += [ns / 1e9 for ns in of_all]
    assert probed.total.histogram("pdv").count == len(most_s)
    reported_s = probed.percentile_s("pdv", percent)
    assert percentile(least_s, percent) - within_s <= reported_s
    assert reported_s <= percentile(most_s, percent) * HISTOGRAM + within_s


def test_audio_behind_probes_is_compared_as_on_the_wire(loads: dict[str, Load]) -> None:
    """Of each eighth probe, copies included; one of those was altered on purpose."""
    for name in ("echo", "pair", "relay", "strange"):
        load = loads[name]
        compared = [is_other for heard, sender in load.callers() for is_other in heard.compared(sender)]
        counts = load.total.count("content.checked"), load.total.count("content.altered")
        assert counts == (len(compared), sum(compared)), name
    assert loads["strange"].total.count("content.altered")


def test_what_is_listened_to_is_as_loud_as_on_the_wire(load: Load) -> None:
    """Each sixteenth packet: with our probe it is our audio, else it is decoded."""
    chosen = [packet for heard, _ in load.callers() for packet in heard.listened_to()]
    noise = [packet for packet in chosen if packet.probe is None and packet.payload_type in COMFORT_NOISE]
    coded = [packet for packet in chosen if packet.probe is None and packet.payload_type not in COMFORT_NOISE]
    decoded = [packet for packet in coded if packet.payload_type == 0]
    counts = {
        "audio.sampled": len(chosen) - len(coded) + len(decoded),
        "audio.silent": len(noise) + sum(is_silent(packet.payload) for packet in decoded),
        "audio.undecodable": len(coded) - len(decoded),
        "audio.one_way_legs": 0,
    }
    assert {name: load.total.count(name) for name in counts} == counts


def test_where_digits_are_dialled_some_of_it_is_silence(loads: dict[str, Load]) -> None:
    """Or nothing would have been held to anything."""
    assert loads["digits"].total.count("audio.silent")
