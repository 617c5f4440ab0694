"""What passed between ARI's client and server, read from a capture: requests, answers and events."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.oracles.wire import ByteStream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.oracles.wire import TcpSegment

__all__ = ["Conversation", "WireEvent", "WireRequest", "conversation"]


class WireRequest(NamedTuple):
    """A request and its answer: when the last byte of each passed, in ns since the epoch."""

    method: str
    target: str
    sent_ns: int
    answered_ns: int
    status: int
    answer: bytes

    @property
    def took_ns(self) -> int:
        """How long the answer took."""
        return self.answered_ns - self.sent_ns

    def is_hang_up_of(self, call: str) -> bool:
        """Tell whether it hangs a channel of a call up, and did."""
        return self.method == "DELETE" and f"/channels/{call}" in self.target and self.status < 300


class WireEvent(NamedTuple):
    """An event of the WebSocket, and when its last byte passed."""

    at_ns: int
    content: dict[str, Any]

    @property
    def type(self) -> str:
        """The kind of event."""
        return str(self.content["type"])

    @property
    def channel_ids(self) -> list[str]:
        """The ids of the channels that it is about, wherever they stand."""
        members = [value for value in self.content.values() if isinstance(value, dict)]
        return [str(member["id"]) for member in members if "dialplan" in member]

    def is_of(self, call: str) -> bool:
        """Tell whether it is about a channel of a call."""
        return any(channel.startswith(call) for channel in self.channel_ids)

    @property
    def lag_ns(self) -> int:
        """From the event's own time stamp until it passed."""
        return self.at_ns - round(datetime.fromisoformat(self.content["timestamp"]).timestamp() * 1000) * 1_000_000


class Conversation(NamedTuple):
    """All requests, in order of sending, and all events."""

    requests: list[WireRequest]
    events: list[WireEvent]

    def media(self, calls: tuple[str, ...]) -> dict[str, tuple[int, int]]:
        """Return our RTP port and theirs, of each channel of these calls."""
        ports = {}
        for request in self.requests:
            channel = _parameter(request.target, "channelId")
            if "/channels/externalMedia" in request.target and request.status == 200 and channel.startswith(calls):
                theirs = json.loads(request.answer)["channelvars"]["UNICASTRTP_LOCAL_PORT"]
                ports[channel] = int(_parameter(request.target, "external_host").rpartition(":")[2]), int(theirs)
        return ports

    def setups_ns(self, calls: tuple[str, ...]) -> list[int]:
        """From each request for a channel of these calls until the channel's StasisStart."""
        entered = {one.channel_ids[0]: one.at_ns for one in reversed(self.events) if one.type == "StasisStart"}
        asked = {
            _parameter(request.target, "channelId"): request.sent_ns
            for request in self.requests
            if "/channels/externalMedia" in request.target
        }
        return [entered[one] - sent_ns for one, sent_ns in asked.items() if one in entered and one.startswith(calls)]


def conversation(segments: Iterable[TcpSegment], port: int) -> Conversation:
    """Return what was said on all connections to a server's port."""
    connections: list[tuple[ByteStream, ByteStream]] = []
    streams: dict[tuple[int, int], ByteStream] = {}
    for segment in segments:
        way = segment.source, segment.target
        if segment.is_first:
            # The client's port may have been that of an earlier connection.
            streams[way] = ByteStream.empty(segment.sequence + 1)
            if segment.source == port and way[::-1] in streams:
                connections.append((streams[way[::-1]], streams[way]))
        elif way in streams:
            streams[way].add(segment)
    requests: list[WireRequest] = []
    events: list[WireEvent] = []
    for asked, told in connections:
        _read_connection(asked, told, requests, events)
    requests.sort(key=lambda request: request.sent_ns)
    events.sort(key=lambda event: event.at_ns)
    return Conversation(requests, events)


def _read_connection(asked: ByteStream, told: ByteStream, requests: list[WireRequest], events: list[WireEvent]) -> None:
    answers = _messages(told)
    for line, sent_ns, _, _ in _messages(asked):
        answer = next(answers, None)
        if answer is None:
            return
        status_line, answered_ns, end, body = answer
        method, target, _ = line.split(" ", 2)
        status = int(status_line.split(" ", 2)[1])
        requests.append(WireRequest(method, target, sent_ns, answered_ns, status, body))
        if status == 101:
            events += _events(told, end)
            return


def _messages(stream: ByteStream) -> Iterator[tuple[str, int, int, bytes]]:
    """Yield first line, time of the last byte, end and body of each HTTP message."""
    start = 0
    while (head_end := stream.data.find(b"\r\n\r\n", start)) >= 0:
        lines = stream.data[start:head_end].decode().split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        assert "transfer-encoding" not in fields, "no ARI that we know of sends in chunks"
        end = head_end + 4 + int(fields.get("content-length", 0))
        if end > len(stream.data):
            return
        yield lines[0], stream.passed_ns(end), end, bytes(stream.data[head_end + 4 : end])
        start = end


def _events(stream: ByteStream, start: int) -> Iterator[WireEvent]:
    """Yield the text messages of the frames that a server sends: unmasked, and not split."""
    while start + 2 <= len(stream.data):
        first, length = stream.data[start], stream.data[start + 1] & 127
        head = {126: 4, 127: 10}.get(length, 2)
        if length > 125:
            length = int.from_bytes(stream.data[start + 2 : start + head], "big")
        end = start + head + length
        if end > len(stream.data):
            return
        if first == 0x81:
            yield WireEvent(stream.passed_ns(end), json.loads(stream.data[start + head : end]))
        else:
            assert first & 0x0F >= 8, f"a frame of kind {first:#x}: compressed, or split"
        start = end


def _parameter(target: str, name: str) -> str:
    return parse_qs(urlsplit(target).query).get(name, [""])[0]
