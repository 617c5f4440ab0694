"""The sides that can be to blame, as all reports and errors call them."""

from __future__ import annotations

from enum import Enum

__all__ = ["Side"]


class Side(Enum):
    """Who is to blame; the value fits a sentence."""

    GENERATOR = "this tool"
    NETWORK = "the network"
    ASTERISK = "Asterisk"
    CONTROL_PLANE = "Asterisk's control plane"
    MEDIA = "Asterisk's media"
    APPLICATION = "the application under test"
    OTHER_PROGRAM = "another program"
    TEST = "your test"
    UNKNOWN = "nobody that can be told"
