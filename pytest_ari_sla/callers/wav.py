"""Reads WAVs: PCM of any rate, width and number of channels."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["read_wav"]


def read_wav(path: Path) -> tuple[NDArray[np.int16], int]:
    """Return the first channel of a PCM WAV, and its rate.

    Raises
    ------
    UsageError
        There is none, or it cannot be read.
    """
    try:
        with wave.open(str(path), "rb") as file:
            raw, width, channels = file.readframes(file.getnframes()), file.getsampwidth(), file.getnchannels()
            rate_hz = file.getframerate()
    # Before OSError, of which it is one: a wrong path is the usual mistake, and wants no talk of PCM.
    except FileNotFoundError:
        raise UsageError(f"say({path.name}): there is no {path}") from None
    except (OSError, EOFError, wave.Error) as problem:
        raise UsageError(f"say({path.name}): {path} is not a PCM WAV that can be read: {problem}") from None
    samples = _to_int16(raw, width)[::channels]
    if not samples.size:
        raise UsageError(f"say({path.name}): {path} holds no audio")
    return samples, rate_hz


def _to_int16(raw: bytes, width: int) -> NDArray[np.int16]:
    """Return PCM samples of 1 to 4 bytes as 16 bit."""
    if width == 1:  # the only width whose samples are unsigned
        return (np.frombuffer(raw, np.uint8).astype(np.int16) - 128) * 256
    # A file that was cut off may end within a sample.
    columns = np.frombuffer(raw[: len(raw) // width * width], np.uint8).reshape(-1, width)
    # WAV is little-endian: the last two bytes of a sample are its most significant ones.
    return np.ascontiguousarray(columns[:, -2:]).view("<i2")[:, 0].astype(np.int16)
