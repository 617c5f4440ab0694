"""Text that came over the network, made fit to be shown: on a terminal, in a file, in a table."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["MAX_TEXT", "clean", "clean_tree"]

MAX_TEXT = 1_000
"""Characters that a text of unknown origin may have; what is longer is cut, and the cut is said."""

_ENCODED = ("hdr", "blocks")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """Return a text that can do no harm where it is printed.

    Control characters, terminal escapes among them, become their visible symbols (ESC is ``␛``); line breaks become
    spaces; half surrogates (what is left of invalid UTF-8), characters that change the direction of writing and others
    without a shape become ``�``. What is longer than ``limit`` is cut.
    """
    # Before anything else: what is cut off is not worth the cleaning, and may be megabytes.
    cut = text[:limit]
    # Most texts are plain: no need to look at each character.
    shown = cut if cut.isascii() and cut.isprintable() else _UNPRINTABLE.sub(_visible, cut)
    return shown if len(text) <= limit else f"{shown}… ({len(text):,} characters)"


def _visible(match: re.Match[str]) -> str:
    """Return what to show in place of a character."""
    character = match[0]
    code = ord(character)
    if character in "\n\r\t":
        return " "
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return character if character.isprintable() else "�"


def clean_tree(value: Any) -> Any:
    """Return a tree of built-ins with every text in it cleaned, but encoded histograms, which are long and our own."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(str(key)): item if key in _ENCODED else clean_tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean_tree(item) for item in value]
    return value
