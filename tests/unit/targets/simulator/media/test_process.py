"""Which ports the simulator gives to channels, and what it says where there is none."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.targets.simulator.media import process
from pytest_ari_sla.targets.simulator.media.process import MediaProcess
from pytest_ari_sla.targets.simulator.pbx.state import MediaUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

PEER = ("127.0.0.1", 9)


@pytest.fixture
def media() -> Iterator[MediaProcess]:
    """Return media with three ports."""
    with MediaProcess("127.0.0.1", (39_980, 39_985)) as media:
        yield media


def test_a_port_of_another_program_is_passed_over(media: MediaProcess) -> None:
    """And where all are taken, a channel has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 39_980))
        assert media.open("one", PEER, "ulaw") == ("127.0.0.1", 39_982)
        assert media.open("two", PEER, "ulaw") == ("127.0.0.1", 39_984)
        with pytest.raises(MediaUnavailable):
            media.open("three", PEER, "ulaw")


@pytest.mark.parametrize(
    ("number", "words"), [(errno.EMFILE, "ulimit -n"), (errno.ENOBUFS, "no more memory"), (errno.EACCES, "denied")]
)
def test_what_no_other_port_would_help_against_is_said_at_once(
    media: MediaProcess, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    """A channel is refused with the reason, and later ones have their ports."""
    tried: list[object] = []

    def refuse(address: tuple[str, int]) -> socket.socket:
        tried.append(address)
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(process, "_bound", refuse)
        with pytest.raises(MediaUnavailable, match=words):
            media.open("one", PEER, "ulaw")
    assert len(tried) == 1
    media.open("two", PEER, "ulaw")
