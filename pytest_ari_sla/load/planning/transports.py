"""Which transport each leg of a call travels by, and which codecs those carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.hookspecs.topology import SipTopology
from pytest_ari_sla.media.joined_transport import JoinedMedia
from pytest_ari_sla.media.transport import ChoosyTransport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.hookspecs.topology import Topology
    from pytest_ari_sla.media.call_media import CallMedia
    from pytest_ari_sla.media.transport import MediaTransport

__all__ = ["carriers", "check_codecs", "transport_of_load", "usual_codec"]


def transport_of_load(topology: Topology, transport: MediaTransport, other: MediaTransport | None) -> MediaTransport:
    """Return what carries the legs of a call: the first, third … by one transport, the second, fourth … by the other.

    Raises
    ------
    UsageError
        A topology of one leg has no use for another transport.
    """
    if other is None or other is transport:
        return transport
    legs = len(topology.heard_leg)
    if legs == 1:
        raise UsageError(
            f"topology {topology.name!r} has one leg at the load generator: other_transport={other.name!r} has none"
        )
    return JoinedMedia((transport, other), [place % 2 for place in range(legs)])


def carriers(transport: MediaTransport, legs: int) -> list[MediaTransport]:
    """Return what carries each of the legs of a call at the load generator."""
    return transport.by_place() if isinstance(transport, JoinedMedia) else [transport] * legs


def usual_codec(transports: Sequence[MediaTransport], default: str) -> str:
    """Return the codec of a load that names none: the most particular transport's."""
    wanted = [one.usual_codec for one in transports if isinstance(one, ChoosyTransport)]
    return next((name for name in wanted if name != default), default)


def check_codecs(transport: MediaTransport, media: CallMedia, topology: Topology) -> None:
    """Look whether each leg's transport carries its codec.

    Raises
    ------
    UsageError
        One does not, and why.
    """
    if isinstance(topology, SipTopology) and topology.calls_by_sip:
        return  # each side says in its session description which payload type means what
    for place, carrier in enumerate(carriers(transport, len(media))):
        refusal = carrier.refusal(media.voice(place).codec) if isinstance(carrier, ChoosyTransport) else ""
        if refusal:
            raise UsageError(refusal)
