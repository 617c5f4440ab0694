"""Voice quality by the E-model (ITU-T G.107), reduced to what a network does: delay, loss and how loss is clustered.

::

    R       = R0 - Id - Ie,eff                              G.107 7.1 with default values, advantage factor A = 0
    Ie,eff  = Ie + (Imax - Ie) * Ppl / (Ppl / BurstR + Bpl) G.107 7.5; Ppl in per cent
    MOS     = 1 + 0.035 R + R (R - 60) (100 - R) 7e-6       G.107 Annex B, kept within 1 and 4.5

R0 and Imax are 93.2 and 95 for narrow band, 129 and 95 for wide band (G.107.1), 148 and 132 for full band (G.107.2);
the wider scales are brought back to the MOS curve by dividing R by 1.29 and 1.48. Packets that a jitter buffer
discards count as lost.

MOS values of different tools differ by more than most calls do (delay terms, jitter buffers, rounding). Every value of
this module is therefore published with :attr:`VoiceQuality.formula`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "AMR_12_2",
    "G711_NO_PLC",
    "G711_PLC",
    "G722_64K",
    "G723_1_63_VAD",
    "G729A_VAD",
    "GSM_EFR",
    "GSM_FR",
    "OPUS_ESTIMATE",
    "Band",
    "CodecImpairment",
    "VoiceQuality",
    "burst_ratio",
    "delay_impairment",
    "delay_impairment_g107",
    "mos_of",
    "rate",
]

Band = Literal["narrowband", "wideband", "fullband"]


@dataclass(frozen=True)
class _Scale:
    """Constants of one band.

    Attributes
    ----------
    r0
        The highest rating.
    highest_impairment
        What the equipment impairment tends to as loss grows.
    stretch
        What R is divided by to get to the narrow-band curve of MOS.
    recommendation
        Where they are from.
    """

    r0: float
    highest_impairment: float
    stretch: float
    recommendation: str


_SCALES: dict[Band, _Scale] = {
    "narrowband": _Scale(93.2, 95.0, 1.0, "G.107"),
    "wideband": _Scale(129.0, 95.0, 1.29, "G.107.1"),
    "fullband": _Scale(148.0, 132.0, 1.48, "G.107.2"),
}


@dataclass(frozen=True)
class CodecImpairment:
    """What the E-model needs to know of a codec.

    Attributes
    ----------
    ie
        Equipment impairment factor without loss (Ie, Ie,wb or Ie,fb).
    bpl
        Packet-loss robustness factor; None where no value is known: calls with loss are then not rated.
    source
        Where the two values are from.
    band
        Which of the three scales they belong to.
    """

    ie: float
    bpl: float | None
    source: str
    band: Band = "narrowband"


G711_PLC = CodecImpairment(0.0, 25.1, "G.113 Appendix I, with packet-loss concealment")
G711_NO_PLC = CodecImpairment(0.0, 4.3, "G.113 Appendix I, without packet-loss concealment")
G729A_VAD = CodecImpairment(11.0, 19.0, "G.113 Appendix I")
GSM_EFR = CodecImpairment(5.0, 10.0, "G.113 Appendix I, not checked against the original")
AMR_12_2 = GSM_EFR  # AMR's mode of 12.2 kbit/s is GSM's enhanced full rate
GSM_FR = CodecImpairment(20.0, None, "G.113 Appendix I, not checked against the original; no Bpl is published")
G723_1_63_VAD = CodecImpairment(15.0, 16.1, "G.113 Appendix I, not checked against the original")
G722_64K = CodecImpairment(13.0, None, "G.113 Appendix IV, not checked against the original; no Bpl known", "wideband")
OPUS_ESTIMATE = CodecImpairment(10.2, 4.3, "an estimate, as rtpengine uses it; the ITU has published none", "fullband")


@dataclass(frozen=True)
class VoiceQuality:
    """The rating of (n,) legs or calls.

    Attributes
    ----------
    r
        (n,) Transmission rating on the scale of the codec's band; NaN where it is refused.
    mos
        (n,) Mean opinion score, 1 to 4.5; NaN where it is refused.
    formula
        Which formula made them: to be printed beside every value.
    """

    r: NDArray[np.float64]
    mos: NDArray[np.float64]
    formula: str


def rate(
    impairment: CodecImpairment,
    loss_percent: ArrayLike,
    burst: ArrayLike = 1.0,
    one_way_delay_ms: ArrayLike | None = None,
) -> VoiceQuality:
    """Rate legs by the E-model.

    Parameters
    ----------
    impairment
        What is known of the codec.
    loss_percent
        (n,) Packets lost or discarded, 0 to 100.
    burst
        (n,) BurstR, as :func:`burst_ratio` gives it.
    one_way_delay_ms
        (n,) Mouth-to-ear delay. Without it the rating is one of listening quality (LQ), with it one of
        conversational quality (CQ).

    Returns
    -------
    Ratings; NaN for legs with loss where the codec's ``bpl`` is unknown, and wherever an input is NaN.
    """
    scale = _SCALES[impairment.band]
    delay: NDArray[np.float64] | float = 0.0 if one_way_delay_ms is None else delay_impairment(one_way_delay_ms)
    r = np.atleast_1d(scale.r0 - delay - _equipment_impairment(impairment, loss_percent, burst))
    kind = "LQ, without delay" if one_way_delay_ms is None else "CQ, delay by Cole-Rosenbluth"
    formula = f"{scale.recommendation} reduced, {kind}; Ie {impairment.ie:g}, Bpl {_known(impairment.bpl)}"
    return VoiceQuality(r, mos_of(r / scale.stretch), formula)


def _known(bpl: float | None) -> str:
    return "unknown" if bpl is None else f"{bpl:g}"


def _equipment_impairment(
    impairment: CodecImpairment, loss_percent: ArrayLike, burst: ArrayLike
) -> NDArray[np.float64]:
    """Return Ie,eff of (n,) legs; NaN where it cannot be known."""
    loss = np.asarray(loss_percent, np.float64)
    ie = impairment.ie
    if impairment.bpl is None:
        return np.where(loss == 0, ie, np.nan)
    worst = _SCALES[impairment.band].highest_impairment
    return np.asarray(ie + (worst - ie) * loss / (loss / np.asarray(burst, np.float64) + impairment.bpl))


def burst_ratio(sent: ArrayLike, lost: ArrayLike, loss_runs: ArrayLike) -> NDArray[np.float64]:
    """Return BurstR: how much longer the runs of lost packets are than independent losses would make them.

    The mean run of independent losses with probability p is 1 / (1 - p) long (G.107 7.5). Losses that are spread more
    evenly than that count as independent: at least 1.

    Parameters
    ----------
    sent, lost, loss_runs
        (n,) Packets sent, packets lost, and runs of consecutive lost packets, of each leg.
    """
    lost = np.asarray(lost, np.float64)
    # Nothing sent is nothing lost, and no division by 0.
    share = lost / np.maximum(sent, 1)
    return np.maximum(lost / np.maximum(loss_runs, 1) * (1 - share), 1.0)


def delay_impairment(one_way_delay_ms: ArrayLike) -> NDArray[np.float64]:
    """Return Id of (n,) mouth-to-ear delays by the approximation of Cole and Rosenbluth (2001).

    It covers the echo terms of G.107 at default values too, and is therefore larger than
    :func:`delay_impairment_g107`.
    """
    delay = np.asarray(one_way_delay_ms, np.float64)
    return np.asarray(0.024 * delay + 0.11 * np.maximum(delay - 177.3, 0.0))


def delay_impairment_g107(one_way_delay_ms: ArrayLike) -> NDArray[np.float64]:
    """Return Idd of (n,) mouth-to-ear delays: the part of absolute delay alone (G.107 7.4), without any echo."""
    # Up to 100 ms there is no impairment (G.107 7.4).
    doublings = np.log2(np.maximum(np.asarray(one_way_delay_ms, np.float64), 100.0) / 100.0)
    return np.asarray(25 * ((1 + doublings**6) ** (1 / 6) - 3 * (1 + (doublings / 3) ** 6) ** (1 / 6) + 2))


def mos_of(r: ArrayLike) -> NDArray[np.float64]:
    """Return the mean opinion score of (n,) ratings on the narrow-band scale (G.107 Annex B); NaN stays NaN.

    The polynomial dips below 1 for R under 6.5, hence the lower bound.
    """
    # Annex B: MOS is 1 from R = 0 down and 4.5 from R = 100 up.
    rating = np.clip(np.asarray(r, np.float64), 0.0, 100.0)
    return np.maximum(1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6, 1.0)
