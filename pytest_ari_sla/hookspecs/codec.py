"""What a codec is, and what legs say in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pytest_ari_sla.metrics.voice_quality import CodecImpairment

__all__ = ["Codec", "Voice"]


class Codec(Protocol):
    """An audio codec as RTP carries it."""

    @property
    def name(self) -> str:
        """Name used in ``load(codec=…)`` and in reports, as IANA registers it: ``PCMU``, ``G722``."""

    @property
    def asterisk_format(self) -> str:
        """Asterisk's name of the format: ``ulaw``, ``g722``, ``slin16``."""

    @property
    def payload_type(self) -> int:
        """RTP payload type that Asterisk uses for the format, 0 to 127."""

    @property
    def clock_rate_hz(self) -> int:
        """Rate of the RTP time stamp; for G.722 this is 8000 although it samples at 16000 (RFC 3551, 4.5.2)."""

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the audio samples that :meth:`encode` takes and :meth:`decode` gives."""

    @property
    def packet_times_ms(self) -> Sequence[int]:
        """Packet times the codec can be sent with, the usual one first."""

    @property
    def impairment(self) -> CodecImpairment | None:
        """What the E-model needs to know; None where no value is known: MOS is then refused."""

    def encode(self, samples: NDArray[np.int16], packet_time_ms: int) -> NDArray[np.uint8]:
        """Encode mono audio into packets.

        Parameters
        ----------
        samples
            (k,) int16 at ``sample_rate_hz``; k is a whole number of packets.
        packet_time_ms
            One of ``packet_times_ms``.

        Returns
        -------
        (packets, bytes) uint8: one row a packet, all of one length.
        """

    def decode(self, payload: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Decode consecutive packets ((packets, bytes) uint8) into (k,) int16 samples at ``sample_rate_hz``."""


@dataclass(frozen=True, eq=False)
class Voice:
    """What some legs of a load say, and in which codec they say and hear it.

    Attributes
    ----------
    codec
        The codec of the leg's channel, both ways: Asterisk codes anew whatever another leg says in another codec.
    frames
        (frames, bytes) uint8. The encoded audio that the leg sends in turn, beginning where
        :meth:`SendLog.audio_start_ns` tells; a probe, where there is one, covers the first 16 bytes of a packet's
        frame.
    digits
        The DTMF digits that sound in the audio, in turn, once in all its frames; usually none.
    events
        Telephone events that are sent instead of some frames; None: none. See :mod:`pytest_ari_sla.rtp.event_frames`.
    """

    codec: Codec
    frames: NDArray[np.uint8]
    digits: str = ""
    events: NDArray[np.uint8] | None = None
