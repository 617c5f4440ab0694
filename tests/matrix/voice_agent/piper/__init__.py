"""Stands in for the speech engine ``piper``: says a tone, the longer the more letters there are.

Imported by the voice agent, in its own environment, because it comes first on its path.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import wave

RATE_HZ = 16_000
SECONDS_A_LETTER = 0.06


class _Config:
    sample_rate = RATE_HZ


class PiperVoice:
    """A voice."""

    config = _Config()

    @classmethod
    def load(cls, path: str) -> PiperVoice:
        """Return the voice of a file, whatever is in it."""
        del path
        return cls()

    def synthesize(self, text: str, wav: wave.Wave_write) -> None:
        """Say something."""
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(RATE_HZ)
        samples = round(len(text) * SECONDS_A_LETTER * RATE_HZ)
        wav.writeframes(b"".join(struct.pack("<h", round(8000 * math.sin(n * 0.2))) for n in range(samples)))
