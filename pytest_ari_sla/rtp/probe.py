"""The probe: 16 bytes at a payload's start that tell which packet came back.

Asterisk gives every stream a new SSRC and new sequence numbers, but passes payloads on byte for byte as long as it
neither mixes nor transcodes. So the stamp is what identifies a packet; the audio behind it is left as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["MAGIC", "PROBE", "PROBE_BYTES", "read", "stamp_view", "write"]

PROBE = np.dtype([("magic", ">u4"), ("nonce", ">u4"), ("leg", ">u4"), ("number", ">u4")])
"""A probe, in network byte order; 32 bits number the packets of 2.7 years at 20 ms."""

PROBE_BYTES = PROBE.itemsize
MAGIC = 0x9E53A11C
"""First word of every probe: unlike silence and tones in any codec (no repeated bytes)."""


def stamp_view(payload: NDArray[np.uint8]) -> NDArray[np.void]:
    """Return the probes of (n, width) payload rows as an (n,) PROBE view, for reading and writing.

    Raises
    ------
    ValueError
        When a payload has no room for a probe.
    """
    if payload.shape[1] < PROBE_BYTES:
        message = f"a payload of {payload.shape[1]} bytes cannot hold a probe of {PROBE_BYTES}"
        raise ValueError(message)
    view: NDArray[np.void] = payload[:, :PROBE_BYTES].view(PROBE)[:, 0]
    return view


def write(payload: NDArray[np.uint8], nonce: int, legs: ArrayLike, numbers: ArrayLike) -> None:
    """Stamp (n, width) payload rows in place.

    Parameters
    ----------
    payload
        (n, width) uint8; may be a view of columns of a wider arena.
    nonce
        The run's number, 32 bits: a probe of another run is none of ours.
    legs, numbers
        Sending leg, and number of the packet among that leg's: (n,) or one value for all.

    Raises
    ------
    ValueError
        When a payload has no room for a probe.
    """
    stamps = stamp_view(payload)
    stamps["magic"] = MAGIC
    stamps["nonce"] = nonce
    stamps["leg"] = legs
    stamps["number"] = numbers


def read(
    payload: NDArray[np.uint8], lengths: NDArray[np.int32], nonce: int, legs: int = 1 << 31
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Find the probes of a batch.

    Parameters
    ----------
    payload
        (n, width) uint8. Payloads, one a row.
    lengths
        (n,) int32. Bytes of each payload; a stamp beyond it is left over from earlier use and does not count.
    nonce
        The run's number.
    legs
        Number of legs there are: a stamp with a higher one is damaged, and does not count.

    Returns
    -------
    source_leg, probe
        (n,) int32 and (n,) int64: the sending leg and the packet's number; -1 where there is no probe.
    """
    source_leg = np.full(len(payload), -1, np.int32)
    probe = np.full(len(payload), -1, np.int64)
    if payload.shape[1] < PROBE_BYTES:
        return source_leg, probe
    stamps = stamp_view(payload)
    is_ours = (
        (stamps["magic"] == MAGIC) & (stamps["nonce"] == nonce) & (lengths >= PROBE_BYTES) & (stamps["leg"] < legs)
    )
    # Unsafe in name only: what is copied is below 2**31.
    np.copyto(source_leg, stamps["leg"], where=is_ours, casting="unsafe")
    np.copyto(probe, stamps["number"], where=is_ours)
    return source_leg, probe
