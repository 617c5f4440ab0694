from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from xdist.scheduler import (
    EachScheduling,
    LoadFileScheduling,
    LoadGroupScheduling,
    LoadScheduling,
    LoadScopeScheduling,
    WorkStealingScheduling,
)

from pytest_ari_sla.fleet.controlling.shard_scheduler import NodeView, ShardScheduler
from pytest_ari_sla.shard_names import parse_nodeid

DIVIDED = [f"s.py::test_{test}[shard {shard} of 2]" for test in "ab" for shard in (1, 2)]
OTHERS = [f"o.py::test_{number}" for number in range(7)]
MIXED = [OTHERS[0], *DIVIDED[:2], OTHERS[1], *DIVIDED[2:], *OTHERS[2:]]
SCHEDULERS = [
    LoadScheduling,
    LoadScopeScheduling,
    LoadFileScheduling,
    LoadGroupScheduling,
    WorkStealingScheduling,
]


class Node:
    """A worker as xdist's controller sees it: keeps what it is told, and runs it as xdist's worker does."""

    def __init__(self, shard: int, collection: list[str]) -> None:
        self.shard = shard
        self.collection = collection
        self.gateway = SimpleNamespace(id=f"gw{shard}", spec="popen")
        self.queue: list[int] = []
        self.ran: list[str] = []
        self.shutting_down = False
        self.stolen: list[int] | None = None

    def send_runtest_some(self, indices: list[int]) -> None:
        """Append tests to its queue."""
        assert not self.shutting_down, "nothing comes after the end"
        self.queue += indices

    def send_steal(self, indices: list[int]) -> None:
        """Give back what has not been begun; the answer comes with the next turn of the loop."""
        self.stolen = [index for index in indices if index in self.queue[1:]]

    def shutdown(self) -> None:
        """Append the end to its queue."""
        self.shutting_down = True

    def can_run(self) -> bool:
        """A worker runs a test when it knows the next one, or that there is none."""
        return len(self.queue) >= 2 or (self.shutting_down and bool(self.queue))

    def __repr__(self) -> str:
        return str(self.gateway.id)


class Session:
    """What xdist's main loop does with a scheduler."""

    def __init__(self, others: type[Any], collection: list[str], second_collection: list[str] | None = None) -> None:
        self._config = SimpleNamespace(
            getvalue=lambda name: ["2*popen"] if name == "tx" else None,
            getoption=lambda name: None,
            option=SimpleNamespace(loadscopereorder=True),
            hook=SimpleNamespace(pytest_collectreport=lambda report: self.reports.append(report)),
        )
        self.reports: list[Any] = []
        self.prepared: list[bool] = []
        self.collection = collection
        self._others = others
        self.scheduler = self.new_scheduler()
        self.nodes = [self.start(1), self.start(2, second_collection)]

    def new_scheduler(self) -> ShardScheduler:
        """Return a scheduler for two workers that has met none yet."""
        others = self._others(self._config)
        return ShardScheduler(others, 2, lambda node: node.shard, self.prepared.append, parse_nodeid)

    def start(self, shard: int, collection: list[str] | None = None) -> Node:
        """Start a worker and let it collect."""
        node = Node(shard, self.collection if collection is None else collection)
        self.scheduler.add_node(node)
        self.scheduler.add_node_collection(node, node.collection)
        if self.scheduler.collection_is_completed:
            self.scheduler.schedule()
        return node

    def run_one(self, node: Node) -> str:
        """Let a worker run its next test."""
        index = node.queue.pop(0)
        node.ran.append(node.collection[index])
        self.scheduler.mark_test_complete(node, index, 0.01)
        return node.collection[index]

    def kill(self, node: Node) -> str | None:
        """Let a worker die in the test that it runs now."""
        self.nodes.remove(node)
        return self.scheduler.remove_node(node)

    def run_all(self) -> list[str]:
        """Run until nothing is left; return what ran, in order."""
        for _ in range(1000):
            if self.scheduler.tests_finished:
                for node in self.scheduler.nodes:
                    node.shutdown()
            ready = [node for node in self.nodes if node.can_run()]
            for node in ready:
                self.run_one(node)
            for node in self.nodes:
                if node.stolen is not None:
                    node.queue = [index for index in node.queue if index not in node.stolen]
                    stolen, node.stolen = node.stolen, None
                    self.scheduler.remove_pending_tests_from_node(node, stolen)
            if not ready and all(node.shutting_down for node in self.nodes):
                break
        return [nodeid for node in self.nodes for nodeid in node.ran]


@pytest.fixture(params=SCHEDULERS)
def others(request: pytest.FixtureRequest) -> type[Any]:
    """Whatever ``--dist`` asks for."""
    scheduler: type[Any] = request.param
    return scheduler


@pytest.mark.parametrize("collection", [MIXED, DIVIDED, OTHERS, OTHERS[:1], DIVIDED[:2], [*DIVIDED, OTHERS[0]]])
def test_every_test_runs_exactly_once(others: type[Any], collection: list[str]) -> None:
    """With shards, without, with more workers than other tests."""
    session = Session(others, collection)
    assert sorted(session.run_all()) == sorted(collection)
    assert not session.scheduler.has_pending
    assert not any(session.scheduler.remove_node(node) for node in session.nodes)


def test_shard_k_goes_to_worker_k_in_the_order_of_collection_before_everything_else(others: type[Any]) -> None:
    """So all workers meet in the same test at the same time."""
    session = Session(others, MIXED)
    session.run_all()
    first, second = session.nodes
    assert first.ran[:2] == ["s.py::test_a[shard 1 of 2]", "s.py::test_b[shard 1 of 2]"]
    assert second.ran[:2] == ["s.py::test_a[shard 2 of 2]", "s.py::test_b[shard 2 of 2]"]


def test_all_workers_can_begin_their_last_shard(others: type[Any]) -> None:
    """None waits for a next test that only comes when another one has run its shard."""
    session = Session(others, DIVIDED)
    for node in session.nodes:
        session.run_one(node)
    assert all(node.can_run() for node in session.nodes)


def test_the_session_is_prepared_once_and_told_whether_there_are_shards(others: type[Any]) -> None:
    """Without loads nobody needs a target."""
    assert Session(others, MIXED).prepared == [True]
    assert Session(others, OTHERS).prepared == [False]


def test_a_worker_that_dies_in_a_shard_loses_only_that_one(others: type[Any]) -> None:
    """Its later shards go to the one that replaces it, its other tests to whoever is there."""
    session = Session(others, MIXED)
    dead = session.nodes[1]
    assert session.kill(dead) == "s.py::test_a[shard 2 of 2]"
    assert not session.scheduler.tests_finished
    session.nodes.append(session.start(2))
    ran = session.run_all()
    assert sorted(ran) == sorted(set(MIXED) - {"s.py::test_a[shard 2 of 2]"})
    assert session.nodes[-1].ran[0] == "s.py::test_b[shard 2 of 2]"


def test_a_worker_that_dies_in_its_last_shard_leaves_its_other_tests_to_be_run(others: type[Any]) -> None:
    """Even when the others have been told that nothing more comes."""
    session = Session(others, [*DIVIDED, *OTHERS[:2]])
    dead = session.nodes[0]
    session.run_one(dead)
    assert session.kill(dead) == "s.py::test_b[shard 1 of 2]"
    session.nodes.append(session.start(1))
    ran = session.run_all() + dead.ran
    assert sorted(ran) == sorted({*DIVIDED, *OTHERS[:2]} - {"s.py::test_b[shard 1 of 2]"})


@pytest.mark.parametrize("scheduler", [LoadScheduling, WorkStealingScheduling])
def test_a_worker_that_dies_in_another_test_is_left_to_the_other_scheduler(scheduler: type[Any]) -> None:
    """Its view names the test, and gives the rest out again."""
    session = Session(scheduler, MIXED)
    dead = session.nodes[0]
    session.run_one(dead)
    session.run_one(dead)
    crashed = session.kill(dead)
    assert crashed in OTHERS
    session.nodes.append(session.start(1))
    assert sorted(session.run_all() + dead.ran) == sorted(set(MIXED) - {crashed})


def test_a_worker_that_was_never_there_is_a_key_error(others: type[Any]) -> None:
    """Xdist asks for a worker that died before it was ready, and goes by the error."""
    with pytest.raises(KeyError):
        Session(others, MIXED).scheduler.remove_node(Node(3, []))


def test_with_dist_each_every_worker_runs_its_own_shards_and_all_other_tests() -> None:
    """Nothing is divided there; only the shards of others are not a worker's."""
    session = Session(EachScheduling, MIXED)
    session.run_all()
    for node in session.nodes:
        mine = [nodeid for nodeid in MIXED if nodeid in OTHERS or f"shard {node.shard} of" in nodeid]
        assert node.ran == mine


@pytest.mark.parametrize("scheduler", [LoadScheduling, WorkStealingScheduling, LoadFileScheduling])
def test_where_workers_collected_different_tests_nothing_runs_and_it_is_said(scheduler: type[Any]) -> None:
    """Xdist's own scheduler reports the difference."""
    session = Session(scheduler, MIXED, second_collection=MIXED[1:])
    assert session.run_all() == []
    assert len(session.reports) == 1


def test_a_view_counts_only_the_tests_that_are_in_it() -> None:
    """Both ways."""
    node = Node(1, MIXED)
    view = NodeView(node, [0, 3, 6])
    view.send_runtest_some([1, 2])
    assert node.queue == [3, 6]
    assert view.position_of(6) == 2
    view.send_runtest_all()
    assert node.queue == [3, 6, 0, 3, 6]
    assert view.gateway is node.gateway


@pytest.mark.parametrize("others", [*SCHEDULERS, EachScheduling])
@pytest.mark.parametrize("collection", [[], OTHERS], ids=["nothing", "tests"])
def test_a_worker_that_ends_before_the_other_has_collected_stops_nobody(
    others: type[Any], collection: list[str]
) -> None:
    """As where what the command line names is not there: each worker ends when it has seen that."""
    session = Session(others, collection)
    scheduler = session.new_scheduler()
    first, second = (Node(shard, collection) for shard in (1, 2))
    for node in (first, second):
        scheduler.add_node(node)
    scheduler.add_node_collection(first, collection)
    assert scheduler.remove_node(first) is None
    scheduler.add_node_collection(second, collection)
    scheduler.schedule()
    assert bool(second.queue) is bool(collection)
