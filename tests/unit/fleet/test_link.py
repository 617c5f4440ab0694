from __future__ import annotations

import asyncio
import threading

import pytest

from pytest_ari_sla.errors import HarnessError, ShardLost, SlaError
from pytest_ari_sla.fleet import messages as messages
from pytest_ari_sla.fleet.link import ControllerLink
from tests.unit.fleet.fleet import Channel, wait_until

TEST = "t.py::test_a"


class Load:
    """A load in progress: keeps what it is told."""

    test = TEST
    number = 1

    def __init__(self) -> None:
        self.told: list[tuple[str, bool]] = []

    def end_early(self, reason: str, *, hurried: bool) -> None:
        """Keep why."""
        self.told.append((reason, hurried))

    def target_died(self, crash: SlaError) -> None:
        """Keep how, and whose fault that is."""
        self.told.append((f"{crash} ({crash.culprit})", True))

    def interrupt(self, reason: str) -> None:
        """Keep why."""
        self.told.append((f"interrupted: {reason}", True))


@pytest.fixture
def channel() -> Channel:
    """Return the worker's end of the connection."""
    return Channel()


@pytest.fixture
def link(channel: Channel) -> ControllerLink:
    """Return the link over it."""
    return ControllerLink(channel)


async def meeting(link: ControllerLink, channel: Channel, step: str = "1 begin") -> asyncio.Task[messages.Together]:
    """Return a task that waits at a step, once the controller has been told."""
    task = asyncio.create_task(link.meet(TEST, step, b"", needs_all=step.endswith("begin")))
    while not channel.sent:
        await asyncio.sleep(0)
    return task


async def test_a_shard_waits_until_all_are_there(link: ControllerLink, channel: Channel) -> None:
    """The answer comes on execnet's thread, and is awaited on the test's loop."""
    task = await meeting(link, channel)
    assert messages.controller_reads(channel.sent[0]) == messages.Arrive(TEST, "1 begin", b"", needs_all=True)
    together = messages.Together(TEST, "1 begin", b"", [1, 2], [])
    threading.Thread(target=channel.say, args=(together,)).start()
    assert await task == together


async def test_a_broken_test_is_an_error_where_it_waits(link: ControllerLink, channel: Channel) -> None:
    """With the controller's sentence; other tests are not concerned."""
    task = await meeting(link, channel)
    channel.say(messages.TestBroken("t.py::test_b", "not this one"))
    channel.say(messages.TestBroken(TEST, "shard 2 of 2 is missing: gone"))
    with pytest.raises(ShardLost, match=r"^shard 2 of 2 is missing: gone$"):
        await task


async def test_results_are_exchanged_although_the_test_is_broken(link: ControllerLink, channel: Channel) -> None:
    """What was measured until then is evidence."""
    task = await meeting(link, channel, "1 result")
    channel.say(messages.TestBroken(TEST, "shard 2 of 2 is missing"))
    together = messages.Together(TEST, "1 result", b"", [1], ["shard 2 of 2 is missing"])
    channel.say(together)
    assert await task == together


async def test_a_load_in_progress_hears_what_concerns_it(link: ControllerLink, channel: Channel) -> None:
    """In good order from the controller's judgement, hurriedly when the fleet is broken."""
    load = Load()
    with link.in_load(load):
        channel.say(messages.EndLoad(TEST, 2, "another load"))
        channel.say(messages.EndLoad(TEST, 1, "hopeless"))
        channel.say(messages.TestBroken(TEST, "somebody is missing"))
        await asyncio.sleep(0)
    channel.say(messages.EndLoad(TEST, 1, "too late"))
    await asyncio.sleep(0)
    assert load.told == [("hopeless", False), ("somebody is missing", True)]


async def test_a_load_whose_target_died_hears_whose_fault_that_is(link: ControllerLink, channel: Channel) -> None:
    """As the error that the controller found: of Asterisk, or of this tool where the simulator died."""
    load = Load()
    with link.in_load(load):
        channel.say(messages.EndLoad(TEST, 2, "of another load", "Asterisk"))
        channel.say(messages.EndLoad(TEST, 1, "it crashed", "Asterisk"))
        channel.say(messages.EndLoad(TEST, 1, "the simulator crashed", HarnessError.culprit))
        await asyncio.sleep(0)
    assert load.told == [("it crashed (Asterisk)", True), (f"the simulator crashed ({HarnessError.culprit})", True)]


async def test_a_session_that_stops_skips_what_has_not_begun(link: ControllerLink, channel: Channel) -> None:
    """And ends the load that runs; why is kept for the loop of tests."""
    load = Load()
    with link.in_load(load):
        task = await meeting(link, channel)
        channel.say(messages.StopSession("stopping after 1 failures"))
        with pytest.raises(pytest.skip.Exception, match="stopping after 1 failures"):
            await task
    assert load.told == [("stopping after 1 failures", True)]
    assert link.stop_reason == "stopping after 1 failures"
    with pytest.raises(pytest.skip.Exception, match="stopping after 1 failures"):
        await link.meet(TEST, "2 begin", b"", needs_all=True)


async def test_without_the_controller_everything_ends_at_once(link: ControllerLink, channel: Channel) -> None:
    """A worker whose controller was killed removes its channels by itself."""
    load = Load()
    with link.in_load(load):
        task = await meeting(link, channel, "1 result")
        channel.close()
        with pytest.raises(ShardLost, match="controller"):
            await task
        with pytest.raises(ShardLost, match="controller"):
            await link.meet(TEST, "2 begin", b"", needs_all=True)
    assert load.told[0][1]
    with pytest.raises(ShardLost, match="controller"):
        link.send(messages.Leave(TEST))


def test_the_target_is_asked_for_and_waited_for(link: ControllerLink, channel: Channel) -> None:
    """From a fixture that is no coroutine."""
    found = messages.TargetIs(values={"url": "http://pbx:8088/ari"})

    def answer() -> None:
        wait_until(lambda: channel.sent, bool)
        channel.say(found)

    threading.Thread(target=answer).start()
    assert link.ask_target(10) == found


def test_nobody_waits_for_the_target_for_ever(link: ControllerLink) -> None:
    """The sentence says for how long."""
    with pytest.raises(ShardLost, match=r"within 0.01 s"):
        link.ask_target(0.01)


async def test_at_an_interrupt_loads_end_and_who_waits_for_others_ends_pytest(
    link: ControllerLink, channel: Channel
) -> None:
    """A result is still exchanged: it is what the report is made of."""
    load = Load()
    beginning, result = await meeting(link, channel), await meeting(link, channel, "1 result")
    with link.in_load(load):
        channel.say(messages.Interrupt("Ctrl-C"))
        with pytest.raises(pytest.exit.Exception, match="Ctrl-C"):
            await beginning
    assert load.told == [("interrupted: Ctrl-C", True)]
    together = messages.Together(TEST, "1 result", b"merged", [1, 2], [])
    channel.say(together)
    assert await result == together
