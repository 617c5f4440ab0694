"""Text for terminals whose encoding lacks some of our signs."""

from __future__ import annotations

from typing import Final

__all__ = ["readable"]

_PLAIN: Final = str.maketrans(
    {
        "\N{BOX DRAWINGS LIGHT HORIZONTAL}": "-",
        "\N{EN DASH}": "-",
        "\N{MICRO SIGN}": "u",
        "\N{MULTIPLICATION SIGN}": "x",
        "\N{HORIZONTAL ELLIPSIS}": "...",
    }
)


def readable(text: str, encoding: str) -> str:
    """Return a text with ``-`` and ``us`` where an encoding such as ASCII has no other; pytest would escape it all."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    return text
