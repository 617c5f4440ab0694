"""A child for tests: says what it hears, with the descriptor that came with it, until its socket ends."""

from __future__ import annotations

import os
import signal
import sys

import msgspec

from pytest_ari_sla.children.channel import Channel
from pytest_ari_sla.children.child import inherited_control


class Word(msgspec.Struct, frozen=True, tag=True):
    """What a parrot hears and says."""

    text: str


def main(*arguments: str) -> None:
    """Repeat; a stubborn one goes on when nobody listens any more."""
    channel: Channel[Word] = Channel(inherited_control(int(arguments[-1])), Word)
    while (received := channel.receive()) is not None:
        channel.send(*received)
        if received.handle is not None:
            os.close(received.handle)
    if arguments[0] == "stubborn":
        signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
