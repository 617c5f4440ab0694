from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.ari_client.removal import ownership as ari_ownership
from pytest_ari_sla.ari_client.removal.ownership import IdSource, Kind, Ledger
from pytest_ari_sla.errors import UsageError

KINDS = ("channel", "bridge", "playback", "recording", "snoop")


@given(st.lists(st.sampled_from(KINDS), min_size=2, max_size=30), st.text("abc019-", min_size=1, max_size=40))
def test_no_id_is_a_prefix_of_another_whatever_the_case(kinds: list[str], prefix: str) -> None:
    """Asterisk takes such a pair for the same channel."""
    source = IdSource(prefix)
    ids = [source.new_id(kind).lower() for kind in kinds]
    assert not [(one, other) for one in ids for other in ids if one is not other and one.startswith(other)]
    assert len({len(each) for each in ids}) == 1


@given(st.text("ab1-", min_size=1, max_size=8), st.text("ab1-", min_size=1, max_size=8))
def test_a_sweep_for_one_prefix_never_matches_another_runs_ids(mine: str, theirs: str) -> None:
    """Also where one prefix begins like the other."""
    assert IdSource(theirs).new_id("channel").startswith(IdSource(mine).prefix) == (mine == theirs)


def test_an_id_can_begin_with_its_calls() -> None:
    """All ids of a call then share its id, and siblings do not clash."""
    source = IdSource("run")
    call = source.new_id("call")
    channel, bridge = source.new_id("channel", call), source.new_id("bridge", call)
    assert channel.startswith(call)
    assert bridge.startswith(call)
    assert not channel.startswith(bridge)
    assert channel.startswith(source.prefix)


@pytest.mark.parametrize("prefix", ["", "Run", "run.1", "run_1", "rün", "a" * 41, "a/b"])
def test_an_unusable_prefix_is_refused(prefix: str) -> None:
    """Upper case would clash with lower case, and a terminator would end the prefix early."""
    with pytest.raises(UsageError, match="only a-z, 0-9 and '-'"):
        IdSource(prefix)


def test_ids_that_outgrow_their_width_do_not_clash(monkeypatch: pytest.MonkeyPatch) -> None:
    """A load of days has more of them than digits were meant for: 50 calls a second use ten million in one."""
    monkeypatch.setattr(ari_ownership, "_DIGITS", 1)
    source = IdSource("run")
    ids = [source.new_id("channel") for _ in range(120)]
    assert (ids[0], ids[-1]) == ("run.c1.", "run.c120.")
    assert not [(one, other) for one in ids for other in ids if one != other and one.startswith(other)]


def test_a_ledger_keeps_what_is_not_crossed_out() -> None:
    """In the order of writing; crossing out what is not there is no error."""
    ledger = Ledger()
    for identity in ("a", "b", "c"):
        ledger.add(Kind.CHANNEL, identity)
    ledger.add(Kind.BRIDGE, "a")
    ledger.forget(Kind.CHANNEL, "b")
    ledger.forget(Kind.CHANNEL, "b")
    assert ledger.owned(Kind.CHANNEL) == ("a", "c")
    assert ledger.owned(Kind.BRIDGE) == ("a",)


def test_recordings_are_looked_for_only_where_some_were_made() -> None:
    """The list of all stored recordings of a production Asterisk can be long."""
    ledger = Ledger()
    assert ledger.kinds == (Kind.CHANNEL, Kind.BRIDGE)
    ledger.add(Kind.RECORDING, "r")
    ledger.forget(Kind.RECORDING, "r")
    assert ledger.kinds == tuple(Kind)
