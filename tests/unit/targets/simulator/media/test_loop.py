"""The media process's loop, on socket pairs, with commands that came while it did not get the processor."""

from __future__ import annotations

import socket

import msgspec
import pytest

from pytest_ari_sla.children.channel import Channel
from pytest_ari_sla.targets.simulator.media.commands import CloseLeg, LegNews, OpenWebSocket
from pytest_ari_sla.targets.simulator.media.engine import MediaEngine
from pytest_ari_sla.targets.simulator.media.loop import MediaLoop
from pytest_ari_sla.targets.simulator.media.websocket_driver import DriverOptions


def open_leg(ours: Channel[LegNews], leg: int, channel: str) -> None:
    """Open a WebSocket leg of which the peer has gone already."""
    peer, inside = socket.socketpair()
    peer.close()
    options = DriverOptions(
        channel_id=channel, channel=channel, connection_id="x", format="ulaw", frame_bytes=160, encoding="json"
    )
    command = OpenWebSocket(leg, channel, is_client=True, received=b"", options=msgspec.to_builtins(options))
    ours.send(command, inside.fileno())
    inside.close()


@pytest.mark.parametrize("reopened", [True, False], ids=["opened for another", "left alone"])
def test_news_are_about_the_channel_that_had_the_leg(reopened: bool) -> None:
    """A leg that was opened, closed and given to another channel in one round tells each channel its own news."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        ours: Channel[LegNews] = Channel(near, LegNews)
        open_leg(ours, 0, "first")
        ours.send(CloseLeg(0))
        if reopened:
            open_leg(ours, 0, "second")
        near.shutdown(socket.SHUT_WR)
        engine = MediaEngine(1)
        MediaLoop(far, engine).run()
        for leg in list(engine.sockets):
            engine.close(leg)
        far.close()
        told: dict[str, list[str]] = {}
        while news := ours.receive():
            told.setdefault(news.message.channel, []).append(news.message.word)
    expected = ["answer", "ended"]
    assert told == ({"first": expected, "second": expected} if reopened else {"first": expected})
