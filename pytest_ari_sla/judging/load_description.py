"""What a load is, as every process of a fleet knows it before its first call."""

from __future__ import annotations

import msgspec

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
        (expression, source, ns after which a broken one ends the load, or None).
    until
        The condition that ends the load in good order; empty: none.
    """

    doc: str
    topology: str
    codec: str
    started_ns: int
    stages: list[tuple[str, int, int]]
    wanted: list[tuple[int, float]]
    thresholds: list[tuple[str, str, int | None]]
    until: str = ""

    def to_bytes(self) -> bytes:
        """Return the description as bytes."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> LoadDescription:
        """Return a description from its bytes."""
        return msgspec.msgpack.decode(data, type=cls)
