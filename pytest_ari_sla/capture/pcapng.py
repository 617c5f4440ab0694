"""Captured packets as pcapng files that Wireshark opens with RTP decoded.

A file begins with a session announcement (RFC 2974) of our own making: it tells Wireshark which ports carry RTP and
with which codec, and its comment says what is wrong with the call. scapy writes packet by packet, which is slow: this
is for the few calls that are worth a look.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.capture.kept_packets import CapturedStream

__all__ = ["capture_name", "write_capture"]

_NS_PER_S: Final = 1e9
_SEQUENCES: Final = 1 << 16
# RFC 2974, section 3: group and port of announcements; by the port Wireshark knows what it is.
_ANNOUNCEMENT_GROUP: Final = "224.2.127.254"
_ANNOUNCEMENT_PORT: Final = 9875
_SAP_HEADER: Final = bytes([0x20, 0, 0, 1, 127, 0, 0, 1])
"""Version 1, no authentication, message 1, from 127.0.0.1 (RFC 2974, section 6)."""
# Characters: of up to 4 bytes in UTF-8, so far below the format's 65,535 bytes.
_LONGEST_COMMENT: Final = 2_000
# Without options.
_IP_BYTES: Final = 20
_UDP_BYTES: Final = 8
_LARGEST_GAP: Final = 1 << 15
"""What looks like a larger gap is a step back: packets that overtook each other."""


def capture_name(call: str, kind: str = "pcapng") -> str:
    """Return the name of a call's capture file: safe in any file system, and different for different calls."""
    name = call.removesuffix(".")  # our own ids end so, lest one be the beginning of another
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)[:80]
    if safe != name or not safe or safe.startswith("."):
        # Ids that differ only in what was replaced or cut must not share a file.
        safe = f"call-{safe}-{hashlib.sha256(call.encode('utf-8', 'replace')).hexdigest()[:8]}"
    return f"{safe}.{kind}"


def write_capture(path: Path, streams: Sequence[CapturedStream], comment: str) -> int:
    """Write streams as one pcapng file that Wireshark opens with RTP decoded; return the number of packets.

    Parameters
    ----------
    path
        The file; its folder is made if need be.
    streams
        Both directions of all legs of a call.
    comment
        What is wrong with the call; shown as the comment of the first packet.

    Notes
    -----
    Times are written to the microsecond. A packet whose payload was not kept is cut, as with a snapshot length. The
    first packet after a gap in the sequence numbers carries a comment.
    """
    # Imported only here: it takes some 0.2 s, and most runs write no capture.
    from scapy.utils import PcapNgWriter

    path.parent.mkdir(parents=True, exist_ok=True)
    frames = sorted((frame for stream in streams for frame in _frames(stream)), key=lambda frame: frame.time_ns)
    start_ns = frames[0].time_ns if frames else 0
    with PcapNgWriter(str(path)) as writer:
        announcement = _announcement(streams, start_ns, comment)
        # A packet object: from its class scapy knows the link type, which bytes would not tell.
        writer.write_header(_network_packet(*announcement.route, 0))
        for frame in (announcement, *frames):
            datagram = frame.datagram()
            writer.write_packet(datagram, sec=frame.time_ns / _NS_PER_S, wirelen=len(datagram) + frame.cut_bytes)
    return len(frames)


class _Datagram(bytes):
    """What scapy writes as it is, with its comments."""

    comments: list[bytes]


@dataclass(frozen=True)
class _Frame:
    """One datagram to be written; ``cut_bytes`` of its end were not kept."""

    time_ns: int
    source: Address
    destination: Address
    content: bytes
    cut_bytes: int = 0
    comments: tuple[str, ...] = ()

    @property
    def route(self) -> tuple[Address, Address]:
        """From where to where."""
        return self.source, self.destination

    def datagram(self) -> _Datagram:
        """Return the datagram for scapy; its lengths tell what was on the wire."""
        header = _network_header(*self.route, len(self.content) + self.cut_bytes)
        datagram = _Datagram(header + self.content)
        datagram.comments = [_comment(text) for text in self.comments]
        return datagram


@lru_cache(maxsize=256)
def _network_header(source: Address, destination: Address, content_bytes: int) -> bytes:
    """Return the headers of a datagram; scapy is slow, and those of a stream are mostly alike."""
    return bytes(_network_packet(source, destination, content_bytes))


def _network_packet(source: Address, destination: Address, content_bytes: int) -> Any:
    """Return IP and UDP of a datagram that carries so many bytes, without a UDP checksum."""
    from scapy.layers.inet import IP, UDP

    udp_bytes = _UDP_BYTES + content_bytes
    network = IP(src=source[0], dst=destination[0], len=_IP_BYTES + udp_bytes)
    # RFC 768: 0 says that there is no checksum; over a payload that is cut a right one cannot be made.
    return network / UDP(sport=source[1], dport=destination[1], len=udp_bytes, chksum=0)


def _comment(text: str) -> bytes:
    """Return a comment that is printable and short enough for the format, which counts its bytes with 16 bits."""
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return shown[:_LONGEST_COMMENT].encode("utf-8")


def _frames(stream: CapturedStream) -> Iterator[_Frame]:
    """Yield the packets of a stream; the first one after a gap says so."""
    packets = stream.packets
    sequence: NDArray[np.int64] = packets.header["sequence"].astype(np.int64)
    # As many steps as packets; the first one's has no meaning and is left out below.
    steps = np.diff(sequence, prepend=0) % _SEQUENCES
    for row in range(len(packets)):
        payload = packets.payload[row, : packets.length[row]].tobytes()
        missing = int(steps[row]) - 1
        gap = row > 0 and 0 < missing < _LARGEST_GAP
        yield _Frame(
            int(packets.time_ns[row]),
            stream.source,
            stream.destination,
            packets.header[row].tobytes() + payload,
            int(packets.length[row]) - len(payload),
            (f"{missing} packet{'s' * (missing > 1)} missing before this one",) if gap else (),
        )


def _announcement(streams: Sequence[CapturedStream], time_ns: int, comment: str) -> _Frame:
    """Return a session announcement (RFC 2974) with an SDP body (RFC 8866) that names every stream's port and codec."""
    # A stream without packets has no payload type to announce.
    types = [(stream, int(stream.packets.header["marker_and_type"][0]) & 0x7F) for stream in streams if stream.packets]
    body = "".join(
        f"m=audio {stream.destination[1]} RTP/AVP {number}\r\n"
        f"c=IN IP4 {stream.destination[0]}\r\na=rtpmap:{number} {stream.encoding}\r\n"
        for stream, number in types
    )
    session = f"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=pytest-ari-sla\r\nt=0 0\r\n{body}"
    content = _SAP_HEADER + b"application/sdp\0" + session.encode()
    address = (_ANNOUNCEMENT_GROUP, _ANNOUNCEMENT_PORT)
    remark = "Not from the network: it tells Wireshark where RTP is, and which codec."
    return _Frame(time_ns, ("127.0.0.1", _ANNOUNCEMENT_PORT), address, content, comments=(comment, remark))
