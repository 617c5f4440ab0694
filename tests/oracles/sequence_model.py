"""What sequence numbers say, packet by packet, by RFC 3550 (A.1) and RFC 4737 (3.3): a model to compare with."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.oracles.rtp_wire import Heard

__all__ = ["sequence_counts"]

DROPOUT, MISORDER = 3000, 100


def sequence_counts(heard: Iterable[Heard]) -> Counter[str]:
    """Return what each packet of a leg comes to, by the name of its metric, in order of arrival."""
    counts: Counter[str] = Counter()
    source: int | None = None
    lowest = highest = 0
    seen: set[int] = set()
    doubted: Heard | None = None

    def give_up_doubted() -> None:
        nonlocal doubted
        if doubted is not None:
            is_copy = doubted.ssrc == source and highest + _distance(doubted.sequence, highest) in seen
            counts["sequence.duplicates" if is_copy else "sequence.strays"] += 1
        doubted = None

    def begin(packet: Heard) -> None:
        nonlocal source, lowest, highest, doubted
        source, lowest, highest, doubted = packet.ssrc, packet.sequence, packet.sequence, None
        seen.clear()
        seen.add(packet.sequence)

    for packet in heard:
        if source is None:
            begin(packet)
            continue
        step = _distance(packet.sequence, highest)
        if packet.ssrc == source and 0 < step < DROPOUT:
            give_up_doubted()
            counts["sequence.drops"] += step - 1
            highest += step
            seen.add(highest)
        elif packet.ssrc == source and -MISORDER < step <= 0:
            number = highest + step
            if number in seen:
                counts["sequence.duplicates"] += 1
                continue
            counts["reordered"] += 1
            counts["sequence.recovered"] += number > lowest
            counts["sequence.drops"] += max(0, lowest - number - 1)
            lowest = min(lowest, number)
            seen.add(number)
        elif doubted is None or doubted.ssrc != packet.ssrc:
            give_up_doubted()
            doubted = packet
        elif (onward := _distance(packet.sequence, doubted.sequence)) == 0:
            counts["sequence.duplicates"] += 1
        else:
            # A second packet goes on with it: the stream has begun anew.
            counts["sequence.restarts"] += 1
            begin(doubted)
            counts["sequence.drops"] += onward - 1
            highest += onward
            seen.add(highest)
    return counts


def _distance(number: int, reference: int) -> int:
    return (number - reference + 0x8000) % 0x10000 - 0x8000
