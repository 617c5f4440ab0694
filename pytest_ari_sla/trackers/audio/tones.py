"""DTMF digits as tones (ITU-T Q.23): whether each digit that was dialled in a leg's audio arrives once.

Asterisk's ExternalMedia channels have no telephone-events (RFC 4733): a digit is a sound there, which transcoders and
mixers may spoil. Digits are looked for in legs only that hear one leg with digits in its :class:`Voice`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.rtp.keypad import COLUMNS_HZ, KEYPAD, ROWS_HZ
from pytest_ari_sla.trackers.audio.sampling import decode_packets
from pytest_ari_sla.trackers.audio.silence import SILENCE_MEAN_SQUARE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.codec import Codec
    from pytest_ari_sla.hookspecs.tracker import TrackerContext
    from pytest_ari_sla.metrics.histogram import Histogram
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["ToneTracker", "digits_of"]

NO_DIGIT = -1
LEAST_SHARE = 0.7
"""So much of a block's energy is in the two tones of a digit."""

GREATEST_TWIST = 10.0
"""One tone is at most so much stronger than the other: 10 dB (ITU-T Q.24 allows 4 to 8)."""

LEAST_BLOCKS = 2
"""A digit is heard when so many blocks in a row say so, and over when as many do not."""

BLOCK_MS = 20

WARM_UP_PACKETS = 3
"""Speech codecs build on what they decoded before; after so many packets it does not matter where they began."""


def digits_of(blocks: NDArray[np.int16], rate_hz: int) -> NDArray[np.int64]:
    """Return the digit that each block of audio holds.

    Parameters
    ----------
    blocks
        (n, samples) int16: audio of some 10 to 20 ms each.
    rate_hz
        Its sample rate.

    Returns
    -------
    (n,) Index into ``KEYPAD``; -1 where there is none.
    """
    audio = blocks.astype(np.float64)
    length = audio.shape[1]
    time_s = np.arange(length) / rate_hz
    # The power of a sine in a block is twice the squared magnitude of its Fourier coefficient, over the block's length.
    waves = np.exp(-2j * np.pi * time_s[:, np.newaxis] * np.array((*ROWS_HZ, *COLUMNS_HZ)))
    energy = 2 / length * np.abs(audio @ waves) ** 2
    rows, columns = energy[:, : len(ROWS_HZ)], energy[:, len(ROWS_HZ) :]
    row, column = rows.argmax(axis=1), columns.argmax(axis=1)
    low, high = rows.max(axis=1), columns.max(axis=1)
    total = np.square(audio).sum(axis=1)
    is_digit = (low + high >= LEAST_SHARE * total) & (total > SILENCE_MEAN_SQUARE * length)
    is_digit &= (low <= GREATEST_TWIST * high) & (high <= GREATEST_TWIST * low)
    return np.where(is_digit, row * len(COLUMNS_HZ) + column, NO_DIGIT)


@dataclass
class _Ear:
    """What one leg hears: where in the dialled digits it is.

    Attributes
    ----------
    dialled
        Indices of the digits in ``KEYPAD``.
    sounding
        The digit that is heard now.
    candidate, blocks
        What the latest blocks say, and how many they are.
    place
        Which of the dialled digits was heard last; -1: none yet.
    latest
        The latest packets: what a decoder has to have heard before the next ones.
    """

    dialled: list[int]
    sounding: int = NO_DIGIT
    candidate: int = NO_DIGIT
    blocks: int = 0
    place: int = -1
    latest: NDArray[np.uint8] | None = None

    def decode(self, codec: Codec, packets: NDArray[np.uint8]) -> NDArray[np.int16] | None:
        """Decode consecutive packets of one length into (packets, samples), behind those that came before them.

        None where the codec cannot.
        """
        before = self.latest if self.latest is not None and self.latest.shape[1] == packets.shape[1] else packets[:0]
        run = np.concatenate((before, packets))
        self.latest = run[-WARM_UP_PACKETS:]
        samples = decode_packets(codec, run)
        if samples is None:
            self.latest = None  # what it refused must not spoil the next packets
            return None
        return samples[len(before) :]

    def take(self, digit: int) -> int:
        """Take in a block; return the digit that has just begun, or none."""
        self.blocks = self.blocks + 1 if digit == self.candidate else 1
        self.candidate = digit
        if self.blocks < LEAST_BLOCKS or digit == self.sounding:
            return NO_DIGIT
        self.sounding = digit
        return digit

    def follow(self, digit: int) -> int | None:
        """Go on to a digit; return how many were skipped, None for one that was not dialled next or later."""
        count = len(self.dialled)
        steps = (step for step in range(1, count + 1) if self.dialled[(self.place + step) % count] == digit)
        step = next(steps, None)
        if step is None:
            return None
        # A leg joins the loop anywhere: what was dialled before its first digit is not lost.
        is_first, self.place = self.place < 0, (self.place + step) % count
        return 0 if is_first else step - 1


class ToneTracker:
    """Follows the digits that each leg hears, in the order in which they were dialled."""

    name = "tones"
    metrics = (
        Metric("tones.digits", "count", "count", "DTMF digits heard as tones (ITU-T Q.23)", better="higher"),
        Metric("tones.lost", "count", "count", "Dialled digits that were missing before a later one was heard"),
        Metric("tones.wrong", "count", "count", "Digits heard that were not dialled"),
    )

    BYTES_PER_LEG = 8 + 1

    def begin(self, context: TrackerContext) -> None:
        """Find the legs that hear digits."""
        self._context = context
        self._ears: dict[int, _Ear] = {}
        self._counts: Counter[str] = Counter()
        self._digits = np.zeros(context.legs, np.int64)
        self._listens = np.zeros(context.legs, np.bool_)
        if context.audio_legs is not None and any(voice.digits for voice in context.voices):
            audible = context.audio_legs
            has_digits = np.array([bool(voice.digits) for voice in context.voices])
            hears_one = (audible >= 0).sum(axis=1) == 1
            self._source = audible.max(axis=1)
            self._listens = hears_one & has_digits[context.voice_of_leg[self._source]]

    def observe(self, batch: PacketBatch) -> None:
        """Listen to every packet of these legs."""
        if not self._listens.any():
            return
        groups = batch.by_leg
        ends = groups.starts + groups.counts
        # Leg by leg: decoders have a memory, which must not hold another leg's audio.
        for leg, start, end in zip(groups.legs.tolist(), groups.starts.tolist(), ends.tolist(), strict=True):
            if self._listens[leg]:
                self._listen(leg, batch, groups.order[start:end])

    def _listen(self, leg: int, batch: PacketBatch, rows: NDArray[np.intp]) -> None:
        """Take in a leg's packets, in their order."""
        codec = self._context.voices[self._context.voice_of_leg[leg]].codec
        ear = self._ears.get(leg) or self._new_ear(leg)
        audible = rows[batch.payload_type[rows] == codec.payload_type]
        if not len(audible):
            return
        # One packet of another length must not decide for the others.
        length = int(np.bincount(batch.payload_length[audible]).argmax())
        alike = audible[batch.payload_length[audible] == length]
        samples = ear.decode(codec, batch.payload[alike, :length])
        if samples is None:
            return
        for digit in digits_of(_blocks(samples, codec.sample_rate_hz), codec.sample_rate_hz).tolist():
            begun = ear.take(digit)
            if begun != NO_DIGIT:
                self._hear(leg, ear, begun)

    def _new_ear(self, leg: int) -> _Ear:
        context = self._context
        voice = context.voices[context.voice_of_leg[self._source[leg]]]
        ear = self._ears[leg] = _Ear([KEYPAD.index(digit) for digit in voice.digits])
        return ear

    def _hear(self, leg: int, ear: _Ear, digit: int) -> None:
        skipped = ear.follow(digit)
        self._digits[leg] += 1
        self._counts["tones.digits"] += 1
        self._counts["tones.wrong"] += skipped is None
        self._counts["tones.lost"] += skipped or 0

    def advance(self, now_ns: int) -> None:
        """Tones have no time of their own."""

    def release(self, legs: NDArray[np.int32]) -> None:
        """Forget what these legs have heard."""
        for leg in legs.tolist():
            self._ears.pop(leg, None)
        self._digits[legs] = 0

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return all counts since :meth:`begin`."""
        return {metric.name: self._counts[metric.name] for metric in self.metrics}

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Return how many digits each leg has heard."""
        return {"tones.digits": np.where(self._listens, self._digits, np.nan)}


def _blocks(packets: NDArray[np.int16], rate_hz: int) -> NDArray[np.int16]:
    """Cut packets of any length ((n, samples)) into blocks of 10 to 20 ms."""
    parts = -(-packets.shape[1] * 1000 // (rate_hz * BLOCK_MS))
    width = packets.shape[1] // parts
    return packets[:, : width * parts].reshape(-1, width)
