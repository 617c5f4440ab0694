"""G.711 and the tones of DTMF by their definitions, for comparison."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["RATE_HZ", "digits_heard", "is_silent", "samples_of"]

RATE_HZ = 8000
SILENCE_DBFS = -50
ROWS_HZ, COLUMNS_HZ = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
KEYS = ("123A", "456B", "789C", "*0#D")


def _sample(code: int) -> int:
    """Return the 16-bit sample of a mu-law octet (ITU-T G.711, table 2)."""
    code = ~code & 0xFF
    magnitude = ((2 * (code & 15) + 33) << (code >> 4 & 7)) - 33
    return 4 * (-magnitude if code & 0x80 else magnitude)


def _a_law_sample(code: int) -> int:
    """Return the 16-bit sample of an A-law octet (ITU-T G.711, table 1)."""
    code ^= 0x55
    segment, step = code >> 4 & 7, code & 15
    magnitude = (2 * step + 1 if segment == 0 else (2 * step + 33) << (segment - 1)) * 8
    return magnitude if code & 0x80 else -magnitude


_SAMPLES = [_sample(code) for code in range(256)]
_BY_PAYLOAD_TYPE = {0: _SAMPLES, 8: [_a_law_sample(code) for code in range(256)]}


def samples_of(payload_type: int, payload: bytes) -> list[int]:
    """Return the samples of a packet of PCMU (0) or PCMA (8)."""
    return [_BY_PAYLOAD_TYPE[payload_type][code] for code in payload]


def is_silent(payload: bytes) -> bool:
    """Tell whether audio is softer than -50 dB of a full-scale square wave."""
    energy = sum(_SAMPLES[code] ** 2 for code in payload) / len(payload)
    return energy == 0 or 10 * math.log10(energy / 32768**2) < SILENCE_DBFS


def digits_heard(payloads: Iterable[bytes]) -> str:
    """Return the digits in packets of 20 ms: those that sound in two of them in a row, once each."""
    keys = [_key(payload) for payload in payloads]
    heard, sounding = "", ""
    for before, now in itertools.pairwise(keys):
        if before == now != sounding:
            heard += now
            sounding = now
    return heard


def _key(payload: bytes) -> str:
    """Return the digit whose two tones (ITU-T Q.23) hold most of a packet's energy; empty where there is none."""
    samples = [_SAMPLES[code] for code in payload]
    if is_silent(payload):
        return ""
    low, high = ([_power(samples, hertz) for hertz in tones] for tones in (ROWS_HZ, COLUMNS_HZ))
    if max(low) + max(high) < 0.7 * sum(sample**2 for sample in samples):
        return ""
    return KEYS[low.index(max(low))][high.index(max(high))]


def _power(samples: Sequence[int], hertz: int) -> float:
    """Return the energy of a tone in some samples, by Goertzel's recurrence."""
    turn = 2 * math.pi * hertz / RATE_HZ
    before, now = 0.0, 0.0
    for sample in samples:
        before, now = now, sample + 2 * math.cos(turn) * now - before
    return 2 / len(samples) * (before**2 + now**2 - 2 * math.cos(turn) * before * now)
