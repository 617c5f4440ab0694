"""Session descriptions (RFC 4566) of one stream: ours, and what the other side says of its own (RFC 3264)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiosipua import parse_sdp

from pytest_ari_sla.rtp.dtmf import EVENTS_TYPE

if TYPE_CHECKING:
    from aiosipua import MediaDescription

    from pytest_ari_sla.arguments import Address

__all__ = ["OwnStream", "TheirStream", "describe", "read_description"]

_EVENTS = "telephone-event"
_MIRRORED = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}  # RFC 3264, 6.1
# May come without an rtpmap line (RFC 3551, 6); the RTP clock of G722 is 8000, though it samples at 16 kHz (4.5.2).
_STATIC = {0: "PCMU/8000", 3: "GSM/8000", 8: "PCMA/8000", 9: "G722/8000"}


@dataclass(frozen=True)
class OwnStream:
    """What we send and take.

    Attributes
    ----------
    address
        Where we take RTP.
    payload_type
        Of the one codec.
    encoding
        As in ``rtpmap``: ``PCMU/8000``, ``opus/48000/2``.
    packet_time_ms
        Of our packets.
    number
        Tells this session from others in the origin line.
    """

    address: Address
    payload_type: int
    encoding: str
    packet_time_ms: int
    number: int

    @property
    def events(self) -> str:
        """Encoding of telephone events: on the clock of the audio (RFC 4733, 2.1)."""
        return f"{_EVENTS}/{self.encoding.split('/')[1]}"


@dataclass(frozen=True)
class TheirStream:
    """What the other side takes.

    Attributes
    ----------
    address
        Where.
    events_type
        Its payload type for telephone events; None where it takes none.
    direction
        ``sendrecv``, ``sendonly``, ``recvonly`` or ``inactive``, as it sees it.
    """

    address: Address
    events_type: int | None
    direction: str


def describe(stream: OwnStream, version: int = 1, answering: TheirStream | None = None) -> bytes:
    """Return our description: an offer, or the answer to one."""
    host, port = stream.address
    # An answer repeats the payload type of the offer (RFC 3264, 6.1), and has none that was not offered.
    events = EVENTS_TYPE if answering is None else answering.events_type
    types = [stream.payload_type, *([] if events is None else [events])]
    direction = "sendrecv" if answering is None else _MIRRORED.get(answering.direction, "sendrecv")
    lines = [
        "v=0",
        f"o=ari-sla {stream.number} {version} IN IP4 {host}",
        "s=-",
        f"c=IN IP4 {host}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {' '.join(map(str, types))}",
        f"a=rtpmap:{stream.payload_type} {stream.encoding}",
        *([] if events is None else [f"a=rtpmap:{events} {stream.events}", f"a=fmtp:{events} 0-15"]),
        f"a=ptime:{stream.packet_time_ms}",
        f"a={direction}",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


def read_description(text: str, own: OwnStream) -> TheirStream:
    """Return what a description says of the stream that goes with ours.

    Raises
    ------
    ValueError
        It cannot be read, or does not go with ours; in words.
    """
    try:
        session = parse_sdp(text)
        audio = session.audio
        connection = (audio and audio.connection) or session.connection
        host = str(ipaddress.IPv4Address(connection.address if connection else ""))
    except (ValueError, IndexError) as problem:
        raise ValueError(f"its session description cannot be read: {problem}") from problem
    # Port 0 refuses a stream (RFC 3264, 6).
    if audio is None or not 0 < audio.port < 65536:
        raise ValueError("its session description has no audio")
    codecs = _codecs(audio)
    if codecs.get(own.payload_type, "").lower() != own.encoding.lower():
        offered = ", ".join(f"{name} ({number})" for number, name in codecs.items() if not name.startswith(_EVENTS))
        raise ValueError(f"it does not take {own.encoding} with payload type {own.payload_type}; it takes {offered}")
    events = next((number for number, name in codecs.items() if name.lower() == own.events), None)
    stated = [key for key in (*audio.attributes, *session.attributes) if key in ("sendrecv", *_MIRRORED)]
    # Of the stream before that of the session; sendrecv where neither says (RFC 4566, 6).
    return TheirStream((host, audio.port), events, (stated or ["sendrecv"])[0])


def _codecs(audio: MediaDescription) -> dict[int, str]:
    """Return the encodings of a stream, by payload type."""
    named = {}
    for line in audio.attributes.get("rtpmap", []):
        number, _, name = line.partition(" ")
        named[number] = name.strip().removesuffix("/1")  # one channel may be left unsaid (RFC 4566, 6)
    # isdigit alone takes digits such as a superscript 2, which int refuses.
    types = [text for text in audio.formats if text.isascii() and text.isdigit() and int(text) < 128]
    return {int(text): named.get(text, _STATIC.get(int(text), "")) for text in types}
