"""What a load is, as every process of a fleet knows it before its first call."""

from __future__ import annotations

import msgspec

from pytest_ari_sla.judging.thresholds import SourcedThreshold
from pytest_ari_sla.sla.threshold import Threshold

__all__ = ["LoadDescription"]


class LoadDescription(msgspec.Struct, frozen=True):
    """What every shard knows of a load when it begins; equal on all of them.

    Attributes
    ----------
    doc
        First paragraph of the test's docstring.
    topology, codec
        Names.
    started_ns
        When it begins, ns since the Unix epoch.
    stages
        (name, begin, end) of each stage, ns since the beginning.
    wanted
        (time, calls) at the corners of the profile.
    thresholds
        What it has to keep.
    until
        The condition that ends the load in good order; None: none.
    notes
        What a user should know before it begins.
    step
        Which part of something larger it is, in words; empty where it is none.
    is_scripted
        Whether calls last for as long as their scripts take, whatever the profile says.
    """

    doc: str
    topology: str
    codec: str
    started_ns: int
    stages: list[tuple[str, int, int]]
    wanted: list[tuple[int, float]]
    thresholds: list[SourcedThreshold]
    until: Threshold | None = None
    notes: list[str] = []
    step: str = ""
    is_scripted: bool = False

    def to_bytes(self) -> bytes:
        """Return the description as bytes."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> LoadDescription:
        """Return a description from its bytes."""
        return msgspec.msgpack.decode(data, type=cls)
