"""Answers as a broken or hostile ARI, or a program in front of it, sends them: seeded, made of good ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_ari_sla.ari.resources import (
    Application,
    AsteriskInfo,
    AsteriskPing,
    Bridge,
    Channel,
    Endpoint,
    LiveRecording,
    Playback,
    StoredRecording,
    Variable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

__all__ = ["GOOD", "hostile_answers"]

_CHANNEL = {
    "id": "sla-1.c0000001",
    "name": "UnicastRTP/127.0.0.1:9-0x1",
    "state": "Up",
    "caller": {"name": "", "number": ""},
    "connected": {"name": "", "number": ""},
    "dialplan": {"context": "default", "exten": "s", "priority": 1, "app_name": "Stasis", "app_data": "a"},
    "creationtime": "2026-11-22T13:57:05.760+0000",
    "channelvars": {"UNICASTRTP_LOCAL_PORT": "12344", "UNICASTRTP_LOCAL_ADDRESS": "127.0.0.1"},
}
_BRIDGE = {"id": "sla-1.b0000001", "technology": "softmix", "channels": ["a", "b"], "bridge_type": "mixing"}
GOOD: dict[Any, Any] = {
    Channel: _CHANNEL,
    list[Channel]: [_CHANNEL, _CHANNEL],
    Bridge: _BRIDGE,
    list[Bridge]: [_BRIDGE],
    Variable: {"value": "12344"},
    AsteriskPing: {"ping": "pong", "timestamp": "2026-11-22T13:57:05.760+0000", "asterisk_id": "00:00"},
    AsteriskInfo: {
        "system": {"version": "22.10.1", "entity_id": "00:00"},
        "config": {"name": "", "max_channels": 100, "max_open_files": 1024, "max_load": 1.5},
        "status": {"startup_time": "2026-11-22T13:57:05.760+0000", "last_reload_time": ""},
    },
    Playback: {"id": "p", "media_uri": "sound:beep", "target_uri": "channel:a", "state": "playing"},
    LiveRecording: {"name": "r", "format": "wav", "duration": 1},
    StoredRecording: {"name": "r", "format": "wav"},
    Endpoint: {"technology": "PJSIP", "resource": "a", "channel_ids": []},
    Application: {"name": "a", "channel_ids": ["a"], "bridge_ids": []},
}

_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**64, 10**400, 0.5, float("nan"), float("inf"), "", "\0", "\ud800", "x" * 70_000, "²", "-0",
    [], [[]], [None], {}, {"id": {}}, {"": ""},
)  # fmt: skip
_NESTED = (b"[" * 100_000, b'{"id":' * 100_000, b"[" * 5_000 + b"]" * 5_000)
_BODIES = (
    b"", b"null", b"NaN", b"0", b'""', b"[]", b"{}", b"[null]", b"\xef\xbb\xbf{}", b"\xff\xfe{\0}\0",
    b"<html><body>502 Bad Gateway</body></html>", b'{"message":{}}', b'{"message":null,"error":[]}', b"1e999",
    b'{"id":1e999}', b'{"id":"a","id":2}', b"9" * 10_000, b'{"message":"' + b"\xc3\x28" * 100 + b'"}', *_NESTED,
)  # fmt: skip


def hostile_answers(random: Random, count: int) -> Iterator[tuple[Any, bytes]]:
    """Yield what was asked for, and the body that came."""
    kinds = list(GOOD)
    for _ in range(count):
        kind = random.choice(kinds)
        draw = random.random()
        if draw < 0.05:
            yield kind, random.choice(_BODIES)
        elif draw < 0.7:
            yield kind, _written(_spoilt(GOOD[kind], random))
        else:
            yield kind, _damaged(_written(GOOD[kind]), random)


def _written(plain: Any) -> bytes:
    # A lone surrogate is written as such: three bytes that are not UTF-8.
    return json.dumps(plain, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _spoilt(plain: Any, random: Random) -> Any:
    """Return a value with one or more of its parts gone or replaced."""
    if random.random() < 0.15:
        return random.choice(_VALUES)
    if isinstance(plain, dict):
        return {name: _spoilt(value, random) for name, value in plain.items() if random.random() < 0.9}
    if isinstance(plain, list):
        return [_spoilt(value, random) for value in plain]
    return plain


def _damaged(body: bytes, random: Random) -> bytes:
    """Return bytes that were cut off, or of which some have changed."""
    if random.random() < 0.4:
        return body[: random.randrange(len(body))]
    spoilt = bytearray(body)
    for _ in range(random.randint(1, 5)):
        spoilt[random.randrange(len(spoilt))] = random.randrange(256)
    return bytes(spoilt)
