"""The loads that figures are held to a capture of: made once for each target, and read by every test.

A load that the tool itself does not believe in, or of which the machine has moved the tail, is made again: an error of
ours is in each of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.peers.echo.echo_process import EchoServerProcess
from pytest_ari_sla.peers.echo.impairment import Impairment
from tests.oracles.ari_wire import Conversation, conversation
from tests.oracles.injector import Injector
from tests.oracles.relay_injector import RelayInjector
from tests.oracles.rtp_wire import legs_of, percentile
from tests.oracles.wire import captured, packets
from tests.sessions.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytest_ari_sla.targets.started_target import StartedTarget
    from tests.oracles.rtp_wire import WireLeg
    from tests.oracles.wire import UdpPacket

__all__ = ["HISTOGRAM", "LOADS", "P50_WITHIN_S", "P99_WITHIN_S", "Load", "make_loads"]

SCENARIOS = """
import json
from pathlib import Path

import pytest

from pytest_ari_sla import rate

LOADS = {
    "echo": dict(calls=30, duration="2s"),
    "fifty": dict(stages=[rate(50, duration="2s", holding="200ms")]),
    "pair": dict(calls=5, duration="2s", topology="pair"),
    "relay": dict(calls=5, duration="2s", topology="relay"),
    "digits": dict(calls=3, duration="2s", topology="pair", digits="159D"),
    "strange": dict(calls=3, duration="4s"),
    "transcode": dict(calls=2, duration="5s", topology="transcode", codec="PCMU", other_codec="PCMA"),
}

@pytest.mark.parametrize("name", LOADS)
async def test_load(load, name):
    '''Calls that a capture has seen.'''
    Path(f"{name}.begun").touch()
    result = await load(**LOADS[name])
    outcome = result.outcome
    calls = {call.id: call.values for call in outcome.calls}
    Path(f"{name}.json").write_text(json.dumps({"total": outcome.total.to_plain(), "calls": calls}))
"""
LOADS = ("echo", "fifty", "pair", "relay", "digits", "strange", "transcode")
MS = 1_000_000
BAD_NETWORK = Impairment(
    loss=0.04, loss_burst=2, delay_ns=10 * MS, jitter_ns=4 * MS, duplicate=0.03, reorder=0.03, seed=5
)
ATTEMPTS = 5
P50_WITHIN_S, P99_WITHIN_S = 50e-6, 200e-6
CONTROL_P99_WITHIN_S = 0.001
HISTOGRAM = 1.001
"""A percentile is at most 0.1 % above its sample."""


@dataclass(frozen=True)
class Load:
    """What a load reported, of all calls and of each, and what passed the wire meanwhile.

    Attributes
    ----------
    name
        Which.
    total
        All figures.
    calls
        Those of each call.
    legs
        The legs of each call on the wire, in the order of their channels: callers first, then the rest.
    said
        What was said with ARI.
    datagrams
        All that was captured.
    media
        Of each channel, our RTP port and Asterisk's.
    echo_port, stranger_port
        The echo server's, and one from which no call expects packets.
    not_sent
        What was to be sent to legs, and was not.
    """

    name: str
    total: Snapshot
    calls: dict[str, dict[str, float]]
    legs: dict[str, list[WireLeg]]
    said: Conversation
    datagrams: list[UdpPacket]
    media: dict[str, tuple[int, int]]
    echo_port: int
    stranger_port: int
    not_sent: list[str]

    def relay_ways(self) -> set[tuple[int, int]]:
        """Return the ways from a relay to Asterisk, by their ports: to the channels of each call but the caller's."""
        return {
            self.media[channel]
            for call in self.calls
            for channel in [one for one in self.media if one.startswith(call)][1:]
        }

    @property
    def heard_leg(self) -> tuple[int, ...]:
        """Which leg of a call each caller hears."""
        return (1, 0) if self.name in ("pair", "digits") else (0,)

    def callers(self) -> list[tuple[WireLeg, WireLeg]]:
        """Return each caller's leg, and the one that it hears."""
        return [(legs[place], legs[other]) for legs in self.legs.values() for place, other in enumerate(self.heard_leg)]

    def percentile_s(self, name: str, percent: float) -> float:
        """Return a percentile as it was reported."""
        histogram = self.total.histogram(name)
        assert histogram.count, name
        return histogram.percentile(percent) / 1e9

    def control_samples_s(self) -> dict[str, list[float]]:
        """Return the samples of each time of ARI, as the wire has them."""
        ids = tuple(self.calls)
        # The watch over the target asks for a variable of whatever channel there is: that is no request of the call's.
        asked = [one for one in self.said.requests if "/variable?" not in one.target]
        requests = [one for one in asked if any(call in one.target for call in ids)]
        events = [one for one in self.said.events if any(channel.startswith(ids) for channel in one.channel_ids)]
        return {
            "setup": [ns / 1e9 for ns in self.said.setups_ns(ids)],
            "ari.request": [one.took_ns / 1e9 for one in requests if one.status < 300 or one.status == 404],
            "ari.event_lag": [max(0, one.lag_ns) / 1e9 for one in events],
        }

    def has_control_tail(self, metric: str) -> bool:
        """Tell whether p99 of a time of ARI as reported is that of the capture."""
        captured_s = percentile(self.control_samples_s()[metric], 99)
        return abs(self.percentile_s(metric, 99) - captured_s) <= max(CONTROL_P99_WITHIN_S, 0.01 * captured_s)

    def trouble(self) -> str:
        """Say why the tool itself does not believe in the figures, or which tail was moved; empty where nothing did."""
        names = ("harness.receive_drops", "harness.not_sent", "harness.clock_steps", "loss.unknown")
        stalls = ("harness.measuring_stall", "harness.media_stall")
        found = [name for name in names if self.total.count(name)]
        found += [name for name in stalls if self.total.histogram(name).count]
        found += self.not_sent
        if self.name == "fifty":
            found += [f"p99 of {name}" for name in self.control_samples_s() if not self.has_control_tail(name)]
        if self.name in ("echo", "pair", "relay") and not self.has_media_tail():
            found.append(f"p99 of {self.delay_name}")
        return ", ".join(found)

    @property
    def delay_name(self) -> str:
        """What the delay of a caller's probes is called."""
        return "one_way" if len(self.heard_leg) > 1 else "rtt"

    def delays_s(self) -> list[float]:
        """Return the delays of all callers' probes, as the wire has them."""
        return [delay / 1e9 for heard, sender in self.callers() for delay in heard.delays_ns(sender)]

    def has_media_tail(self) -> bool:
        """Tell whether p99 of the delay as reported is that of the capture."""
        captured_s = percentile(self.delays_s(), 99)
        off_s = abs(self.percentile_s(self.delay_name, 99) - captured_s)
        return off_s <= P99_WITHIN_S + captured_s * (HISTOGRAM - 1)


def make_loads(target: StartedTarget, folder: Path) -> dict[str, Load]:
    """Make all loads on a target, those that come out troubled again."""
    made: dict[str, Load] = {}
    for attempt in range(ATTEMPTS):
        wanted = [name for name in LOADS if name not in made or made[name].trouble()]
        if not wanted:
            return made
        place = folder / f"attempt{attempt}"
        place.mkdir()
        made |= _make(target, place, wanted)
    if troubled := [f"{name} ({trouble})" for name in LOADS if (trouble := made[name].trouble())]:
        pytest.fail(f"none of {ATTEMPTS} sessions could measure {' and '.join(troubled)}")
    return made


def _make(target: StartedTarget, folder: Path, names: Iterable[str]) -> dict[str, Load]:
    """Make some loads in one session, and capture their requests and packets."""
    session = Session(folder, target)
    session.write("test_loads.py", SCENARIOS)
    ari_port = urlsplit(target.endpoint.base_url).port
    assert ari_port is not None
    assert target.target.rtp_ports is not None
    low, high = target.target.rtp_ports
    tests = [f"test_loads.py::test_load[{name}]" for name in names]
    with EchoServerProcess(impairment=BAD_NETWORK) as echo:
        host, echo_port = echo.address
        ports = f"tcp port {ari_port} or udp portrange {low}-{high} or udp port {echo_port}"
        ours = (low, high), high - 1
        relayed = folder / "relay.begun", folder / "relay.json"
        with (
            Injector(folder / "strange.begun", folder / "strange.json", *ours) as injector,
            RelayInjector(*relayed, *ours, echo_port=echo_port) as relay_injector,
            captured(folder / "wire.pcapng", ports),
        ):
            finished = session.run("--sla-inconclusive", "pass", "--ari-echo", f"{host}:{echo_port}", *tests)
    assert finished.exit_code == 0, finished.output
    segments, datagrams = packets(folder / "wire.pcapng")
    said = conversation(segments, ari_port)
    told: dict[str, Any] = {name: json.loads((folder / f"{name}.json").read_text()) for name in names}
    loads = {}
    not_sent = {"strange": injector.not_sent(), "relay": relay_injector.not_sent()}
    for name, load in told.items():
        media = said.media(tuple(load["calls"]))
        legs = legs_of(datagrams, media)
        by_call = {call: [legs[channel] for channel in media if channel.startswith(call)] for call in load["calls"]}
        total = Snapshot.from_plain(load["total"])
        loads[name] = Load(
            name, total, load["calls"], by_call, said, datagrams, media, echo_port, high - 1, not_sent.get(name, [])
        )
    return loads
