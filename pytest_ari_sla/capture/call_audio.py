"""What a call sounded like: both directions as the two channels of a WAV, on one time line.

Left is what we said, by the times at which it was sent; right is what we heard, by those at which it came. Packets
that come at about the time at which the last one's audio ends go on with it, lest jitter be heard as a hum; any other
begins at its own time, behind silence or over what is there.
"""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from pytest_ari_sla.capture.kept_packets import CapturedPackets, CapturedStream
    from pytest_ari_sla.hookspecs.codec import Codec

__all__ = ["MOST_S", "stereo", "write_wav"]

MOST_S: Final = 60
"""The longest WAV; of anything longer its end: a peer that hardly ever speaks sends its last packets over an hour."""

_NS_PER_S: Final = 1_000_000_000
# RFC 3550, 5.1: the octet's highest bit is the marker.
_TYPE_MASK: Final = 0x7F


def stereo(streams: Sequence[CapturedStream], codec: Codec) -> NDArray[np.int16]:
    """Return what was said and heard in a call.

    Parameters
    ----------
    streams
        Of one leg, with their payload.
    codec
        What they are coded with.

    Returns
    -------
    (samples, 2) int16 at the codec's ``sample_rate_hz``: said, and heard.

    Raises
    ------
    ValueError
        The codec cannot decode them, or not all of their payload was kept.
    """
    sides = [
        [piece for stream in streams if stream.is_sent is is_sent for piece in _pieces(stream.packets, codec)]
        for is_sent in (True, False)
    ]
    both = [piece for pieces in sides for piece in pieces]
    if not both:
        raise ValueError(f"there is no packet of {codec.name} in it")
    rate_hz = codec.sample_rate_hz
    end_ns = max(at_ns + len(samples) * _NS_PER_S // rate_hz for at_ns, samples in both)
    begin_ns = max(min(at_ns for at_ns, _ in both), end_ns - MOST_S * _NS_PER_S)
    audio = np.zeros((_place(end_ns - begin_ns, rate_hz), 2), np.int16)
    for channel, pieces in enumerate(sides):
        for at_ns, samples in pieces:
            _put(audio[:, channel], _place(at_ns - begin_ns, rate_hz), samples)
    return audio


def _pieces(packets: CapturedPackets, codec: Codec) -> Iterator[tuple[int, NDArray[np.int16]]]:
    """Yield audio without a pause in it, and when it begins; a piece for each time that there was one."""
    rows = np.flatnonzero(packets.header["marker_and_type"] & _TYPE_MASK == codec.payload_type)
    rows = rows[packets.length[rows] > 0]
    if (packets.length[rows] > packets.payload.shape[1]).any():
        raise ValueError(
            f"it has packets of {packets.length[rows].max()} bytes, of which {packets.payload.shape[1]} were kept"
        )
    waiting: list[NDArray[np.int16]] = []
    began_ns = expected_ns = 0
    for row, samples in _decoded(packets, rows, codec):
        at_ns, lasts_ns = int(packets.time_ns[row]), len(samples) * _NS_PER_S // codec.sample_rate_hz
        # Up to half a packet it is jitter; from there on more likely a pause, or a packet that is missing.
        if waiting and abs(at_ns - expected_ns) > lasts_ns // 2:
            yield began_ns, np.concatenate(waiting)
            waiting = []
        if not waiting:
            began_ns = expected_ns = at_ns
        waiting.append(samples)
        expected_ns += lasts_ns
    if waiting:
        yield began_ns, np.concatenate(waiting)


def _decoded(packets: CapturedPackets, rows: NDArray[np.intp], codec: Codec) -> Iterator[tuple[int, NDArray[np.int16]]]:
    """Yield the audio of each packet; those of one length in a row are decoded together, as codecs have a memory."""
    lengths = packets.length[rows]
    for alike in np.split(rows, np.flatnonzero(np.diff(lengths)) + 1):
        if not len(alike):
            continue
        try:
            pieces = np.split(codec.decode(packets.payload[alike, : packets.length[alike[0]]]), len(alike))
        except Exception as error:  # a plug-in's codec, or its library, may raise anything
            raise ValueError(f"{codec.name} could not be decoded: {str(error) or type(error).__name__}") from error
        yield from zip(alike.tolist(), pieces, strict=True)


def _place(after_ns: int, rate_hz: int) -> int:
    return round(after_ns * rate_hz / _NS_PER_S)


def _put(channel: NDArray[np.int16], place: int, samples: NDArray[np.int16]) -> None:
    """Write samples at a place, as far as they lie within the channel."""
    shown = samples[max(0, -place) : max(0, len(channel) - place)]
    first = max(0, place)
    channel[first : first + len(shown)] = shown


def write_wav(path: Path, channels: NDArray[np.int16], rate_hz: int) -> None:
    """Write audio of one or more channels ((samples, channels) int16)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        # WAV is little-endian, whatever this machine is.
        file.writeframes(np.ascontiguousarray(channels, "<i2").tobytes())
