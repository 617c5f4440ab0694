"""Prompts that the simulator can play: names and lengths. What is heard is a tone, for speech would need recordings."""

from __future__ import annotations

__all__ = ["FRAME_NS", "PROMPT_FRAMES", "length_ns"]

FRAME_NS = 20_000_000
"""A packet of audio."""

PROMPT_FRAMES = {
    "beep": 22,
    "beeperr": 18,
    "hello": 30,
    "hello-world": 70,
    "goodbye": 40,
    "vm-intro": 280,
    "tt-monkeys": 800,
    "demo-congrats": 1600,
    "silence/1": 50,
    "silence/5": 250,
    "silence/10": 500,
}
"""Length in packets of 20 ms, by name."""

_FRAMES_PER_CHARACTER = 30  # a spoken digit


def length_ns(media: str) -> int | None:
    """Return how long a medium plays: None for one without an end, -1 for one that does not exist.

    Asterisk starts media of a kind that it does not know, and never finishes them.
    """
    kind, _, name = media.partition(":")
    match kind:
        case "sound":
            frames = PROMPT_FRAMES.get(name.removeprefix("en/"), -1)
            return frames * FRAME_NS if frames > 0 else -1
        case "digits" | "number" | "characters":
            return max(len(name), 1) * _FRAMES_PER_CHARACTER * FRAME_NS
        case _:
            return None
