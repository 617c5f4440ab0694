"""The faults of peers that come with the tool."""

from __future__ import annotations

from pytest_ari_sla.media.peer_faults import (
    Burst,
    Close,
    HalfClose,
    Mute,
    PeerFault,
    Refuse,
    Reset,
    SendBytes,
    SkipAnswer,
    Speak,
    StopReading,
    Wait,
    WaitForFrame,
)

__all__ = ["builtin_faults"]

_STREAMS = ("audiosocket", "websocket", "websocket-server")
_WEBSOCKETS = ("websocket", "websocket-server")
_ASTERISK_CONNECTS = ("audiosocket", "websocket")


def builtin_faults() -> list[PeerFault]:
    """Return all of them."""
    return [
        PeerFault("mute", (Mute(),), _STREAMS),
        # A peer that waits for the first frame: some calls stay silent for ever (asterisk#2089).
        PeerFault("listen_first", (Mute(), WaitForFrame(), Speak()), _STREAMS),
        # Asterisk writes while it holds the channel's lock (asterisk#2140).
        PeerFault("slow_reader", (Wait(500), StopReading()), _STREAMS),
        # Sockets that one side had closed came before an ARI that stood still (hkjarral/AVA#616).
        PeerFault("half_close", (Wait(1000), HalfClose()), _STREAMS),
        PeerFault("reset", (Wait(1000), Reset()), _STREAMS),
        PeerFault("refuse", (Refuse(),), _ASTERISK_CONNECTS),
        # Asterisk's thread waits for the answer with the channel's lock held (asterisk#1979).
        PeerFault("no_upgrade", (SkipAnswer(), Mute(), Wait(6000), Close()), ("websocket",)),
        # A hang-up before the read thread has begun crashed 22.6.0 (asterisk#1643).
        PeerFault("close_at_once", (Close(),), _STREAMS),
        # Two of a header's three bytes, 0.4 s after the call's begin; then nothing (kin of asterisk#2089).
        PeerFault("partial_frame", (Wait(400), SendBytes(b"\x10\x01"), Mute(), Wait(6000), Close()), ("audiosocket",)),
        # The queue of chan_websocket keeps a burst for the rest of the call (asterisk#2115).
        PeerFault("burst", (Wait(1000), Burst(100)), _STREAMS, is_measured=True),
    ]
