"""How the parts of one load test are named: ``test_calls[shard 2 of 4]`` is the second of four.

Users see these names, select by them and find them in the cache of failed tests. A fleet of another size, or none at
all, has other names for the same test.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pytest

__all__ = ["ShardLabel", "ShardName", "complete_groups", "name_of_test", "names_in_fleet", "parse_nodeid", "shard_name"]

# xdist's --dist=loadgroup puts "@group" behind the parameters.
_MARK = re.compile(r"(?P<separator>[-\[])shard (?P<shard>\d+) of (?P<shards>\d+)\](?P<group>@[^\]]*)?$")

Item = TypeVar("Item")


class ShardName(NamedTuple):
    """The name of a test, taken apart.

    Attributes
    ----------
    test
        Node id of the test without any mention of shards: the same in every fleet, and alone.
    shard, shards
        Which part it is; 0 of 0 for a test that is not divided.
    """

    test: str
    shard: int
    shards: int


class ShardLabel(str):
    """The parameter of ``load`` in a fleet: by its type it differs from a user's own parameter that reads alike."""

    __slots__ = ()

    def __new__(cls, shard: int, shards: int) -> ShardLabel:
        """Return what stands in the brackets of a shard's node id."""
        return super().__new__(cls, f"shard {shard} of {shards}")


def shard_name(item: pytest.Item) -> ShardName:
    """Return the name of a test, taken apart where it is a shard's."""
    callspec = getattr(item, "callspec", None)
    is_ours = callspec is not None and isinstance(callspec.params.get("load"), ShardLabel)
    return parse_nodeid(item.nodeid) if is_ours else ShardName(item.nodeid, 0, 0)


def name_of_test(item: pytest.Item) -> str:
    """Return the node id of a test without any mention of shards."""
    return shard_name(item).test


def parse_nodeid(nodeid: str) -> ShardName:
    """Take a node id apart that is known, or by its looks taken, to be a shard's."""
    found = _MARK.search(nodeid)
    if found is None:
        return ShardName(nodeid, 0, 0)
    # "-": it has other parameters, and the match took their "]".
    test = nodeid[: found.start()] + ("]" if found["separator"] == "-" else "")
    return ShardName(test, int(found["shard"]), int(found["shards"]))


def names_in_fleet(nodeid: str, shards: int) -> list[str]:
    """Return the node ids of all shards that a shard's test has in a fleet of any size; ``shards`` 0: in no fleet.

    Any other node id is returned as it is.
    """
    name = parse_nodeid(nodeid)
    if not name.shard:
        return [nodeid]
    if not shards:
        return [name.test]
    opening = f"{name.test[:-1]}-" if name.test.endswith("]") else f"{name.test}["
    return [f"{opening}{ShardLabel(shard, shards)}]" for shard in range(1, shards + 1)]


def complete_groups(
    collected: Iterable[Item], selected: Iterable[Item], name_of: Callable[[Item], ShardName]
) -> list[Item]:
    """Return the selected items, with all shards of a test wherever at least one was selected.

    A part of a load is no load: the selected shards would wait for those that were left out.

    Parameters
    ----------
    collected
        All items before anything was deselected.
    selected
        Those that are left, in the order in which they shall run.
    name_of
        Returns an item's name, taken apart.
    """
    groups: dict[str, list[Item]] = {}
    for item in collected:
        name = name_of(item)
        if name.shard:
            groups.setdefault(name.test, []).append(item)
    completed: list[Item] = []
    for item in selected:
        name = name_of(item)
        # All at the first one: the others find nothing left.
        completed += groups.pop(name.test, []) if name.shard else [item]
    return completed
