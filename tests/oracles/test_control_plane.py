"""The control plane's figures against a capture of the same load: what passed between us and Asterisk, and when."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.oracles.ari_wire import conversation
from tests.oracles.rtp_wire import percentile
from tests.oracles.wire import captured, packets
from tests.sessions.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_ari_sla.targets.started_target import StartedTarget
    from tests.oracles.ari_wire import Conversation

SCENARIOS = """
import json
from pathlib import Path

import pytest

LOADS = {
    "at_once": dict(calls=30, duration="1s"),
    "fifty_a_second": dict(stages=[__import__("pytest_ari_sla").rate(50, duration="3s", holding="200ms")]),
}

@pytest.mark.parametrize("name", LOADS)
async def test_load(load, name):
    '''Calls that a capture has seen.'''
    result = await load(**LOADS[name])
    figures = {"setup": result.setup, "ari.request": result.ari.request, "ari.event_lag": result.ari.event_lag}
    told = {
        metric: {stat: getattr(figure, stat) for stat in ("count", "mean", "p50", "p99")}
        for metric, figure in figures.items()
    }
    calls = [call.id for call in result.outcome.calls]
    Path(f"{name}.json").write_text(json.dumps({"figures": told, "calls": calls}))
"""

WITHIN_S = 0.0003
SHARE = 0.2
P99_WITHIN_S = 0.001
ATTEMPTS = 4


@dataclass(frozen=True)
class Figures:
    """What a load reported, and the same from the capture: samples in s, by metric."""

    reported: dict[str, dict[str, float]]
    captured: dict[str, list[float]]

    def has_tail(self, metric: str) -> bool:
        """Tell whether p99 as reported is that of the capture."""
        captured_s = percentile(self.captured[metric], 99)
        return abs(self.reported[metric]["p99"] - captured_s) <= max(P99_WITHIN_S, 0.01 * captured_s)


@pytest.fixture(scope="module")
def loads(any_target: StartedTarget, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Figures]:
    """Return the figures of both loads, of one session.

    A machine that stands still for some milliseconds moves a tail. An error of ours is in every session, so that one
    is repeated whose tails are off.
    """
    for _ in range(ATTEMPTS):
        figures = run_once(any_target, tmp_path_factory.mktemp("control_plane"))
        if all(map(figures["fifty_a_second"].has_tail, ("setup", "ari.request", "ari.event_lag"))):
            break
    return figures


def run_once(any_target: StartedTarget, folder: Path) -> dict[str, Figures]:
    """Run both loads, and capture their requests and events."""
    session = Session(folder, any_target)
    session.write("test_loads.py", SCENARIOS)
    port = urlsplit(any_target.endpoint.base_url).port
    assert port is not None
    with captured(folder / "ari.pcapng", f"tcp port {port}"):
        finished = session.run("--sla-inconclusive", "pass")
    assert finished.exit_code == 0, finished.output
    segments, _ = packets(folder / "ari.pcapng")
    said = conversation(segments, port)
    told = {name: json.loads((folder / f"{name}.json").read_text()) for name in ("at_once", "fifty_a_second")}
    return {name: Figures(load["figures"], samples_of(said, load["calls"])) for name, load in told.items()}


def samples_of(said: Conversation, calls: Sequence[str]) -> dict[str, list[float]]:
    """Return the samples of some calls, whose ids begin those of their channels."""
    # The watch over the target asks for a variable of whatever channel there is: that is no request of the call's.
    asked = [one for one in said.requests if "/variable?" not in one.target]
    requests = [one for one in asked if any(call in one.target for call in calls)]
    events = [one for one in said.events if any(channel.startswith(tuple(calls)) for channel in one.channel_ids)]
    return {
        "setup": [ns / 1e9 for ns in said.setups_ns(tuple(calls))],
        "ari.request": [one.took_ns / 1e9 for one in requests if one.status < 300 or one.status == 404],
        "ari.event_lag": [max(0, one.lag_ns) / 1e9 for one in events],
    }


@pytest.mark.parametrize("load", ["at_once", "fifty_a_second"])
@pytest.mark.parametrize("metric", ["setup", "ari.request", "ari.event_lag"])
def test_samples_are_those_of_calls(loads: dict[str, Figures], load: str, metric: str) -> None:
    """Neither the preflight's requests and events nor those of the clean-up are among them."""
    figures: Any = loads[load]
    assert figures.reported[metric]["count"] == len(figures.captured[metric])


@pytest.mark.parametrize("metric", ["setup", "ari.request", "ari.event_lag"])
@pytest.mark.parametrize("load", ["at_once", "fifty_a_second"])
def test_the_middle_is_that_of_the_wire(loads: dict[str, Figures], load: str, metric: str) -> None:
    """Our own event loop, which is several ms behind with 30 calls at once, is no part of it."""
    captured_s = percentile(loads[load].captured[metric], 50)
    assert loads[load].reported[metric]["p50"] == pytest.approx(captured_s, abs=max(WITHIN_S, SHARE * captured_s))


@pytest.mark.parametrize("metric", ["setup", "ari.request", "ari.event_lag"])
def test_the_tail_is_that_of_the_wire(loads: dict[str, Figures], metric: str) -> None:
    """At 50 calls a second."""
    assert loads["fifty_a_second"].has_tail(metric), loads["fifty_a_second"]
