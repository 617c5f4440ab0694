"""What every media loop can be told; each transport has more."""

from __future__ import annotations

import msgspec

__all__ = ["ForgetLeg", "Stall", "StopLeg"]


class StopLeg(msgspec.Struct, frozen=True, tag=True):
    """Send nothing more for a leg; one whose stream has ended may be named as well."""

    leg: int


class ForgetLeg(msgspec.Struct, frozen=True, tag=True):
    """Set a stopped leg's part of the send log to zero: its number is going to be another leg's.

    A connection that it has is Asterisk's to close.
    """

    leg: int


class Stall(msgspec.Struct, frozen=True, tag=True):
    """Do nothing for so long: a fault on purpose, to prove that a late generator is noticed."""

    duration_ns: int
