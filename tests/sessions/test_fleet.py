"""Loads divided among xdist's workers: what runs, in which order, and what comes out."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.peers.echo.echo_process import EchoServerProcess
from pytest_ari_sla.peers.echo.impairment import Impairment

if TYPE_CHECKING:
    from tests.sessions.session import Session

pytestmark = pytest.mark.timeout(400)  # whole sessions, several of them, on whatever else the machine does

LOSS = ("sent", "received", "lost", "bursts")
SCENARIOS = '''
    import pytest

    pytestmark = pytest.mark.sla("calls.success_ratio >= 100%")

    def test_before():
        """Not a load."""

    async def test_first(load):
        """A load."""
        result = await load(calls=5, duration="1s")
        assert result.calls.established == 5

    def test_between():
        """Not a load."""

    @pytest.mark.sla("calls.established == 4")
    async def test_second(load):
        """Another load, that breaks its limit."""
        await load(calls=3, duration="1s")

    @pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
    async def test_third(load, codec):
        """A load with parameters."""
        await load(calls=2, duration="500ms", codec=codec)

    def test_after():
        """Not a load."""
'''


@pytest.fixture
def scenarios(session: Session) -> Session:
    """Return a project with four loads, one of which fails, and three other tests."""
    session.write("test_scenarios.py", SCENARIOS)
    return session


@pytest.mark.parametrize(
    "dist",
    [
        "load",
        *(pytest.param(other, marks=pytest.mark.soak) for other in ("loadscope", "loadfile", "loadgroup", "worksteal")),
    ],
)
def test_a_fleet_gives_one_verdict_for_each_load_whatever_the_distribution(scenarios: Session, dist: str) -> None:
    """Loads keep the names that they have alone, their numbers are those of the whole fleet, all else runs once."""
    done = scenarios.run("-n", "2", "--dist", dist)
    assert done.exit_code == 1, done.output
    assert {name: scenario["verdict"] for name, scenario in done.scenarios.items()} == {
        "test_first": "pass",
        "test_second": "fail",
        "test_third[PCMU]": "pass",
        "test_third[PCMA]": "pass",
    }
    assert done.scenarios["test_first"]["calls"]["established"] == 5
    assert done.scenarios["test_second"]["calls"]["established"] == 3
    assert done.report is not None
    assert done.report["run"]["shards"] == 2
    assert done.count("passed") == 2 * 4 - 1 + 3
    assert [nodeid for outcome, nodeid in done.outcomes if outcome == "FAILED"] == [
        "test_scenarios.py::test_second[shard 1 of 2]"
    ]


@pytest.mark.parametrize("arguments", [pytest.param(("-n", "0"), marks=pytest.mark.soak), ("-p", "no:xdist")])
def test_without_a_fleet_nothing_is_divided_and_the_verdicts_are_the_same(
    scenarios: Session, arguments: tuple[str, ...]
) -> None:
    """One test, one load."""
    done = scenarios.run(*arguments)
    assert {name: scenario["verdict"] for name, scenario in done.scenarios.items()} == {
        "test_first": "pass",
        "test_second": "fail",
        "test_third[PCMU]": "pass",
        "test_third[PCMA]": "pass",
    }
    assert done.count("failed") == 1
    assert done.count("passed") == 6


@pytest.mark.soak
def test_more_workers_than_calls_still_meet(session: Session) -> None:
    """Shards without a call are there at every barrier."""
    session.write("test_one.py", 'async def test_one(load):\n    await load(calls=1, duration="1s")\n')
    done = session.run("-n", "3")
    assert done.exit_code == 0, done.output
    assert done.scenarios["test_one"]["calls"]["established"] == 1
    assert [shard["shard"] for shard in done.scenarios["test_one"]["harness"]] == [1, 2, 3]


@pytest.mark.soak
def test_a_fleet_stops_at_the_first_failure_without_further_noise(scenarios: Session) -> None:
    """With ``-x`` only one shard sees the failure; the others do not fail in the next test for want of it."""
    done = scenarios.run("-n", "2", "-x")
    assert done.exit_code != 0
    assert [nodeid for outcome, nodeid in done.outcomes if outcome == "FAILED"] == [
        "test_scenarios.py::test_second[shard 1 of 2]"
    ]
    assert "test_third[PCMU]" not in done.scenarios
    assert done.scenarios["test_second"]["verdict"] == "fail"


def test_maxfail_counts_scenarios_and_not_shards(scenarios: Session) -> None:
    """One failed load is one failure, so two are not reached."""
    done = scenarios.run("-n", "2", "--maxfail", "2")
    assert done.count("failed") == 1
    assert done.scenarios["test_third[PCMA]"]["verdict"] == "pass"


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("-k", "second and shard and 1"), marks=pytest.mark.soak),
        ("--deselect", "test_scenarios.py::test_second[shard 2 of 2]", "-k", "second"),
        pytest.param(("test_scenarios.py::test_second[shard 1 of 2]",), marks=pytest.mark.soak),
        pytest.param(("test_scenarios.py::test_second[shard 3 of 4]",), marks=pytest.mark.soak),
        pytest.param(("test_scenarios.py::test_second",), marks=pytest.mark.soak),
    ],
)
def test_whoever_selects_a_part_of_a_load_gets_all_of_it(scenarios: Session, arguments: tuple[str, ...]) -> None:
    """A part alone would wait for the others for ever."""
    done = scenarios.run("-n", "2", *arguments)
    assert sorted(nodeid for _, nodeid in done.outcomes) == [
        "test_scenarios.py::test_second[shard 1 of 2]",
        "test_scenarios.py::test_second[shard 2 of 2]",
    ]
    assert done.scenarios["test_second"]["calls"]["established"] == 3


@pytest.mark.soak
def test_the_last_failures_are_run_again_by_fleets_of_any_size_and_alone(scenarios: Session) -> None:
    """What failed was a scenario, and not its first shard."""
    scenarios.run("-n", "2")
    again = scenarios.run("--lf", "-n", "2")
    assert len(again.outcomes) == 2
    assert list(again.scenarios) == ["test_second"]
    larger = scenarios.run("--lf", "-n", "3")
    assert len(larger.outcomes) == 3
    alone = scenarios.run("--lf")
    assert alone.count("failed") == 1
    assert alone.count("passed") == 0


def test_a_mistake_in_a_threshold_stops_a_fleet_before_the_first_call(session: Session) -> None:
    """With the nearest known names, as alone."""
    session.write(
        "test_wrong.py",
        'import pytest\n@pytest.mark.sla("rtt.p99 < 60mx")\nasync def test_wrong(load):\n    await load()\n',
    )
    done = session.run("-n", "2")
    assert done.exit_code != 0
    assert "unknown unit" in done.output
    assert "INTERNALERROR" not in done.output
    assert done.report is None


def test_a_target_that_is_not_there_stops_a_fleet_before_the_first_test(scenarios: Session) -> None:
    """One sentence, whose fault it is, and no test has run."""
    done = scenarios.run("-n", "2", "--ari-url", "http://user:secret@127.0.0.1:9")
    assert done.exit_code == 4
    assert "at fault: the network" in done.output
    assert not done.outcomes
    assert "secret" not in done.output


def test_fixtures_of_a_target_work_on_workers_without_any_load(session: Session) -> None:
    """The controller starts the target when the first worker asks for it."""
    session.write(
        "test_target.py",
        """
        async def test_ari(ari):
            assert (await ari.info()).system.version

        def test_target(target, shard):
            assert target.kind == "simulator"
            assert shard in ("1 of 2", "2 of 2")
        """,
    )
    done = session.run("-n", "2")
    assert done.exit_code == 0, done.output


def test_a_load_that_cannot_be_made_on_one_shard_fails_on_all_at_once(session: Session) -> None:
    """The others hear who is missing and why, and the next load finds everybody."""
    session.write(
        "test_part.py",
        """
        async def test_part(load, shard):
            assert shard == "1 of 2", "not here"
            await load(calls=2, duration="1s")

        async def test_whole(load):
            await load(calls=2, duration="1s")
        """,
    )
    done = session.run("-n", "2")
    assert done.count("failed") == 2
    assert "shard 2 of 2 is missing: AssertionError: not here" in done.output
    assert done.scenarios["test_whole"]["verdict"] == "pass"


@pytest.mark.soak
def test_a_test_may_make_several_loads(session: Session) -> None:
    """Shards meet at each of them."""
    session.write(
        "test_several.py",
        """
        async def test_several(load):
            first = await load(calls=2, duration="500ms")
            second = await load(calls=3, duration="500ms")
            assert (first.calls.established, second.calls.established) == (2, 3)
        """,
    )
    done = session.run("-n", "2")
    assert done.exit_code == 0, done.output
    assert list(done.scenarios) == ["test_several load 1", "test_several load 2"]


@pytest.mark.soak
def test_the_calls_of_all_shards_together_follow_the_ramp(session: Session) -> None:
    """Within two percent of the top, second by second: shards take turns, and none starts in bursts.

    That holds for the calls that were asked for, and for those that are up.
    """
    session.write(
        "test_ramp.py",
        """
        from pytest_ari_sla import hold, ramp

        async def test_ramp(load):
            await load(stages=[ramp(300, over="15s"), hold("2s")])
        """,
    )
    done = session.run("-n", "2")
    series = done.scenarios["test_ramp"]["time_series"]
    requested = accumulate(count or 0 for count in series["calls.requested"])
    for second, asked, active in zip(series["t"], requested, series["calls.active"], strict=True):
        if second < 16:  # the last second is that in which they end
            wanted = min(300.0, 20 * (second + 1))
            assert abs(asked - wanted) <= 6, (second, asked, wanted)
            assert abs(active - wanted) <= 6, (second, active, wanted)


def test_a_fleet_counts_the_packets_that_one_process_counts(session: Session) -> None:
    """Over an echo server that loses each tenth packet and sends all others back twice: all adds up alike."""
    session.write(
        "test_bad_echo.py",
        """
        async def test_bad_echo(load):
            await load(calls=5, duration="2s", topology="relay")
        """,
    )
    with EchoServerProcess(impairment=Impairment(duplicate=1.0, loss_every=10)) as echo:
        host, port = echo.address
        alone, fleet = (
            session.run("--ari-echo", f"{host}:{port}", *arguments).scenarios["test_bad_echo"]
            for arguments in ((), ("-n", "2"))
        )
    assert alone["verdict"] == fleet["verdict"] == "pass"
    assert alone["calls"] == fleet["calls"]
    for family, count in (*(("loss", name) for name in LOSS), ("relay", "echoed"), ("relay", "duplicates")):
        assert alone["metrics"][family][count] == fleet["metrics"][family][count], (family, count)
    assert fleet["metrics"]["loss"]["sent"] == 5 * 100
    assert fleet["metrics"]["loss"]["lost"] == 5 * 10
