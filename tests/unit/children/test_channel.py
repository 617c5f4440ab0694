"""Messages between processes, with a descriptor or without."""

from __future__ import annotations

import os
import resource
import socket

import msgspec
import pytest

from pytest_ari_sla.children.channel import Channel
from pytest_ari_sla.udp.host_limits import is_limit


class Word(msgspec.Struct, tag=True):
    """A message."""

    text: str


def test_a_descriptor_that_finds_no_room_is_not_lost_without_a_word() -> None:
    """The order that it came with would be about nothing: a socket of ours would be another one."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, other:
        sending, receiving = Channel[None](one), Channel[Word](other, Word)
        sending.send(Word("this"), one.fileno())
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(OSError, match="Too many open files") as caught:
                receiving.receive()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert is_limit(caught.value)
        sending.send(Word("that"), one.fileno())
        received = receiving.receive()
        assert received is not None
        assert received.message == Word("that")
        assert received.handle is not None
        os.close(received.handle)
