"""The media's figures against a capture of the same load: what left, what came, and when."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from pytest_ari_sla.far_end.echo_process import EchoServerProcess
from pytest_ari_sla.far_end.impairment import Impairment
from pytest_ari_sla.metrics.snapshot import Snapshot
from tests.oracles.ari_wire import conversation
from tests.oracles.rtp_wire import Heard, WireLeg, legs_of, losses_of, percentile, probe_of
from tests.oracles.wire import captured, packets
from tests.sessions.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_ari_sla.targets.started_target import StartedTarget
    from tests.oracles.wire import UdpPacket

SCENARIOS = """
import json
from pathlib import Path

import pytest

LOADS = {"echo": dict(calls=10), "pair": dict(calls=5), "relay": dict(calls=5)}

@pytest.mark.parametrize("topology", LOADS)
async def test_load(load, topology):
    '''Calls that a capture has seen.'''
    result = await load(duration="3s", topology=topology, **LOADS[topology])
    outcome = result.outcome
    calls = {call.id: call.values for call in outcome.calls}
    Path(f"{topology}.json").write_text(json.dumps({"total": outcome.total.to_plain(), "calls": calls}))
"""
TOPOLOGIES = ("echo", "pair", "relay")
MS = 1_000_000
BAD_NETWORK = Impairment(
    loss=0.04, loss_burst=2, delay_ns=10 * MS, jitter_ns=4 * MS, duplicate=0.03, reorder=0.03, seed=5
)
ATTEMPTS = 5
P50_WITHIN_S, P99_WITHIN_S = 50e-6, 200e-6
HISTOGRAM = 1.001
"""A percentile is at most 0.1 % above its sample."""


@dataclass(frozen=True)
class Load:
    """What a load reported, of all calls and of each, and its legs on the wire, by call: callers first, then the rest.

    Attributes
    ----------
    total
        All figures.
    calls
        Those of each call.
    legs
        The legs of each call, in the order of their channels.
    heard_leg
        Which leg of a call each caller hears.
    """

    total: Snapshot
    calls: dict[str, dict[str, float]]
    legs: dict[str, list[WireLeg]]
    heard_leg: tuple[int, ...]

    def callers(self) -> list[tuple[WireLeg, WireLeg]]:
        """Return each caller's leg, and the one that it hears."""
        return [(legs[place], legs[other]) for legs in self.legs.values() for place, other in enumerate(self.heard_leg)]

    def is_troubled(self) -> bool:
        """Tell whether the tool itself says that its figures are not to be believed."""
        names = ("harness.receive_drops", "harness.not_sent", "harness.clock_steps", "loss.unknown")
        stalls = ("harness.measuring_stall", "harness.media_stall")
        return any(map(self.total.count, names)) or any(self.total.histogram(name).count for name in stalls)


@dataclass(frozen=True)
class Run:
    """The loads of one session, what was captured, and the echo server's port."""

    loads: dict[str, Load]
    datagrams: list[UdpPacket]
    echo_port: int


@pytest.fixture(scope="module")
def run(any_target: StartedTarget, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return the figures of a session, on each target; one that the tool itself does not believe in is repeated."""
    for _ in range(ATTEMPTS):
        made = run_once(any_target, tmp_path_factory.mktemp("media"))
        if not any(load.is_troubled() for load in made.loads.values()):
            return made
    pytest.fail(f"this machine let none of {ATTEMPTS} sessions measure")


def run_once(target: StartedTarget, folder: Path) -> Run:
    """Run the loads, and capture their requests and packets."""
    session = Session(folder, target)
    session.write("test_loads.py", SCENARIOS)
    ari_port = urlsplit(target.endpoint.base_url).port
    assert ari_port is not None
    assert target.target.rtp_ports is not None
    low, high = target.target.rtp_ports
    with EchoServerProcess(impairment=BAD_NETWORK) as echo:
        host, echo_port = echo.address
        ports = f"tcp port {ari_port} or udp portrange {low}-{high} or udp port {echo_port}"
        with captured(folder / "media.pcapng", ports):
            finished = session.run("--sla-inconclusive", "pass", "--ari-echo", f"{host}:{echo_port}")
    assert finished.exit_code == 0, finished.output
    segments, datagrams = packets(folder / "media.pcapng")
    said = conversation(segments, ari_port)
    told = {topology: json.loads((folder / f"{topology}.json").read_text()) for topology in TOPOLOGIES}
    loads = {}
    for topology, load in told.items():
        media = said.media(tuple(load["calls"]))
        legs = legs_of(datagrams, media)
        by_call = {call: [legs[channel] for channel in media if channel.startswith(call)] for call in load["calls"]}
        heard = {"pair": (1, 0)}.get(topology, (0,))
        loads[topology] = Load(Snapshot.from_plain(load["total"]), load["calls"], by_call, heard)
    return Run(loads, datagrams, echo_port)


@pytest.fixture(params=TOPOLOGIES)
def load(request: pytest.FixtureRequest, run: Run) -> Load:
    """Return the load of each topology."""
    return run.loads[request.param]


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
    for place, name in enumerate(("periods", "noticeable", "bursts", "burst_lost", "burst_packets")):
        assert load.total.count(f"loss.{name}") == sum(spread[place] for spread in spreads), name


def test_duplicates_and_reordering_are_those_of_the_wire(load: Load) -> None:
    """As they came to us: an Asterisk in between may have kept some of them back."""
    assert load.total.count("duplicates") == sum(heard.duplicates(sender) for heard, sender in load.callers())
    assert load.total.count("reordered") == sum(heard.reordered() for heard, _ in load.callers())


@pytest.mark.parametrize(("percent", "within_s"), [(0, P50_WITHIN_S), (50, P50_WITHIN_S), (99, P99_WITHIN_S)])
def test_delays_are_those_of_the_wire(load: Load, percent: float, within_s: float) -> None:
    """Round trips where a leg hears itself, one way where it hears another; a machine's noise is in both."""
    name = "one_way" if len(load.heard_leg) > 1 else "rtt"
    wire_s = [delay / 1e9 for heard, sender in load.callers() for delay in heard.delays_ns(sender)]
    reported = load.total.histogram(name)
    assert reported.count == len(wire_s)
    captured_s = percentile(wire_s, percent)
    assert captured_s <= percentile_s(load, name, percent) + 1e-6, "no delay is below the possible"
    assert percentile_s(load, name, percent) == pytest.approx(captured_s, abs=within_s + captured_s * (HISTOGRAM - 1))


def percentile_s(load: Load, name: str, percent: float) -> float:
    """Return a percentile as it was reported."""
    value = load.total.histogram(name).percentile(percent)
    assert value is not None
    return value / 1e9


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
        assert captured_s - 1e-6 <= percentile_s(load, "first_packet", percent)
        assert percentile_s(load, "first_packet", percent) <= (captured_s + late_s) * HISTOGRAM + P50_WITHIN_S


@pytest.fixture
def relayed(run: Run) -> tuple[Load, list[WireLeg], WireLeg]:
    """Return the load that was relayed, its legs at the relay, and what the relay had of the echo server."""
    load = run.loads["relay"]
    legs = [leg for legs in load.legs.values() for leg in legs[1:]]
    probes = {one.probe for leg in legs for one in leg.heard}
    beyond = WireLeg()
    for packet in run.datagrams:
        probe = probe_of(packet.data)
        if probe is None or probe not in probes:
            continue
        if packet.target == run.echo_port:
            beyond.sent.setdefault(probe, packet.at_ns)
        elif packet.source == run.echo_port:
            beyond.heard.append(Heard(packet.at_ns, 0, 0, probe))
    return load, legs, beyond


def test_the_network_was_as_bad_as_it_was_to_be(run: Run) -> None:
    """Or nothing would have been held to anything."""
    assert all(run.loads["relay"].total.count(name) for name in ("loss.lost", "loss.bursts", "reordered"))


def test_the_relay_counts_what_passes_it(relayed: tuple[Load, list[WireLeg], WireLeg]) -> None:
    """From Asterisk, to the echo server, back from it, and back to Asterisk."""
    load, legs, beyond = relayed
    counts = {
        "relay.received": sum(len(leg.heard) for leg in legs),
        "relay.forwarded": len(beyond.sent),
        "relay.echoed": len(beyond.heard),
        "relay.duplicates": len(beyond.heard) - len(beyond.delays_ns(beyond)),
        "relay.lost": len(beyond.lost(beyond)),
    }
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
    assert captured_s - P50_WITHIN_S <= percentile_s(load, "relay_rtt", percent) <= captured_s * HISTOGRAM + held_s
