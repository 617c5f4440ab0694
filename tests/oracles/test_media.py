"""The media's figures against a capture of the same load: what left, what came, and when."""

from __future__ import annotations

import pytest

from tests.oracles.loads import HISTOGRAM, P50_WITHIN_S, P99_WITHIN_S, Load
from tests.oracles.rtp_wire import PACKET_NS, RTP, SECOND_NS, Heard, WireLeg, is_rtp, losses_of, percentile, probe_of

LASTING_S = 0.2
TOPOLOGIES = ("echo", "pair", "relay")


@pytest.fixture(params=TOPOLOGIES)
def load(request: pytest.FixtureRequest, loads: dict[str, Load]) -> Load:
    """Return the load of each topology."""
    return loads[request.param]


def test_what_was_sent_received_and_lost_is_what_the_wire_says(load: Load) -> None:
    """Call by call, and in all."""
    lost = {id(heard): heard.lost(sender) for heard, sender in load.callers()}
    sent = sum(len(sender.sent) for _, sender in load.callers())
    assert sent
    assert load.total.count("loss.sent") == sent
    assert load.total.count("loss.lost") == sum(map(len, lost.values()))
    assert load.total.count("loss.received") == sent - sum(map(len, lost.values()))
    for call, values in load.calls.items():
        legs = load.legs[call]
        assert values["loss.lost"] == sum(len(lost[id(legs[place])]) for place in range(len(load.heard_leg)))


def test_losses_are_spread_as_on_the_wire(load: Load) -> None:
    """Runs, noticeable ones and bursts, of each leg by itself."""
    spreads = [losses_of(heard.lost(sender)) for heard, sender in load.callers()]
    names = ("loss.periods", "loss.noticeable", "loss.bursts", "loss.burst_lost", "loss.burst_packets")
    for place, name in enumerate(names):
        assert load.total.count(name) == sum(spread[place] for spread in spreads), name


def test_duplicates_and_reordering_are_those_of_the_wire(load: Load) -> None:
    """As they came to us: an Asterisk in between may have kept some of them back."""
    assert load.total.count("duplicates") == sum(heard.duplicates(sender) for heard, sender in load.callers())
    assert load.total.count("reordered") == sum(heard.reordered() for heard, _ in load.callers())


@pytest.mark.parametrize(("percent", "within_s"), [(0, P50_WITHIN_S), (50, P50_WITHIN_S), (99, P99_WITHIN_S)])
def test_delays_are_those_of_the_wire(load: Load, percent: float, within_s: float) -> None:
    """Round trips where a leg hears itself, one way where it hears another; a machine's noise is in both."""
    name, wire_s = "one_way" if len(load.heard_leg) > 1 else "rtt", load.delays_s()
    assert load.total.histogram(name).count == len(wire_s)
    captured_s = percentile(wire_s, percent)
    assert captured_s <= load.percentile_s(name, percent) + 1e-6, "no delay is below the possible"
    assert load.percentile_s(name, percent) == pytest.approx(captured_s, abs=within_s + captured_s * (HISTOGRAM - 1))


def test_jitter_is_that_of_the_wire(load: Load) -> None:
    """At each call's end, on its worse leg, within 1 %."""
    for call, values in load.calls.items():
        jitter_s = max(load.legs[call][place].jitter_s() for place in range(len(load.heard_leg)))
        assert values["jitter"] == pytest.approx(jitter_s, rel=0.01, abs=1e-9)


def test_voice_quality_is_what_the_wire_makes_of_it(load: Load) -> None:
    """By arithmetic of its own, of each direction in a pair; scores are kept to three decimals."""
    both_ways = len(load.heard_leg) == 1
    scores = sorted(heard.mos(sender, both_ways=both_ways) for heard, sender in load.callers())
    reported = load.total.histogram("mos")
    assert reported.count == len(scores)
    assert reported.min / 1e3 == pytest.approx(scores[0], abs=0.002)
    assert reported.max / 1e3 == pytest.approx(scores[-1], abs=0.002)
    assert reported.mean / 1e3 == pytest.approx(sum(scores) / len(scores), abs=0.002)


def test_the_first_packet_is_that_of_the_wire(load: Load) -> None:
    """From when ours was due, which is what left as much later as the tool says."""
    late_s = load.total.histogram("harness.pacing_error").max / 1e9
    waits_s = [
        max(legs[place].first_wait_ns(legs[other]) for place, other in enumerate(load.heard_leg)) / 1e9
        for legs in load.legs.values()
    ]
    for percent in (0, 50, 100):
        captured_s = percentile(waits_s, percent)
        assert captured_s - 1e-6 <= load.percentile_s("first_packet", percent)
        assert load.percentile_s("first_packet", percent) <= (captured_s + late_s) * HISTOGRAM + P50_WITHIN_S


@pytest.fixture
def relayed(loads: dict[str, Load]) -> tuple[Load, list[WireLeg], WireLeg]:
    """Return the load that was relayed, its legs at the relay, and what the relay had of the echo server."""
    load = loads["relay"]
    legs = [leg for legs in load.legs.values() for leg in legs[1:]]
    probes = {one.probe for leg in legs for one in leg.heard}
    beyond = WireLeg()
    for packet in load.datagrams:
        probe = probe_of(packet.data)
        if probe is None or probe not in probes or not is_rtp(packet.data):
            continue
        if packet.target == load.echo_port:
            beyond.sent.setdefault(probe, packet.at_ns)
        elif packet.source == load.echo_port:
            beyond.heard.append(Heard(packet.at_ns, 0, 0, probe))
    return load, legs, beyond


def test_the_network_was_as_bad_as_it_was_to_be(loads: dict[str, Load]) -> None:
    """Or nothing would have been held to anything."""
    assert all(loads["relay"].total.count(name) for name in ("loss.lost", "loss.bursts", "reordered"))


def test_the_relay_counts_what_passes_it(relayed: tuple[Load, list[WireLeg], WireLeg]) -> None:
    """From Asterisk, to the echo server, back from it, and back to Asterisk."""
    load, legs, beyond = relayed
    ways = load.relay_ways()
    counts = {
        "relay.received": sum(len(leg.heard) for leg in legs),
        "relay.forwarded": len(beyond.sent),
        "relay.echoed": len(beyond.heard),
        "relay.duplicates": len(beyond.heard) - len(beyond.delays_ns(beyond)),
        "relay.lost": len(beyond.lost(beyond)),
        "relay.returned": sum((one.source, one.target) in ways for one in load.datagrams),
    }
    assert {name: load.total.count(name) for name in counts} == counts


def test_what_a_relay_does_not_expect_is_counted_as_on_the_wire(loads: dict[str, Load]) -> None:
    """From where no packet of its calls comes, of no call's source, and what is no RTP, on either side."""
    load = loads["relay"]
    from_asterisk = {(theirs, ours) for ours, theirs in load.relay_ways()}
    to_echo = [packet for packet in load.datagrams if packet.target == load.echo_port]
    sources = {RTP.unpack_from(packet.data)[4] for packet in to_echo}
    from_echo = {(load.echo_port, packet.source) for packet in to_echo}
    relay_ports = {ours for _, ours in from_asterisk | from_echo}
    # Other loads have used these ports before, or will: a port is leased again.
    own_ns = [one.at_ns for one in load.datagrams if (one.source, one.target) in from_asterisk | from_echo]
    counts = dict.fromkeys(("relay.foreign", "relay.invalid"), 0)
    for packet in load.datagrams:
        way = packet.source, packet.target
        if packet.target not in relay_ports or not min(own_ns) <= packet.at_ns <= max(own_ns):
            continue
        if not is_rtp(packet.data):
            counts["relay.invalid"] += 1
        elif way not in from_asterisk | from_echo:
            counts["relay.foreign"] += 1
        elif way in from_echo:
            counts["relay.foreign"] += RTP.unpack_from(packet.data)[4] not in sources
    assert all(counts.values())
    assert {name: load.total.count(name) for name in counts} == counts


@pytest.mark.parametrize("percent", [0, 50, 99])
def test_the_relays_round_trips_are_those_of_the_wire(
    relayed: tuple[Load, list[WireLeg], WireLeg], percent: float
) -> None:
    """From the relay to the echo server and back; the relay may have held a packet while it had it sent already."""
    load, _, beyond = relayed
    wire_s = [delay / 1e9 for delay in beyond.delays_ns(beyond)]
    assert load.total.histogram("relay_rtt").count == len(wire_s)
    captured_s, held_s = percentile(wire_s, percent), load.total.histogram("harness.relay_turnaround").max / 1e9
    assert captured_s - P50_WITHIN_S <= load.percentile_s("relay_rtt", percent) <= captured_s * HISTOGRAM + held_s


def test_delay_that_stays_is_that_of_the_wire(loads: dict[str, Load]) -> None:
    """One value a leg, wherever its seconds begin; a single packet that comes 3 s late does not stay."""
    load = loads["strange"]
    rises_s = []
    for heard, sender in load.callers():
        found = [heard.lasting_delay_ns(sender, phase_ns) for phase_ns in range(0, SECOND_NS, PACKET_NS // 2)]
        rises_s.append([rise / 1e9 for rise in found if rise is not None])
    reported = load.total.histogram("lasting_delay")
    assert reported.count == len(rises_s)
    assert load.total.count("lasting_delay.legs") == sum(min(rises) > LASTING_S for rises in rises_s)
    for value_s, which in ((reported.min / 1e9, min), (reported.max / 1e9, max)):
        assert which(map(min, rises_s)) - P50_WITHIN_S <= value_s <= which(map(max, rises_s)) + P50_WITHIN_S
