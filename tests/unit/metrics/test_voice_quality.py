import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.metrics import voice_quality as vq
from pytest_ari_sla.metrics.voice_quality import CodecImpairment, burst_ratio, mos_of, rate


@pytest.mark.parametrize(
    ("codec", "vectors"),
    [
        (
            vq.G711_PLC,
            {
                0: (93.20, 4.41),
                1: (89.56, 4.33),
                2: (86.19, 4.23),
                3: (83.06, 4.13),
                5: (77.42, 3.92),
                10: (66.13, 3.41),
                20: (51.07, 2.63),
            },
        ),
        (vq.G711_NO_PLC, {1: (75.28, 3.83), 2: (63.04, 3.26), 3: (54.16, 2.79), 5: (42.12, 2.17)}),
        (vq.G729A_VAD, {0: (82.2, 4.10), 1: (78.0, 3.95), 3: (70.75, 3.63), 5: (64.7, 3.34)}),
        (vq.GSM_EFR, {0: (88.2, 4.29), 1: (80.02, 4.02), 3: (67.43, 3.47)}),
        (vq.GSM_FR, {0: (73.2, 3.74)}),
        (vq.G722_64K, {0: (116.0, 4.34)}),
        (vq.OPUS_ESTIMATE, {0: (137.8, 4.41), 1: (114.82, 3.93), 3: (87.75, 3.06)}),
    ],
)
def test_ratings_of_the_table_hold(codec: CodecImpairment, vectors: dict[int, tuple[float, float]]) -> None:
    """R and MOS of published values, for loss in per cent and no delay."""
    quality = rate(codec, list(vectors))
    np.testing.assert_allclose(quality.r, [r for r, _ in vectors.values()], atol=0.006)
    np.testing.assert_allclose(quality.mos, [mos for _, mos in vectors.values()], atol=0.006)


def test_loss_is_not_rated_where_no_robustness_is_known() -> None:
    """GSM full rate: rated without loss, refused with any."""
    quality = rate(vq.GSM_FR, [0.0, 0.1, 5.0])
    assert np.isnan(quality.r).tolist() == [False, True, True]
    assert np.isnan(quality.mos).tolist() == [False, True, True]
    assert "Bpl unknown" in quality.formula


def test_clustered_loss_counts_for_more() -> None:
    """90 of 3,000 packets lost in 15 runs: BurstR 5.82, R 82.07 and MOS 4.10, against 83.06 when spread."""
    burst = burst_ratio(3000, 90, 15)
    assert float(burst) == pytest.approx(5.82, abs=0.005)
    quality = rate(vq.G711_PLC, 3.0, burst)
    assert (float(quality.r[0]), float(quality.mos[0])) == pytest.approx((82.07, 4.10), abs=0.006)


@pytest.mark.parametrize(("sent", "lost", "runs"), [(0, 0, 0), (100, 0, 0), (100, 3, 3)])
def test_independent_loss_has_the_burst_ratio_one(sent: int, lost: int, runs: int) -> None:
    """No loss, and single losses, are not clustered."""
    assert float(burst_ratio(sent, lost, runs)) == 1.0


@pytest.mark.parametrize(
    ("delay_ms", "approximated", "absolute"),
    [(150, 3.6, 0.16), (200, 7.3, 3.04), (250, 14.0, 8.92), (300, 20.7, 14.76), (400, 34.1, 24.07)],
)
def test_delay_costs_what_each_formula_says(delay_ms: float, approximated: float, absolute: float) -> None:
    """The approximation covers echo too and is larger than the absolute-delay term of G.107."""
    assert float(vq.delay_impairment(delay_ms)) == pytest.approx(approximated, abs=0.05)
    assert float(vq.delay_impairment_g107(delay_ms)) == pytest.approx(absolute, abs=0.005)


def test_delay_up_to_100_ms_costs_nothing_by_g107() -> None:
    """Idd is zero for 100 ms and less."""
    assert vq.delay_impairment_g107([0.0, 50.0, 100.0]).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("loss_percent", "rtt_ms", "jitter_ms", "mos"), [(0, 20, 0, 4.39), (3, 40, 5, 4.09), (10, 200, 20, 3.22)]
)
def test_a_conversation_is_rated_from_round_trip_and_jitter(
    loss_percent: float, rtt_ms: float, jitter_ms: float, mos: float
) -> None:
    """Half the round trip, a packet of 20 ms and twice the jitter make the delay."""
    delay = rtt_ms / 2 + 20.0 + 2 * jitter_ms
    assert float(rate(vq.G711_PLC, loss_percent, 1.0, delay).mos[0]) == pytest.approx(mos, abs=0.006)


def test_the_formula_names_what_was_rated() -> None:
    """Listening and conversational quality, band and constants are told apart."""
    assert rate(vq.G711_PLC, 0.0).formula == "G.107 reduced, LQ, without delay; Ie 0, Bpl 25.1"
    assert rate(vq.G722_64K, 0.0, 1.0, 10.0).formula == (
        "G.107.1 reduced, CQ, delay by Cole-Rosenbluth; Ie 13, Bpl unknown"
    )


@pytest.mark.parametrize(("r", "mos"), [(-5, 1.0), (0, 1.0), (3, 1.0), (6, 1.0), (100, 4.5), (120, 4.5)])
def test_mos_stays_between_its_ends(r: float, mos: float) -> None:
    """The polynomial dips below 1 for small ratings, which the scale does not know."""
    assert float(mos_of(r)) == pytest.approx(mos)


def test_what_is_not_known_stays_unknown() -> None:
    """A leg without a delay value gets no rating, and harms no other leg."""
    quality = rate(vq.G711_PLC, [0.0, 0.0], 1.0, [np.nan, 10.0])
    assert np.isnan(quality.mos).tolist() == [True, False]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20), st.floats(0, 500))
def test_more_loss_or_delay_is_never_better(losses: list[float], delay_ms: float) -> None:
    """MOS falls with loss and with delay, and stays within 1 and 4.5."""
    ordered = sorted(losses)
    with_delay, without = rate(vq.G711_PLC, ordered, 1.0, delay_ms).mos, rate(vq.G711_PLC, ordered).mos
    assert (np.diff(without) <= 1e-12).all()
    assert (with_delay <= without + 1e-12).all()
    assert ((with_delay >= 1) & (without <= 4.5)).all()
