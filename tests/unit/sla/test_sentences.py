import pytest

from pytest_ari_sla.sla.figures import Figure
from pytest_ari_sla.sla.sentences import describe, is_marginal, nothing_measured
from tests.unit.sla.shared import threshold


@pytest.mark.parametrize(
    ("expression", "figure", "sentence"),
    [
        (
            "rtt.p99 < 60ms",
            Figure(0.083, 12_400, (0.081, 0.085), True),
            "rtt.p99 was 83 ms, limit < 60 ms (23 ms, 38 % over; 95 % interval 81 ms to 85 ms; 12,400 samples)",
        ),
        (
            "rtt.p99 < 60ms",
            Figure(0.0588, 1, (0.0581, 0.0612), True),
            "rtt.p99 was 58.8 ms, limit < 60 ms (1.2 ms, 2 % to spare; 95 % interval 58.1 ms to 61.2 ms, "
            "which holds the limit; 1 sample)",
        ),
        (
            "rtt.p99[10s] < 60ms",
            Figure(0.083, 50, (0.081, None), True, (31.0, 41.0)),
            "rtt.p99[10s] was 83 ms from 31 s to 41 s, limit < 60 ms (23 ms, 38 % over; 95 % interval from 81 ms, "
            "open above; 50 samples)",
        ),
        (
            "mos.p1 >= 4.0",
            Figure(3.2, 60, (None, 3.41), True),
            "mos.p1 was 3.20, limit >= 4.00 (0.80, 20 % under; 95 % interval up to 3.41, open below; 60 samples)",
        ),
        (
            "rtt.p99.9 < 60ms",
            Figure(0.041, 120, (None, None), False),
            "rtt.p99.9 was 41 ms, limit < 60 ms (19 ms, 32 % to spare; 120 samples; "
            "too few for p99.9, which takes 500)",
        ),
        (
            "first_packet.p95 < 1s",
            Figure(3600.0, 20, (0.015, 3600.0), True, never=6),
            "first_packet.p95 was never, limit < 1 s (95 % interval 15 ms to never, which holds the limit; "
            "20 samples; 6 of them never came)",
        ),
        ("calls.failed == 0", Figure(3.0, None, None, True), "calls.failed was 3, limit == 0 (3 over)"),
        ("calls.failed == 0", Figure(0.0, None, None, True), "calls.failed was 0, limit == 0 (at the limit)"),
        (
            "loss.ratio < 0.1%",
            Figure(0.0025, 4000, (0.0014, 0.0046), True),
            "loss.ratio was 0.25 %, limit < 0.1 % (0.15 %, 150 % over; 95 % interval 0.14 % to 0.46 %; of 4,000)",
        ),
    ],
)
def test_a_sentence_holds_value_limit_distance_and_certainty(expression: str, figure: Figure, sentence: str) -> None:
    """All that is known of the outcome, in one sentence."""
    assert describe(threshold(expression), figure, 0.5, 0.95) == sentence


@pytest.mark.parametrize(("value", "text"), [(0.06001, "60.01 ms"), (0.0600000001, "60.0000001 ms")])
def test_a_breach_never_reads_like_the_limit(value: float, text: str) -> None:
    """Where three digits would print value and limit alike, there are more."""
    assert f"was {text}, limit <= 60 ms (" in describe(
        threshold("rtt.max <= 60ms"), Figure(value, 1, None, True), 0.5, 0.95
    )


def test_digits_have_an_end() -> None:
    """Values that differ by less than floats can tell do not print for ever."""
    figure = Figure(0.06 + 1e-16, 1, None, True)
    assert describe(threshold("rtt.max <= 60ms"), figure, 0.5, 0.95).startswith("rtt.max was 60 ms, limit <= 60 ms (0.")


def test_nothing_measured_is_said_so() -> None:
    """There is no value, and why."""
    sentence = nothing_measured(threshold("rtt.p99@hold < 60ms"), "there is not a single sample of it")
    assert sentence == "rtt.p99@hold has no value, limit < 60 ms: there is not a single sample of it"


@pytest.mark.parametrize(
    ("expression", "interval", "marginal"),
    [
        ("rtt.p99 < 60ms", (0.05, 0.07), True),
        ("rtt.p99 < 60ms", (0.06, 0.07), True),
        ("rtt.p99 < 60ms", (0.05, 0.0599), False),
        ("rtt.p99 < 60ms", (0.061, 0.07), False),
        ("rtt.p99 < 60ms", (0.05, None), False),
        ("rtt.p99 < 60ms", (None, 0.07), False),
        ("rtt.p99 < 60ms", None, False),
        ("rtt.p99 == 60ms", (0.05, 0.07), False),
    ],
)
def test_marginal_is_what_noise_could_turn(
    expression: str, interval: tuple[float | None, float | None] | None, marginal: bool
) -> None:
    """The interval, known at both ends, holds the limit."""
    assert is_marginal(threshold(expression), Figure(0.06, 100, interval, True)) is marginal
