from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from pytest_ari_sla.ari_client.removal.sweep import Sweeper, Swept
from pytest_ari_sla.errors import AriUnreachable, UsageError
from pytest_ari_sla.fleet import messages as messages
from pytest_ari_sla.fleet.controlling import controller as controller_module
from pytest_ari_sla.fleet.controlling.collectives import Collectives, Patience
from pytest_ari_sla.fleet.controlling.controller import Controller
from pytest_ari_sla.judging.judged_load import JudgedLoad
from pytest_ari_sla.judging.judged_tests import JudgedTests
from pytest_ari_sla.judging.standing import Standing, Told
from pytest_ari_sla.load.results.outcome import LoadOutcome
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.time_series import TimeSeries
from pytest_ari_sla.reporting.record.run_record import Scenario
from pytest_ari_sla.session.target_source import TargetSource
from pytest_ari_sla.settings import Settings, TlsTrust
from pytest_ari_sla.targets.target import Target
from tests.unit.fleet.fleet import Node, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_ari_sla.session.supervisor import Supervisor

TEST = "t.py::test_a"
BEGIN = messages.Arrive(TEST, "1 begin", b"", needs_all=True)


class Fleet:
    """A controller and its workers."""

    def __init__(self, shards: int, settings: Settings) -> None:
        self.plugins = pytest.PytestPluginManager()
        config = SimpleNamespace(pluginmanager=self.plugins)
        self.judged = JudgedTests()
        self.controller = Controller(config, settings, shards, self.judged)  # type: ignore[arg-type]
        self.nodes = [Node() for _ in range(shards)]
        self.members = [self.controller.enlist(node) for node in self.nodes]


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    """Return a fleet of three whose target is not there."""
    made = Fleet(3, Settings(ari_url="http://user:secret@127.0.0.1:9"))
    yield made
    made.controller.close()


def result(established: int) -> messages.Arrive:
    """Return what a shard brings to the end of a load."""
    total = Snapshot({"calls.established": established})
    outcome = LoadOutcome("echo", "PCMU", 1, 2, total, TimeSeries())
    return messages.Arrive(TEST, "1 result", msgspec.msgpack.encode(outcome.to_plain()), needs_all=False)


def test_workers_get_shards_in_order(fleet: Fleet) -> None:
    """And numbers of their own, which are in their ids at Asterisk."""
    assert [(member.shard, member.number) for member in fleet.members] == [(1, 1), (2, 2), (3, 3)]
    assert fleet.controller.facts.id_prefix(2) == f"sla-{fleet.controller.facts.run_id}-002-"


def test_a_worker_that_replaces_a_dead_one_gets_its_shard_and_a_new_number(fleet: Fleet) -> None:
    """Its ids must not clash with channels that the dead one left, which are being swept."""
    fleet.controller.dismiss(fleet.nodes[1], "crashed")
    node = Node()
    member = fleet.controller.enlist(node)
    assert (member.shard, member.number) == (2, 4)
    assert fleet.controller.shard_of(node) == 2


def test_a_worker_that_ended_in_order_leaves_no_place(fleet: Fleet) -> None:
    """Only a dead one is replaced."""
    fleet.controller.dismiss(fleet.nodes[1], None)
    with pytest.raises(ValueError, match="empty"):
        fleet.controller.enlist(Node())


def test_shards_meet_and_get_what_all_have_measured(fleet: Fleet) -> None:
    """Merged once, the same for everybody."""
    for node in fleet.nodes:
        node.channel.say(BEGIN)
    assert all(node.heard(messages.Together)[0].step == "1 begin" for node in fleet.nodes)
    for established, node in enumerate(fleet.nodes, 1):
        node.channel.say(result(established))
    for node in fleet.nodes:
        together = node.heard(messages.Together, 2)[1]
        merged = LoadOutcome.from_plain(msgspec.msgpack.decode(together.payload))
        assert merged.total.count("calls.established") == 6
        assert together.present == [1, 2, 3]
        assert together.missing == []


def test_a_death_is_told_to_those_who_wait(fleet: Fleet) -> None:
    """By name, with what xdist knows of it."""
    fleet.nodes[0].channel.say(BEGIN)
    wait_until(lambda: fleet.controller._collectives._tests, bool)
    fleet.controller.dismiss(fleet.nodes[2], "Not properly terminated")
    (broken,) = fleet.nodes[0].heard(messages.TestBroken)
    assert broken.reason == "shard 3 of 3 is missing: its worker died (Not properly terminated)"


def test_a_test_in_which_a_worker_died_early_is_not_waited_for(fleet: Fleet) -> None:
    """It had not come to the load, so nobody could know that it was meant to."""
    fleet.nodes[2].channel.say(messages.Divided([f"{TEST}[shard 3 of 3]"]))
    fleet.controller.hear_all()
    fleet.controller.dismiss(fleet.nodes[2], "crashed")
    fleet.controller.give_up(f"{TEST}[shard 3 of 3]")
    fleet.controller.enlist(Node())
    fleet.nodes[0].channel.say(BEGIN)
    (broken,) = fleet.nodes[0].heard(messages.TestBroken)
    assert broken.reason == "shard 3 of 3 is missing: its worker died"


def test_a_session_that_stops_is_no_failure_of_the_others(fleet: Fleet) -> None:
    """They hear of the stop first, and only then that somebody is missing."""
    fleet.nodes[1].channel.say(BEGIN)
    fleet.nodes[0].workeroutput = {"shouldfail": "stopping after 1 failures", "shouldstop": False}
    fleet.controller.dismiss(fleet.nodes[0], None)
    fleet.nodes[1].heard(messages.TestBroken)
    kinds = [type(message) for message in fleet.nodes[1].channel.heard]
    assert kinds == [messages.StopSession, messages.TestBroken]
    assert fleet.nodes[0].channel.heard == []


def test_a_target_that_is_not_there_is_the_same_error_for_everybody(fleet: Fleet) -> None:
    """Looked for once; told with its culprit."""
    with pytest.raises(AriUnreachable):
        fleet.controller.target()
    for node in fleet.nodes:
        node.channel.say(messages.NeedTarget())
        (answer,) = node.heard(messages.TargetIs)
        assert answer.culprit == "the network"
        assert "127.0.0.1:9" in answer.error


def test_a_mistake_that_a_worker_finds_stops_everything(fleet: Fleet) -> None:
    """It is known before the first test is given out, however late the thread is."""
    fleet.nodes[1].channel.say(messages.Refuse("unknown unit"))
    with pytest.raises(UsageError, match="unknown unit"):
        fleet.controller.check_refusals()


def test_a_worker_that_is_gone_hears_nothing_and_harms_nobody(fleet: Fleet) -> None:
    """Its end is an event of its own."""
    fleet.nodes[0].channel.closed = True
    for node in fleet.nodes:
        node.channel.say(BEGIN)
    assert fleet.nodes[1].heard(messages.Together)


def test_a_worker_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is killed for another one's fault."""
    monkeypatch.setattr(controller_module, "Collectives", lambda shards: Collectives(shards, Patience(arrival_s=0.1)))
    monkeypatch.setattr(controller_module, "_TICK_S", 0.05)
    fleet = Fleet(2, Settings())
    fleet.nodes[0].channel.say(BEGIN)
    (broken,) = fleet.nodes[0].heard(messages.TestBroken)
    assert "shard 2 of 2 is missing: it did not come to '1 begin'" in broken.reason
    wait_until(lambda: fleet.nodes[1].killed, bool)
    assert not fleet.nodes[0].killed
    fleet.controller.close()


def test_a_failure_of_the_controller_s_own_thread_stops_all_workers(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody waits for that thread: without a word from it they would wait for ever."""
    fleet.nodes[0].channel.callback(b"\xff no message")
    for node in fleet.nodes:
        (stop,) = node.heard(messages.StopSession)
        assert "the controller of the fleet failed" in stop.reason
    assert "Traceback" in capsys.readouterr().err


def test_at_an_interrupt_loads_are_waited_for_until_they_are_judged(fleet: Fleet) -> None:
    """Their tests have no reports of pytest's that could tell of them."""
    for node in fleet.nodes:
        node.channel.say(BEGIN)
    assert fleet.nodes[0].heard(messages.Together)
    interrupting = threading.Thread(target=fleet.controller.interrupt, args=("Ctrl-C",))
    interrupting.start()
    assert all(node.heard(messages.Interrupt)[0].reason == "Ctrl-C" for node in fleet.nodes)
    assert interrupting.is_alive()
    load = JudgedLoad(Scenario(nodeid=TEST, doc="", verdict="fail", reason="Ctrl-C"))
    told = msgspec.to_builtins(Told(TEST, Standing(), [load]))
    fleet.nodes[0].channel.say(messages.Judged(f"{TEST}[shard 1 of 3]", told))
    interrupting.join(4)
    assert not interrupting.is_alive()
    assert [load.scenario.reason for load in fleet.judged.loads()] == ["Ctrl-C"]


def test_after_an_interrupt_xdist_kills_workers_before_a_container_is_killed(fleet: Fleet) -> None:
    """It would give them ten seconds, and a container has no more; what they measured they have told."""
    session = SimpleNamespace(nodemanager=SimpleNamespace(EXIT_TIMEOUT=10))
    fleet.plugins.register(session, "dsession")
    fleet.controller.interrupt("SIGTERM")
    assert 0 <= session.nodemanager.EXIT_TIMEOUT <= 7


def test_loads_in_which_all_workers_died_are_judged_by_what_they_told(fleet: Fleet) -> None:
    """Nobody is left who would; pytest only says that the workers crashed."""
    load = JudgedLoad(Scenario(nodeid=TEST, doc="", verdict="inconclusive", reason="", notes=["It still ran."]))
    fleet.controller._supervisor = cast(
        "Supervisor", SimpleNamespace(abandoned=lambda why: {TEST: [load]}, close=lambda: None, look=list)
    )
    fleet.controller.take_in_abandoned()
    (judged,) = fleet.judged.loads()
    assert (judged.scenario.verdict, judged.scenario.reason) == ("fail", "It still ran.")


def test_at_an_interrupt_without_any_load_nobody_waits(fleet: Fleet) -> None:
    """Workers are told all the same."""
    interrupting = threading.Thread(target=fleet.controller.interrupt, args=("Ctrl-C",))
    interrupting.start()
    interrupting.join(4)
    assert not interrupting.is_alive()
    assert all(node.heard(messages.Interrupt) for node in fleet.nodes)


def test_whatever_keeps_a_target_from_being_found_is_told_to_whoever_asks(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, say; told nothing, a worker would wait for minutes and not know why. It is not tried again."""
    tried: list[TargetSource] = []

    def fail(source: TargetSource) -> None:
        tried.append(source)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TargetSource, "get", fail)
    for node in fleet.nodes[:2]:
        node.channel.say(messages.NeedTarget(False))
        (told,) = node.heard(messages.TargetIs)
        assert "No space left on device" in told.error
        assert told.culprit == "this tool"
    assert len(tried) == 1


def test_shards_that_talk_without_a_pause_do_not_keep_time_from_passing(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was said before is heard first: who has just spoken does not hang."""
    monkeypatch.setattr(controller_module, "_TICK_S", 0.01)
    controller, ticked = fleet.controller, threading.Event()
    monkeypatch.setattr(controller, "_tick", ticked.set)

    def talk() -> None:
        if not ticked.is_set():
            controller._put(talk)

    controller._put(talk)
    try:
        assert ticked.wait(10)
    finally:
        ticked.set()


@pytest.mark.parametrize("is_gone", [False, True])
def test_what_a_dead_worker_left_and_nobody_could_remove_is_told(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_gone: bool
) -> None:
    """By its ids, or by why the target could not be asked; the other target has its own turn, and its own CA."""
    first, second = (
        Target(kind="external", url=f"http://127.0.0.1:{port}/ari", user="u", password="p", media_host="127.0.0.1")
        for port in (1, 2)
    )
    trusts = [TlsTrust(str(tmp_path / "gone.pem") if is_gone else None), TlsTrust(verify=False)]
    swept: list[str] = []

    def leave(sweeper: Sweeper, prefix: str, patience_s: float) -> Swept:
        swept.append(sweeper.endpoint.base_url)
        return Swept(left=(f"{prefix}0001.c1",)) if sweeper.endpoint.port == 1 else Swept()

    monkeypatch.setattr(Sweeper, "until_clean", leave)
    targets = fleet.controller._targets
    targets._sources = {
        bool(number): cast("TargetSource", SimpleNamespace(known=known, trust=trust, close=lambda: None))
        for number, (known, trust) in enumerate(zip((first, second), trusts, strict=True))
    }
    targets.sweep_after("sla-abcdef-002-")
    targets.finish_sweeping()
    (told,) = fleet.controller.left
    assert "http://127.0.0.1:1/ari" in told
    assert ("gone.pem" if is_gone else "sla-abcdef-002-0001.c1") in told
    assert swept[-1] == "http://127.0.0.1:2/ari"
