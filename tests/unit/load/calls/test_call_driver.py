"""The driver between a caller and an ARI that do as the test says."""

from __future__ import annotations

import asyncio
import time

import pytest

from pytest_ari_sla.errors import AriTimeout, AsteriskCrashed, ChannelLost, MediaLoopFailed, UsageError
from pytest_ari_sla.load.calls import call_driver, call_run
from pytest_ari_sla.media.measuring.measurer import LegReport
from pytest_ari_sla.metrics.hdr_layout import HIGHEST
from tests.unit.load.calls.driver_bench import MS, REMOTE, Bench, calls, plain_report


async def test_a_call_is_built_streamed_retired_and_hung_up(bench: Bench) -> None:
    """Each leg sends as many packets as the holding time has; nothing is left of the call."""
    await bench.driver.run(calls(2))
    assert bench.counts() == {"requested": 2, "established": 2, "ended": 2}
    assert bench.caller.started == [(leg, REMOTE, 5) for leg in (1, 2, 3, 4)]
    assert sorted(bench.caller.stopped) == sorted(bench.caller.retired) == [1, 2, 3, 4]
    assert len(bench.ari.hung_up) == 4
    assert bench.caller.free_calls == 10
    assert [call.state for call in bench.driver.calls] == ["ended", "ended"]


async def test_a_call_that_cannot_be_built_has_failed(bench: Bench) -> None:
    """With Asterisk's words; what there is of it is hung up, its endpoints are free, and the next call goes on."""
    bench.topology.errors = [ChannelLost("no circuit")]
    await bench.driver.run(calls(2))
    assert bench.counts() == {"requested": 2, "established": 1, "failed": 1, "ended": 1}
    failed = next(call for call in bench.driver.calls if call.state == "failed")
    assert failed.reason == "no circuit"
    assert failed.established_ns is None
    assert bench.caller.free_calls == 10
    assert len(bench.ari.hung_up) == 3


async def test_how_a_call_with_a_misbehaving_peer_ends_is_nobodys_failure(bench: Bench) -> None:
    """It was asked for; what came of it stands in the call's story."""
    bench.caller.fault = "refuse"
    bench.topology.errors = [ChannelLost("no circuit")]
    await bench.driver.run(calls(2))
    assert bench.counts()["requested"] == 2
    assert "failed" not in bench.counts()
    stories = [[(event.what, event.detail) for event in call.timeline] for call in bench.driver.calls]
    assert sorted(story[-1] for story in stories) == [("peer fault refuse", ""), ("peer fault refuse", "no circuit")]


async def test_a_call_that_asterisk_hangs_up_is_dropped(bench: Bench) -> None:
    """Cause and text are told; it does not wait for the end of its holding time."""
    bench.caller.ends = False
    lost = bench.ari.watch("channel-2")
    lost.is_lost, lost.cause, lost.cause_text = True, 41, "Temporary Failure"
    await bench.driver.run(calls(1, packets=1 << 20))
    assert bench.counts() == {"requested": 1, "established": 1, "dropped": 1}
    (call,) = bench.driver.calls
    assert call.state == "dropped"
    assert call.reason == "channel channel-2 was hung up by Asterisk: cause 41 Temporary Failure"


async def test_a_call_that_asterisk_hangs_up_at_its_very_end_is_dropped(bench: Bench) -> None:
    """Also where all its packets have been sent by the time that we look."""
    bench.ari.watch("channel-2").is_lost = True
    await bench.driver.run(calls(1))
    assert bench.counts() == {"requested": 1, "established": 1, "dropped": 1}


async def test_a_load_that_is_ended_early_ends_its_calls_in_order(bench: Bench) -> None:
    """They were told to end: that is neither failed nor dropped; no further call begins."""
    bench.caller.ends = False
    plan = [*calls(1, packets=1 << 20), *calls(1, start_ns=1 << 60)]
    running = asyncio.create_task(bench.driver.run(plan))
    while not bench.caller.started:
        await asyncio.sleep(0)
    bench.driver.end_early()
    await running
    assert bench.counts() == {"requested": 1, "established": 1, "ended": 1}


async def test_a_cancelled_load_ends_its_calls_before_it_ends(bench: Bench) -> None:
    """Ctrl-C: packets that are on their way are not waited for, channels are."""
    bench.caller.ends, bench.caller.missing = False, 3
    running = asyncio.create_task(bench.driver.run(calls(2, packets=1 << 20)))
    while len(bench.caller.started) < 4:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(bench.ari.hung_up) == 4
    assert bench.ari.hurried
    assert bench.counts() == {"requested": 2, "established": 2, "ended": 2}


async def test_packets_on_their_way_are_waited_for(bench: Bench) -> None:
    """A call is retired when its last packet is back, not before."""
    bench.caller.missing = 1
    running = asyncio.create_task(bench.driver.run(calls(1)))
    while not bench.caller.stopped:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not bench.caller.retired
    bench.caller.missing = 0
    await running
    assert bench.caller.retired == [1, 2]


async def test_a_packet_that_never_comes_is_waited_for_no_longer_than_the_loss_limit(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is lost, and the call is over."""
    monkeypatch.setattr(call_run, "LOSS_LIMIT_NS", 0)
    bench.caller.missing = 1
    await bench.driver.run(calls(1))
    assert bench.counts() == {"requested": 1, "established": 1, "ended": 1}


async def test_a_call_without_a_seat_is_not_started(bench: Bench) -> None:
    """That is this generator's own fault, and counted as such, not as a failed call."""
    bench.caller.free_calls = 1
    await bench.driver.run(calls(2))
    assert bench.driver.not_started == 1
    assert bench.counts() == {"requested": 1, "established": 1, "ended": 1}


async def test_a_call_that_is_too_late_is_not_started(bench: Bench) -> None:
    """Calls that pile up would be another load than the one that was asked for."""
    await bench.driver.run(calls(1, start_ns=-2 * call_driver.START_TOLERANCE_NS))
    assert bench.driver.not_started == 1
    assert bench.counts() == {}


async def test_a_channel_that_stays_is_in_the_calls_story(bench: Bench) -> None:
    """The call itself ended as planned; what is left of it is counted at the load's end, when Asterisk is asked."""
    for channel in ("channel-2", "channel-3"):
        bench.ari.watch(channel).stays = True
    await bench.driver.run(calls(1))
    assert bench.counts() == {"requested": 1, "established": 1, "ended": 1}
    (call,) = bench.driver.calls
    assert any("still exists" in event.detail for event in call.timeline)


@pytest.mark.parametrize(
    "error",
    [UsageError("this topology makes more legs than it says"), AttributeError("a bug of a plug-in")],
    ids=["wrong topology", "bug"],
)
async def test_what_asterisk_cannot_be_blamed_for_ends_the_load(bench: Bench, error: Exception) -> None:
    """All calls are ended in order first; the error itself is raised, and no call is started after it."""
    bench.topology.errors = [None, error]
    bench.caller.ends = False
    with pytest.raises(type(error), match=str(error)):
        await bench.driver.run([*calls(2, packets=1 << 20), *calls(1, start_ns=1 << 60)])
    assert len(bench.ari.hung_up) == 3
    assert bench.caller.free_calls == 10


async def test_a_hang_up_by_the_other_side_wakes_the_call_and_takes_its_last_packets_out_of_judgement(
    bench: Bench,
) -> None:
    """It is noticed by its event, not at the next look; packets sent to nobody are not waited for, nor lost."""
    bench.caller.ends, bench.caller.missing = False, 0
    running = asyncio.create_task(bench.driver.run(calls(1, packets=1 << 20)))
    while not bench.caller.started:
        await asyncio.sleep(0)
    (run,) = bench.driver._runs
    bench.ari.watch("channel-2").is_lost = True
    run.call.changed.set()
    await running
    assert bench.counts() == {"requested": 1, "established": 1, "dropped": 1}
    assert bench.caller.ended_by_other == [1, 2]


@pytest.mark.parametrize(("problem", "state"), [(None, "dropped"), (AriTimeout("no answer"), "ended")])
async def test_a_call_whose_last_packets_stay_out_is_asked_for_before_they_are_called_lost(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, problem: Exception | None, state: str
) -> None:
    """It may have ended shortly before its time, and the event may be lost; one that cannot be asked for is as told."""
    monkeypatch.setattr(call_run, "LOSS_LIMIT_NS", 0)
    bench.caller.missing = 1
    bench.ari.gone, bench.ari.problem = {"channel-2"}, problem
    await bench.driver.run(calls(1))
    assert bench.counts() == {"requested": 1, "established": 1, state: 1}
    assert bench.caller.ended_by_other == ([1, 2] if state == "dropped" else [])
    assert bench.caller.lived == ([] if problem is not None else [1, 2])


async def test_a_target_that_has_gone_drops_all_calls(bench: Bench) -> None:
    """What was measured until then stays; each call says why it ended."""
    bench.caller.ends = False
    running = asyncio.create_task(bench.driver.run(calls(3, packets=1 << 20)))
    while len(bench.caller.started) < 6:
        await asyncio.sleep(0)
    bench.driver.lose_target(AsteriskCrashed("ARI refuses connections since 2 s\nthe last line of its log"))
    with pytest.raises(AsteriskCrashed):
        await running
    assert bench.counts() == {"requested": 3, "established": 3, "dropped": 3}
    assert {call.reason for call in bench.driver.calls} == {"ARI refuses connections since 2 s"}


async def test_a_call_that_falls_silent_is_asked_for(bench: Bench) -> None:
    """The event that says it has ended may be lost; a call that is heard is nobody's question."""
    bench.caller.ends = False
    running = asyncio.create_task(bench.driver.run(calls(1, packets=1 << 20)))
    while not bench.caller.started:
        await asyncio.sleep(0)
    bench.caller.silent = {1}
    bench.driver.look()
    await asyncio.sleep(0)
    assert bench.ari.asked == 0
    bench.caller.silent = {1, 2}
    bench.driver.look()
    await asyncio.sleep(0)
    assert bench.ari.asked == 1
    assert bench.caller.vouched == [1, 2]
    bench.driver.end_early()
    await running


async def test_an_asterisk_that_neither_answers_nor_sends_has_gone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host without power refuses nothing."""
    monkeypatch.setattr(call_driver, "UNREACHABLE_NS", 0)
    bench.ari.problem = AriTimeout("GET /channels got no answer within 10 s")
    bench.caller.ends, bench.caller.silent = False, {1, 2}
    running = asyncio.create_task(bench.driver.run(calls(1, packets=1 << 20)))
    while not bench.caller.started:
        await asyncio.sleep(0)
    bench.driver.look()
    with pytest.raises(AsteriskCrashed, match="no packet comes back, and ARI cannot be reached"):
        await running
    assert bench.counts() == {"requested": 1, "established": 1, "dropped": 1}


async def test_a_media_loop_that_died_ends_the_load_and_still_hangs_up(bench: Bench) -> None:
    """No packet moves any more, but no channel is left at Asterisk either."""
    bench.caller.error = MediaLoopFailed("the process that moves packets ended")
    with pytest.raises(MediaLoopFailed, match="moves packets"):
        await bench.driver.run(calls(3))
    assert len(bench.ari.hung_up) == 6


def heard(delay_ns: int | None) -> LegReport:
    """Report on a leg that heard something so long after its first packet was due; None: it never did."""
    due_ns = time.time_ns() + 15 * MS
    return plain_report(0 if delay_ns is None else due_ns + delay_ns, due_ns)


async def test_the_first_packet_is_timed_on_the_slowest_leg_from_our_own_first(bench: Bench) -> None:
    """A pair is up when both ends hear; until our first packet was due, no answer to it can have come."""
    bench.caller.reports = {1: heard(2 * MS), 2: heard(5 * MS)}
    await bench.driver.run(calls(1))
    assert bench.meter.first_packet.count == 1
    assert 5 * MS <= bench.meter.first_packet.max < 6 * MS
    assert bench.meter.values()["calls.deaf"] == 0


async def test_a_call_that_never_heard_a_packet_is_in_the_distribution(bench: Bench) -> None:
    """With 6 of 20 callers deaf, a percentile of those that heard would say that all is well."""
    bench.caller.free_calls = 10
    bench.caller.reports = {leg: heard(MS if leg > 6 else None) for leg in range(1, 21)}
    await bench.driver.run(calls(10))
    first_packet = bench.meter.first_packet
    assert first_packet.count == 10
    assert first_packet.percentile(70) < 2 * MS
    assert first_packet.percentile(71) == HIGHEST
    assert bench.meter.values()["calls.deaf"] == 3


async def test_a_call_that_is_hung_up_before_it_hears_anything_has_never_heard(bench: Bench) -> None:
    """Whoever was on that call heard nothing, and nothing will come any more."""
    bench.caller.ends = False
    bench.caller.reports = {1: heard(None), 2: heard(None)}
    bench.ari.watch("channel-2").is_lost = True
    await bench.driver.run(calls(1, packets=1 << 20))
    assert bench.meter.values()["calls.deaf"] == 1


async def test_a_call_that_was_ended_in_a_hurry_may_have_heard_something_later(bench: Bench) -> None:
    """It was up for less than the loss limit: that says nothing."""
    bench.caller.ends = False
    bench.caller.reports = {1: heard(None), 2: heard(None)}
    running = asyncio.create_task(bench.driver.run(calls(1, packets=1 << 20)))
    while not bench.caller.started:
        await asyncio.sleep(0)
    bench.driver.end_early(hurried=True)
    await running
    assert bench.meter.first_packet.count == 0


async def test_a_call_has_the_figures_of_its_worse_leg(bench: Bench) -> None:
    """The largest of each, but the smallest where larger is better; a stat is as its metric."""

    def values(leg: int) -> dict[str, float]:
        return {"loss.lost": leg, "grade": 4 - leg / 10, "grade.p50": 5 - leg / 10}

    bench.caller.reports = {
        leg: LegReport(first_arrival_ns=1, first_due_ns=1, sent=1, received=1, values=values(leg), delay_course=[])
        for leg in (1, 2)
    }
    await bench.driver.run(calls(1))
    assert bench.driver.calls[0].values == {"loss.lost": 2, "grade": 3.8, "grade.p50": 4.8}


async def test_only_so_many_calls_are_remembered_one_by_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, however many fail; good ones leave room for bad ones, and the totals cover all."""
    monkeypatch.setattr(call_driver, "CALLS_KEPT", 2)
    bench.topology.errors = [None] * 3 + [ChannelLost("no circuit")] * 3
    await bench.driver.run(calls(6))
    assert bench.counts()["requested"] == 6
    assert sorted(call.state for call in bench.driver.calls) == ["ended", "ended", "failed", "failed"]


async def test_every_call_is_told_of_at_its_beginning_and_at_its_end(bench: Bench) -> None:
    """Also one that failed, with what came of it."""
    bench.topology.errors = [AriTimeout("no answer")]
    await bench.driver.run(calls(2))
    failed, ended = (call.id for call in sorted(bench.driver.calls, key=lambda call: call.state == "ended"))
    assert sorted(bench.listener.told) == sorted(
        [(failed, "started"), (ended, "started"), (failed, "failed"), (ended, "ended")]
    )


async def test_a_call_that_is_hung_up_before_it_is_up_has_neither_failed_nor_ended(bench: Bench) -> None:
    """It was told to: whatever Asterisk says of a channel that is gone is no failure."""
    bench.topology.errors = [ChannelLost("it ended before it could be used")]
    bench.topology.waits = asyncio.Event()
    bench.ari.on_hangup = bench.topology.waits.set
    planned = calls(1)[0]._replace(hang_up_ns=0)
    await bench.driver.run([planned])
    assert bench.counts() == {"requested": 1}
    assert [call.state for call in bench.driver.calls] == ["cancelled"]


async def test_a_call_that_is_hung_up_while_it_is_up_has_ended(bench: Bench) -> None:
    """Whatever its holding time."""
    bench.caller.ends = False
    await bench.driver.run([calls(1, packets=1 << 20)[0]._replace(hang_up_ns=1_000_000)])
    assert bench.counts() == {"requested": 1, "established": 1, "ended": 1}
