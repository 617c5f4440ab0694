"""What calls to an echo say of the media path, and of a load's turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.callers.audio import compile_script
from pytest_ari_sla.callers.steps import dial, hang_up
from pytest_ari_sla.codecs.g711 import pcmu
from pytest_ari_sla.errors import ApplicationFailed
from pytest_ari_sla.load.calibration import calibrating_plan, check_calibration, with_media_path
from pytest_ari_sla.load.planning.plan import LoadPlan
from pytest_ari_sla.load.planning.stages import profile_of
from pytest_ari_sla.load.planning.voices import scripted_media
from pytest_ari_sla.load.results.outcome import CallOutcome, LoadOutcome
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.time_series import TimeSeries
from pytest_ari_sla.rtp_media.transport import RtpMedia
from pytest_ari_sla.topologies.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Sequence

MS = 1_000_000


def outcome(name: str, values_ns: Sequence[int], calls: Sequence[CallOutcome] = ()) -> LoadOutcome:
    """Return the outcome of a load with some times of one kind."""
    times = Histogram()
    for value_ns in values_ns:
        times.record_one(value_ns)
    total = Snapshot({name: times, "calls.established": 5})
    return LoadOutcome("caller", "PCMU", 0, 0, total, TimeSeries(), tuple(calls), notes=("a note",))


def test_the_echos_round_trip_is_the_media_paths_share_of_a_turn() -> None:
    """The rest is the application's own; the calls of the calibration are not the load's."""
    load = with_media_path(outcome("turn", [812 * MS]), outcome("rtt", [12 * MS] * 5))
    assert load.total.histogram("media_path").count == 5
    assert load.total.histogram("rtt").count == 0
    assert load.total.count("calls.established") == 5
    assert load.notes[0] == "a note"
    assert load.notes[1].startswith("The media path's own share of a turn is 12.0 ms (p50; p99 12.0 ms), by 5 calls")
    assert "of turn.p50 (812 ms), 800 ms are the application's own" in load.notes[1]


def test_a_load_without_turns_has_a_media_path_all_the_same() -> None:
    """There is nothing to take it from."""
    load = with_media_path(outcome("greeting", []), outcome("rtt", [12 * MS]))
    assert load.notes[1].endswith("by 5 calls to an echo before the load")


def test_who_does_not_echo_calibrates_nothing() -> None:
    """It is said what came of the calls, or what they wait for."""
    refused = CallOutcome("c", "failed", 0, None, 1, None, "nobody answered\nmore", 1, {})
    with pytest.raises(ApplicationFailed, match=r"not one of its calls heard an echo: nobody answered$"):
        check_calibration(outcome("rtt", [], [refused]))
    with pytest.raises(ApplicationFailed, match=r"an echo \(ari-sla bot --echo, or Echo\(\) in the dialplan\)"):
        check_calibration(outcome("rtt", []))
    check_calibration(outcome("rtt", [1]))


def test_a_few_calls_that_hear_themselves_go_the_same_way() -> None:
    """Without a script, and to the echo; probes tell when each packet is back."""
    caller = Caller(to="700@ivr", via="local", caller_id="7", calibrate="echo@default")
    script = compile_script([dial("1"), hang_up()], pcmu(), 20)
    plan = LoadPlan(
        profile=profile_of(calls=50, duration="1m"),
        topology=caller,
        media=scripted_media(caller, script),
        script=script,
        packet_time_ms=20,
        transport=RtpMedia(),
        shard=2,
        shards=3,
    )
    echo = caller.calibration()
    assert echo == Caller(to="echo@default", via="local", caller_id="7", hears_itself=True)
    before = calibrating_plan(plan, echo)
    assert (before.script, before.media.heard_leg, before.shard, before.shards) == (None, (0,), 2, 3)
    assert before.profile.peak_calls() < plan.profile.peak_calls()
    assert Caller(to="700@ivr").calibration() is None
