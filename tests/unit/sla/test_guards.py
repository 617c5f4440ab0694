import pytest

from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.sla.guards import OUT_OF_FILES, Guard, reaching_guards, tripped_guards
from tests.unit.sla.shared import MS, catalogue, histogram

CATALOGUE = catalogue()


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (Snapshot(), []),
        (Snapshot({"harness.receive_drops": 0, "harness.not_sent": 0, "harness.clock_steps": 0}), []),
        (Snapshot({"harness.pacing_error": histogram([5 * MS] * 100)}), []),
        (
            Snapshot({"harness.pacing_error": histogram([6 * MS] * 100)}),
            [Guard("pacing", "the load generator sent late: pacing error p99 6 ms, limit 5 ms")],
        ),
        (
            Snapshot({"harness.receive_drops": 1200}),
            [Guard("receive_drops", "1,200 packets dropped in our own receive buffers")],
        ),
        (
            Snapshot({"harness.not_sent": 1, "harness.clock_steps": 1}),
            [
                Guard("not_sent", "the load generator left 1 packet unsent"),
                Guard("clock", "the system clock jumped 1 time during the load"),
            ],
        ),
        (Snapshot({"harness.out_of_files": 3}), [Guard("out_of_files", OUT_OF_FILES)]),
    ],
)
def test_faults_of_the_generator_are_found(measured: Snapshot, expected: list[Guard]) -> None:
    """Each fault is named with its number; at its limit, pacing is still good."""
    assert list(tripped_guards(measured, 0.005)) == expected


@pytest.mark.parametrize(("not_sent", "trips"), [(1, False), (2, True)])
def test_a_thousandth_of_the_packets_may_stay_unsent(not_sent: int, trips: bool) -> None:
    """They are never lost, and a load that lacks so few of them is the one that was asked for."""
    measured = Snapshot({"harness.pacing_error": histogram([MS] * 999), "harness.not_sent": not_sent})
    assert bool(tripped_guards(measured, 0.005)) is trips


def test_the_limit_of_pacing_can_be_set() -> None:
    """A slower machine may be allowed more."""
    measured = Snapshot({"harness.pacing_error": histogram([6 * MS] * 100)})
    assert tripped_guards(measured, 0.006) == ()
    assert len(tripped_guards(measured, 0.0059)) == 1


@pytest.mark.parametrize(
    ("guard", "metric", "spoils_pass", "spoils_failure"),
    [
        ("pacing", "rtt", True, True),
        ("pacing", "mos", True, True),
        ("pacing", "loss.ratio", True, True),
        ("pacing", "calls.failed", True, False),
        ("pacing", "harness.pacing_error", False, False),
        ("receive_drops", "loss.ratio", True, True),
        ("receive_drops", "rtt", False, False),
        ("receive_drops", "harness.receive_drops", False, False),
        ("not_sent", "loss.lost", True, True),
        ("not_sent", "calls.failed", False, False),
        ("clock", "rtt", True, True),
        ("clock", "mos", False, False),
        ("clock", "loss.ratio", False, False),
        ("control_lag", "setup", True, True),
        ("control_lag", "ari.event_lag", True, True),
        ("control_lag", "rtt", False, False),
        ("control_lag", "harness.control_lag", False, False),
        ("starving", "calls.success_ratio", False, True),
        ("starving", "calls.failed", False, True),
        ("starving", "setup", False, True),
        ("starving", "ari.errors", False, True),
        ("out_of_files", "calls.failed", False, True),
        ("out_of_files", "loss.ratio", False, True),
        ("out_of_files", "calls.leaked", False, False),
        ("starving", "rtt", False, True),
        ("starving", "loss.ratio", False, True),
        ("starving", "calls.leaked", False, False),
        ("measuring_stall", "loss.ratio", False, True),
        ("measuring_stall", "first_packet", False, True),
        ("measuring_stall", "setup", False, True),
        ("measuring_stall", "rtt", False, False),
        ("measuring_stall", "calls.failed", False, False),
        ("media_stall", "rtt", False, True),
        ("media_stall", "loss.lost", False, True),
        ("media_stall", "calls.failed", False, False),
        ("loss_unknown", "loss.ratio", True, True),
        ("loss_unknown", "first_packet", False, False),
        ("much_unknown", "first_packet", True, True),
        ("much_unknown", "loss.ratio", False, False),
        ("much_unknown", "rtt", False, False),
    ],
)
def test_each_fault_spoils_what_it_can_have_caused(
    guard: str, metric: str, spoils_pass: bool, spoils_failure: bool
) -> None:
    """The table of the module, line by line."""
    fault = Guard(guard, "")
    assert fault.spoils_pass(CATALOGUE.lookup(metric)) is spoils_pass
    assert fault.spoils_failure(CATALOGUE.lookup(metric)) is spoils_failure


@pytest.mark.parametrize(("value", "open_"), [(0.009, False), (0.011, True), (0.013, True), (0.014, False)])
def test_control_lag_decides_only_what_lies_within_its_reach(value: float, open_: bool) -> None:
    """Of a lag of 3 ms, a time of 13 ms may be 10 ms in truth; 14 ms and 9 ms are on the same side anyhow."""
    setup = CATALOGUE.lookup("setup")
    (guard,) = reaching_guards(setup, "p50", Snapshot({"harness.setup_lag": histogram([3 * MS] * 100)}))
    assert guard.name == "control_lag"
    assert guard.may_decide(setup, value, lambda seconds: seconds <= 0.0102) is open_


@pytest.mark.parametrize(("metric", "lag_ms"), [("setup", 5), ("ari.request", 1), ("ari.event_lag", 4)])
def test_each_time_of_ari_has_a_lag_of_its_own(metric: str, lag_ms: int) -> None:
    """A request that is stamped by the kernel is no longer for events that were read late."""
    lags = {"harness.setup_lag": 5, "harness.request_lag": 1, "harness.event_lag": 4, "harness.control_lag": 9}
    measured = Snapshot({name: histogram([lag * MS] * 100) for name, lag in lags.items()})
    (guard,) = reaching_guards(CATALOGUE.lookup(metric), "p50", measured)
    assert guard.reach_s == pytest.approx(lag_ms / 1e3, rel=1e-3)
    assert CATALOGUE.lookup(metric).lag in guard.reason


@pytest.mark.parametrize(
    ("stat", "reach_ms"), [("p50", 1), ("p99", 1), ("min", 1), ("p99.9", 50), ("max", 50), ("mean", 1.245)]
)
def test_the_lag_reaches_as_far_as_it_does_in_that_stat(stat: str, reach_ms: float) -> None:
    """One event of 200 that was read 50 ms late makes the maximum untrue, and leaves the median alone."""
    measured = Snapshot({"harness.event_lag": histogram([1 * MS] * 199 + [50 * MS])})
    (guard,) = reaching_guards(CATALOGUE.lookup("ari.event_lag"), stat, measured)
    assert guard.reach_s == pytest.approx(reach_ms / 1e3, rel=2e-3)


@pytest.mark.parametrize(("seconds", "starving", "trips"), [(5, 1, False), (5, 2, True), (40, 4, False), (40, 5, True)])
def test_a_target_that_starves_because_of_us_is_told(seconds: int, starving: int, trips: bool) -> None:
    """For more than one second, and more than a tenth of them: a load has its busy moment at its beginning."""
    shares = histogram([8200, *[500] * (seconds - 1)])
    measured = Snapshot({"harness.host_ours": shares, "harness.starving": starving})
    words = "the load generator took up to 82 % of the cores that the target runs on, all of them busy"
    assert tripped_guards(measured, 0.005) == ((Guard("starving", words),) if trips else ())


def test_other_faults_may_decide_anything() -> None:
    """How far they reach is not known."""
    assert Guard("pacing", "").may_decide(CATALOGUE.lookup("rtt"), 5.0, lambda seconds: seconds < 1)


def test_what_stood_still_is_named_with_its_time() -> None:
    """Of several stalls, all of them together."""
    measured = Snapshot(
        {
            "harness.measuring_stall": histogram([7000 * MS]),
            "harness.media_stall": histogram([300 * MS, 900 * MS]),
        }
    )
    assert [(guard.name, guard.reason) for guard in tripped_guards(measured, 0.005)] == [
        ("measuring_stall", "the measuring process stood still for 7.0 s"),
        ("media_stall", "the process that moves packets stood still for 1.2 s (in 2 pieces)"),
    ]


@pytest.mark.parametrize(
    ("lost", "unknown", "limit", "open_"),
    [
        (0, 5, 0.01, False),
        (0, 20, 0.01, True),
        (15, 20, 0.01, False),
        (15, 600, 0.01, True),
        (15, 20, 0.001, False),
        (0, 1, 0.0, True),
    ],
)
def test_packets_of_unknown_fate_decide_only_what_lies_within_their_reach(
    lost: int, unknown: int, limit: float, open_: bool
) -> None:
    """Of 1,000 packets whose fate is known, and some whose fate is not: all of those may be lost, or none."""
    ratio = CATALOGUE.lookup("loss.ratio")
    (guard,) = reaching_guards(ratio, None, Snapshot({"loss.sent": 1000, "loss.unknown": unknown}))
    assert guard.may_decide(ratio, lost / 1000, lambda value: value <= limit) is open_
    assert guard.may_decide(CATALOGUE.lookup("loss.lost"), lost, lambda value: value <= lost)
