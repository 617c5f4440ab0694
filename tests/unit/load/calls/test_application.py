"""What is told of the application under test, by what became of its calls and by what it keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_ari_sla.ari.resources import Application, Bridge, CallerId, Channel
from pytest_ari_sla.errors import ApplicationFailed
from pytest_ari_sla.load.calls import application
from pytest_ari_sla.load.calls.application import Leftovers, check_scripts
from pytest_ari_sla.load.results.outcome import CallOutcome, LoadOutcome
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.time_series import TimeSeries

if TYPE_CHECKING:
    from pytest_ari_sla.ari_client.session import AriSession

S = 1_000_000_000


def outcome(*calls: tuple[str, int, str], completed: int = 0) -> LoadOutcome:
    """Return a load of these calls: state, start in s, and reason."""
    told = tuple(
        CallOutcome(f"c{place}", state, start * S, None if state == "failed" else start * S + 1, None, None, why, 1, {})
        for place, (state, start, why) in enumerate(calls)
    )
    counts: dict[str, Any] = {"calls.requested": len(calls), "script.completed": completed}
    for state in ("failed", "dropped"):
        counts[f"calls.{state}"] = sum(call.state == state for call in told)
    return LoadOutcome("caller", "PCMU", 0, 0, Snapshot(counts), TimeSeries(), told)


def test_an_application_that_stops_answering_is_named_whatever_went_well_before() -> None:
    """From some time on, not one call was answered."""
    first, broken = ("ended", 0, ""), ("dropped", 2, "silent")
    load = outcome(first, ("failed", 3, "cause 16"), broken, ("failed", 4, "cause 16"), completed=1)
    with pytest.raises(
        ApplicationFailed, match=r"answered began 2\.0 s .* followed \(2\) none was answered \(mostly: cause 16\)"
    ):
        check_scripts(load)


def test_an_application_that_has_gone_is_named_by_its_name() -> None:
    """Asterisk knows it no more."""
    with pytest.raises(ApplicationFailed, match="the Stasis application bot has gone"):
        check_scripts(outcome(("ended", 0, ""), ("failed", 2, "cause 16"), completed=1), {"bot"})
    answered_all = outcome(("ended", 0, ""), ("dropped", 2, "silent"), completed=1)
    assert check_scripts(answered_all, {"bot"}) == ["1 of 2 calls did not go as their script says; mostly: silent"]


def test_a_single_call_that_nobody_answers_is_told_and_no_more() -> None:
    """It may be an accident; so may failures between calls that went well."""
    last = outcome(("ended", 0, ""), ("ended", 1, ""), ("failed", 2, "cause 16"), completed=2)
    between = outcome(("ended", 0, ""), ("failed", 1, "busy"), ("failed", 2, "busy"), ("ended", 3, ""), completed=2)
    assert check_scripts(last) == ["1 of 3 calls did not go as their script says; mostly: cause 16"]
    assert check_scripts(between) == ["2 of 4 calls did not go as their script says; mostly: busy"]


def test_where_nothing_went_well_the_usual_reason_is_the_sentence() -> None:
    """Its first line."""
    with pytest.raises(ApplicationFailed, match=r"no call went as its script says: silent$"):
        check_scripts(outcome(("dropped", 0, "silent\nmore"), ("dropped", 1, "silent\nelse")))


class Asterisk:
    """An ARI session whose answers a test writes."""

    def __init__(self) -> None:
        self.client = self
        self.there: dict[str, str] = {}
        self.bridged: list[str] = []
        self.applications: list[Application] = []

    async def channels(self) -> list[Channel]:
        """Return the channels, with the names of their callers."""
        return [Channel(identity, caller=CallerId(name)) for identity, name in self.there.items()]

    async def bridges(self) -> list[Bridge]:
        """Return the bridges."""
        return [Bridge(identity) for identity in self.bridged]

    async def fetch(self, kind: object, method: str, path: str) -> list[Application]:
        """Return the applications."""
        return self.applications


@pytest.mark.parametrize("caller", [("sla-1.c1.x", ""), ("1795.7", "sla-1.c1")])
async def test_only_what_the_application_of_our_callers_keeps_is_left(
    monkeypatch: pytest.MonkeyPatch, caller: tuple[str, str]
) -> None:
    """Other people's calls come and go on the same Asterisk; a caller by SIP is known by its name."""
    monkeypatch.setattr(application, "GRACE_S", 0.25)
    asterisk = Asterisk()
    leftovers = Leftovers(cast("AriSession", asterisk))
    asterisk.there = {"old": ""}
    await leftovers.begin()
    asterisk.there |= dict([caller]) | {"theirs": "", "bot-media": ""}
    asterisk.bridged = ["bot-bridge", "their-bridge"]
    asterisk.applications = [
        Application("sla-1", ("sla-1.c1.near",)),
        Application("bot", (caller[0], "bot-media"), ("bot-bridge",)),
        Application("theirs", ("theirs",), ("their-bridge",)),
    ]
    await leftovers.look()
    del asterisk.there[caller[0]]
    assert await leftovers.count() == {"bot-media", "bot-bridge"}
    assert await leftovers.gone() == set()
    asterisk.applications = asterisk.applications[::2]
    assert await leftovers.gone() == {"bot"}
