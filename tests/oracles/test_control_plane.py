"""The control plane's figures against a capture of the same load: what passed between us and Asterisk, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.oracles.rtp_wire import percentile

if TYPE_CHECKING:
    from tests.oracles.loads import Load

WITHIN_S = 0.0003
SHARE = 0.2
METRICS = ("setup", "ari.request", "ari.event_lag")


@pytest.fixture(params=["echo", "fifty"], ids=["30 at once", "50 a second"])
def load(request: pytest.FixtureRequest, loads: dict[str, Load]) -> Load:
    """Return the load of 30 calls at once, and that of 50 calls a second."""
    return loads[request.param]


@pytest.mark.parametrize("metric", METRICS)
def test_samples_are_those_of_calls(load: Load, metric: str) -> None:
    """Neither the preflight's requests and events nor those of the clean-up are among them."""
    assert load.total.histogram(metric).count == len(load.control_samples_s()[metric])


@pytest.mark.parametrize("metric", METRICS)
def test_the_middle_is_that_of_the_wire(load: Load, metric: str) -> None:
    """Our own event loop, which is several ms behind with 30 calls at once, is no part of it."""
    captured_s = percentile(load.control_samples_s()[metric], 50)
    assert load.percentile_s(metric, 50) == pytest.approx(captured_s, abs=max(WITHIN_S, SHARE * captured_s))


@pytest.mark.parametrize("metric", METRICS)
def test_the_tail_is_that_of_the_wire(loads: dict[str, Load], metric: str) -> None:
    """At 50 calls a second."""
    load = loads["fifty"]
    assert load.has_control_tail(metric), (load.percentile_s(metric, 99), sorted(load.control_samples_s()[metric])[-5:])


def test_calls_are_those_of_the_wire(load: Load) -> None:
    """Asked for, up, and hung up by us; requests that failed."""
    ids = tuple(load.calls)
    asked = {one.target for one in load.said.requests if "/channels/externalMedia" in one.target}
    begun = {call for call in ids if any(call in target for target in asked)}
    up = {call for call in ids for one in load.said.events if one.type == "StasisStart" and one.is_of(call)}
    hung_up = {call for call in ids for one in load.said.requests if one.is_hang_up_of(call)}
    refused = [
        one
        for one in load.said.requests
        if any(call in one.target for call in ids) and one.status >= 300 and one.status != 404
    ]
    counts = {
        "calls.requested": len(begun),
        "calls.established": len(up),
        "calls.ended": len(hung_up & up),
        "calls.failed": len(begun - up),
        "calls.dropped": len(up - hung_up),
        "ari.errors": len(refused),
    }
    assert {name: load.total.count(name) for name in counts} == counts
