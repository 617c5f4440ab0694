"""The state of the PBX: ids, applications, and who is told what."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.targets.simulator.pbx.reply import Refused
from pytest_ari_sla.targets.simulator.pbx.resources import Channel
from pytest_ari_sla.targets.simulator.pbx.state import PbxState

_IDS = st.text("abAB-", min_size=1, max_size=4)


def state() -> PbxState:
    """Return an empty PBX that always makes the same ids."""
    return PbxState(Random(1), epoch_ns=1_700_000_000_123_000_000)


def channel(identifier: str) -> Channel:
    """Return a channel."""
    return Channel(identifier, "Test/x", "")


@given(st.lists(_IDS, max_size=8), _IDS)
def test_an_id_is_taken_while_a_living_one_begins_with_it(living: list[str], asked: str) -> None:
    """In whatever case, as in Asterisk 22; and free again once they are gone."""
    here = state()
    kept = []
    for identifier in living:
        if here.find_channel(identifier) is None:
            kept.append(channel(identifier))
            here.add_channel(kept[-1])
    assert here.is_taken(asked) is any(one.id.lower().startswith(asked.lower()) for one in kept)
    for one in kept:
        here.remove_channel(one)
    assert not here.is_taken(asked)


def test_time_is_written_as_ari_writes_it() -> None:
    """In UTC, with milliseconds."""
    here = state()
    here.scheduler.advance(2_000_000_000)
    assert here.timestamp() == "2023-11-14T22:13:22.123+0000"


def test_ids_are_repeatable() -> None:
    """The same seed makes the same ids."""
    assert [state().new_uuid() for _ in range(2)] == [state().new_uuid()] * 2
    assert state().new_channel_id() == "1700000000.1"


def test_events_go_to_subscribers_in_order() -> None:
    """To each connection what it wants, stamped with application and server."""
    here = state()
    here.connect(["one"], 1, subscribe_all=False)
    here.connect(["two"], 2, subscribe_all=True)
    living = channel("c")
    here.add_channel(living)
    here.applications["one"].subscribe("channel", "c")
    here.publish_channel("ChannelDialplan", living)
    here.publish_channel("ChannelStateChange", channel("other"))
    told = [(connection, event["type"], event["application"]) for connection, event in here.take_events()]
    assert told == [(1, "ChannelDialplan", "one"), (2, "ChannelDialplan", "two"), (2, "ChannelStateChange", "two")]
    assert here.take_events() == []


def test_one_who_takes_over_leaves_the_other_a_note() -> None:
    """The first connection is told, and gets nothing more."""
    here = state()
    here.connect(["app"], 1, subscribe_all=False)
    here.connect(["app"], 2, subscribe_all=False)
    here.tell(here.applications["app"], {"type": "StasisStart"})
    assert [(connection, event["type"]) for connection, event in here.take_events()] == [
        (1, "ApplicationReplaced"),
        (2, "StasisStart"),
    ]
    here.disconnect(1)
    assert "app" in here.applications
    here.disconnect(2)
    assert "app" not in here.applications


@pytest.mark.parametrize(("look_up", "words"), [("channel", "Channel"), ("bridge", "Bridge"), ("application", "Appl")])
def test_what_is_not_there_is_refused(look_up: str, words: str) -> None:
    """With 404 and its kind."""
    with pytest.raises(Refused, match=f"404: {words}.* not found"):
        getattr(state(), look_up)("nothing")
