"""Gives shard k of every load test to worker k, and leaves all other tests to the scheduler that ``--dist`` asks for.

Each worker gets all its shards at once, in the order of collection, so that all workers meet in the same test; behind
them come the other tests. xdist's own scheduler gives those out: it is shown the workers through a view in which there
are no shards. A worker starts a test only when it knows the next one, or that there is none; for that the rest of its
queue, or the end of it, is sent right away.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xdist.scheduler import EachScheduling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_ari_sla.shard_names import ShardName

__all__ = ["NodeView", "ShardScheduler"]


class NodeView:
    """A worker as the other scheduler sees it: its collection holds only the tests that are that scheduler's.

    Parameters
    ----------
    node
        The worker.
    indices
        Indices of those tests in the worker's whole collection.
    """

    def __init__(self, node: Any, indices: Sequence[int]) -> None:
        self._node = node
        self._indices = list(indices)
        self._position = {index: position for position, index in enumerate(indices)}

    def position_of(self, index: int) -> int:
        """Return where a test of the whole collection is in the view's."""
        return self._position[index]

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        """Append tests, counted in the view, to the worker's queue."""
        self._node.send_runtest_some([self._indices[position] for position in indices])

    def send_runtest_all(self) -> None:
        """Append all tests of the view to the worker's queue."""
        self._node.send_runtest_some(self._indices)

    def send_steal(self, indices: Sequence[int]) -> None:
        """Ask for tests, counted in the view, back."""
        self._node.send_steal([self._indices[position] for position in indices])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)


@dataclass(eq=False)
class _Worker:
    """What the scheduler knows of one worker.

    Attributes
    ----------
    node
        xdist's side of it.
    shard
        Which part of every load it makes.
    collection
        Node ids of the tests that it has collected; None before.
    view
        What the other scheduler is shown; None before.
    queued
        Indices of the shards that it was given and has not finished, in order.
    """

    node: Any
    shard: int
    collection: list[str] | None = None
    view: NodeView | None = None
    queued: list[int] = field(default_factory=list)


class ShardScheduler:
    """A scheduler in the sense of xdist's ``Scheduling``.

    Parameters
    ----------
    others
        The scheduler for all other tests, as xdist or a plug-in made it.
    workers
        How many workers there will be.
    shard_of
        Returns the shard of a worker.
    prepare
        Called once before anything is given out, with whether there are shards at all.
    name_of
        Takes a node id apart.
    """

    def __init__(
        self,
        others: Any,
        workers: int,
        shard_of: Callable[[Any], int],
        prepare: Callable[[bool], None],
        name_of: Callable[[str], ShardName],
    ) -> None:
        self._others = others
        self._count = workers
        self._shard_of = shard_of
        self._prepare = prepare
        self._name_of = name_of
        self._workers: dict[Any, _Worker] = {}
        self._collected = 0
        # Workers that had collected their tests, and ended before the others had.
        self._gone: list[_Worker] = []
        self._started = False
        self._divides = False
        self._has_others = True
        # Shards that are in no worker's queue: at first all, later those of a worker that died.
        self._unclaimed: dict[int, list[str]] = {}

    # --- what xdist asks ---

    @property
    def nodes(self) -> list[Any]:
        """The workers."""
        return list(self._workers)

    @property
    def collection_is_completed(self) -> bool:
        """Whether as many workers have collected their tests as there were at the beginning."""
        return self._collected >= self._count  # >: one that takes the place of a dead worker collects as well

    @property
    def tests_finished(self) -> bool:
        """Whether all tests are given out and nearly done, so that every worker can be told the end."""
        if not self._started or any(self._unclaimed.values()):
            return False
        # A worker of xdist holds its last test back until it hears of another one, or of the end.
        if any(len(worker.queued) >= 2 for worker in self._workers.values()):
            return False
        return not self._has_others or bool(self._others.tests_finished)

    @property
    def has_pending(self) -> bool:
        """Whether tests are still to be run."""
        if any(self._unclaimed.values()) or any(worker.queued for worker in self._workers.values()):
            return True
        return self._started and self._has_others and bool(self._others.has_pending)

    def add_node(self, node: Any) -> None:
        """Take a worker in; it has yet to collect its tests."""
        self._workers[node] = _Worker(node, self._shard_of(node))

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        """Take note of the tests that a worker has collected."""
        self._workers[node].collection = list(collection)
        self._collected += 1

    def schedule(self) -> None:
        """Give tests to every worker that has none yet; called when a worker has collected and all are there."""
        fresh = [worker for worker in self._workers.values() if worker.collection is not None and worker.view is None]
        if not self._started:
            self._begin([worker.collection or [] for worker in (*self._gone, *fresh)])
        self._introduce_gone()  # first: work stealing looks for idle workers when it hears that one has gone
        for worker in fresh:
            self._introduce(worker, worker.collection or [])
        if self._has_others:
            self._others.schedule()

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """Take note that a worker has run a test."""
        worker = self._workers[node]
        if item_index in worker.queued:
            worker.queued.remove(item_index)
        elif worker.view is not None:
            self._others.mark_test_complete(worker.view, worker.view.position_of(item_index), duration)

    def mark_test_pending(self, item: str) -> None:
        """Run a test again, as plug-ins may ask; a single shard of a load cannot be."""
        if not self._name_of(item).shard:
            self._others.mark_test_pending(item)

    def remove_pending_tests_from_node(self, node: Any, indices: Sequence[int]) -> None:
        """Take note of the tests that a worker gave back."""
        view = self._workers[node].view
        if view is not None:
            self._others.remove_pending_tests_from_node(view, [view.position_of(index) for index in indices])

    def remove_node(self, node: Any) -> str | None:
        """Let a worker go; return the test in which it died, or None if it ended in good order.

        Raises
        ------
        KeyError
            If it was never there.
        """
        worker = self._workers.pop(node)
        if not self._started and worker.collection is not None:
            self._gone.append(worker)
        crashed: str | None = None
        if self._has_others and worker.view is not None and worker.view in self._others.nodes:
            crashed = self._others.remove_node(worker.view)
        if not worker.queued:
            return crashed
        # It died in a shard: what the other scheduler takes for the test that was running has not been begun.
        if crashed is not None:
            self._give_back(crashed)
        # The first: they run in order.
        died_in, *rest = (str((worker.collection or [])[index]) for index in worker.queued)
        self._unclaimed[worker.shard] = rest
        return died_in

    # --- how ---

    def _begin(self, collections: list[list[str]]) -> None:
        """Look at what was collected, before anything is given out."""
        self._started = True
        nodeids = collections[0]
        shards = [name for name in map(self._name_of, nodeids) if name.shard]
        self._prepare(bool(shards))
        # Where collections differ there is nothing to run, and the other scheduler says so.
        # With --dist=each every worker runs everything that is meant for it, so that there is nothing to divide either.
        same = all(collection == nodeids for collection in collections)
        self._divides = bool(shards) and same and not isinstance(self._others, EachScheduling)
        self._has_others = not self._divides or len(shards) < len(nodeids)
        if self._divides:
            for nodeid in nodeids:
                shard = self._name_of(nodeid).shard
                if shard:
                    self._unclaimed.setdefault(shard, []).append(nodeid)

    def _introduce(self, worker: _Worker, collection: list[str]) -> None:
        """Give a worker its shards, and show it to the other scheduler."""
        indices = [index for index, nodeid in enumerate(collection) if self._is_for_others(worker, nodeid)]
        worker.view = NodeView(worker.node, indices)
        nodeids = self._unclaimed.pop(worker.shard, [])
        worker.queued = [collection.index(nodeid) for nodeid in nodeids if nodeid in collection]
        if worker.queued:
            worker.node.send_runtest_some(worker.queued)
        if self._has_others:
            self._others.add_node(worker.view)
            self._others.add_node_collection(worker.view, [collection[index] for index in indices])
        else:
            worker.node.shutdown()  # after what it has: else it holds its last test back

    def _introduce_gone(self) -> None:
        """Tell the other scheduler of workers that have come and gone: it begins when it has heard of all."""
        while self._gone:
            worker = self._gone.pop()
            if self._has_others:
                collection = worker.collection or []
                indices = [index for index, nodeid in enumerate(collection) if self._is_for_others(worker, nodeid)]
                view = NodeView(worker.node, indices)
                self._others.add_node(view)
                self._others.add_node_collection(view, [collection[index] for index in indices])
                self._others.remove_node(view)

    def _is_for_others(self, worker: _Worker, nodeid: str) -> bool:
        """Whether the other scheduler gives a test to this worker."""
        shard = self._name_of(nodeid).shard
        if isinstance(self._others, EachScheduling):
            return shard in (0, worker.shard)
        return not shard or not self._divides

    def _give_back(self, nodeid: str) -> None:
        """Let the other scheduler give a test out again."""
        try:
            self._others.mark_test_pending(nodeid)
        except NotImplementedError:
            pass  # those that give out whole groups of tests have put the group back by themselves
