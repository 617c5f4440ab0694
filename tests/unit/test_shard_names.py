from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.shard_names import ShardLabel, complete_groups, names_in_fleet, parse_nodeid


def named(test: str, shard: int, shards: int) -> str:
    """Return the node id that pytest makes of a test and our label."""
    opening = f"{test[:-1]}-" if test.endswith("]") else f"{test}["
    return f"{opening}{ShardLabel(shard, shards)}]"


tests = st.sampled_from(["t.py::test_a", "t.py::test_a[PCMU]", "t.py::TestB::test_c[x-y]", "dir/t.py::test_d[[odd]]"])
sizes = st.integers(1, 20)


@given(tests, sizes, sizes)
def test_a_shard_s_node_id_tells_test_and_shard(test: str, shard: int, shards: int) -> None:
    """Whatever other parameters the test has."""
    assert parse_nodeid(named(test, shard, shards)) == (test, shard, shards)


@given(tests)
def test_a_test_that_is_not_divided_is_shard_nought(test: str) -> None:
    """Nothing is read into other names."""
    assert parse_nodeid(test) == (test, 0, 0)


def test_the_group_that_xdist_appends_does_not_hide_the_shard() -> None:
    """``--dist=loadgroup`` puts ``@group`` behind the parameters."""
    assert parse_nodeid("t.py::test_a[shard 1 of 2]@slow") == ("t.py::test_a", 1, 2)


@pytest.mark.parametrize("nodeid", ["t.py::test_a[shard 1 of 2x]", "t.py::test_a[myshard 1 of 2]", "shard 1 of 2"])
def test_names_that_only_look_alike_are_left_alone(nodeid: str) -> None:
    """A user's own parameter."""
    assert parse_nodeid(nodeid).shard == 0


@given(tests, sizes, sizes, sizes)
def test_a_shard_stands_for_all_shards_in_a_fleet_of_any_size(test: str, shard: int, before: int, now: int) -> None:
    """What failed as shard 1 of 2 is run again as four."""
    names = names_in_fleet(named(test, shard, before), now)
    assert names == [named(test, number + 1, now) for number in range(now)]


@given(tests, sizes, sizes)
def test_a_shard_is_the_plain_test_without_a_fleet(test: str, shard: int, shards: int) -> None:
    """A node id copied from the output of ``-n 4`` selects the test without ``-n``."""
    assert names_in_fleet(named(test, shard, shards), 0) == [test]


@given(st.text(), st.integers(0, 9))
def test_other_words_of_the_command_line_stay_as_they_are(word: str, shards: int) -> None:
    """Folders, files, other tests."""
    if not parse_nodeid(word).shard:
        assert names_in_fleet(word, shards) == [word]


COLLECTED = ["plain", *(named("a", n, 3) for n in (1, 2, 3)), *(named("b", n, 3) for n in (1, 2, 3)), "last"]


@pytest.mark.parametrize(
    ("selected", "expected"),
    [
        (COLLECTED, COLLECTED),
        ([], []),
        (["last"], ["last"]),
        ([COLLECTED[2]], COLLECTED[1:4]),
        (["last", COLLECTED[6], "plain", COLLECTED[5]], ["last", *COLLECTED[4:7], "plain"]),
    ],
)
def test_a_group_is_whole_or_not_there(selected: list[str], expected: list[str]) -> None:
    """It stands where its first selected shard stood, in order of shards: the same on every worker."""
    assert complete_groups(COLLECTED, selected, parse_nodeid) == expected


@given(st.lists(st.sampled_from(COLLECTED), unique=True))
def test_completing_twice_changes_nothing_more(selected: list[str]) -> None:
    """Nothing is lost or doubled."""
    once = complete_groups(COLLECTED, selected, parse_nodeid)
    assert complete_groups(COLLECTED, once, parse_nodeid) == once
    assert len(set(once)) == len(once)
    assert set(selected) <= set(once)
