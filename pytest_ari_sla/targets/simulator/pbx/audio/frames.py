"""How much audio is in a frame of the core, by its format."""

from __future__ import annotations

__all__ = ["frame_bytes", "sample_rate_hz"]

_RATES_HZ = {"slin16": 16_000, "slin48": 48_000, "g722": 16_000, "opus": 48_000}
_FRAMES_PER_SECOND = 50


def sample_rate_hz(name: str) -> int:
    """Return how many samples a second a format has."""
    return _RATES_HZ.get(name, 8000)


def frame_bytes(name: str) -> int:
    """Return the bytes of 20 ms of a format as media over TCP takes it; 0 where that is not fixed."""
    if name.startswith("slin"):
        return 2 * sample_rate_hz(name) // _FRAMES_PER_SECOND
    return {"ulaw": 160, "alaw": 160, "g722": 160, "gsm": 33}.get(name, 0)
