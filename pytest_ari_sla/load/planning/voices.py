"""What the legs of a call say: chosen by the topology, encoded by the codecs of the load."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_ari_sla.codecs.speech import dialling, frames
from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.hookspecs.codec import Voice
from pytest_ari_sla.hookspecs.topology import DecodingTopology
from pytest_ari_sla.media.call_media import CallMedia

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_ari_sla.callers.audio import CompiledScript
    from pytest_ari_sla.hookspecs.codec import Codec
    from pytest_ari_sla.hookspecs.topology import Topology

__all__ = ["call_media", "echo_media", "scripted_media", "with_options"]

ALWAYS = (0, 1)
"""The turn of one who need not wait for others."""

LOOP_S = 10.0
TURN_S = 2.0
"""How long one speaks where the legs of a call speak in turn."""


def with_options(topology: Topology, options: Mapping[str, Any]) -> Topology:
    """Return a topology with some of its fields set.

    Raises
    ------
    UsageError
        It has no such field, or refuses the value.
    """
    if not options:
        return topology
    prototype: Any = topology
    known = [field.name for field in fields(prototype) if field.init] if is_dataclass(prototype) else []
    unknown = ", ".join(sorted(options.keys() - known))
    if unknown:
        offered = f"its options are {', '.join(known)}" if known else "it has no options"
        raise UsageError(f"neither load() nor topology {topology.name!r} knows {unknown}; {offered}")
    varied: Topology = replace(prototype, **options)
    return varied


def echo_media(codec: Codec, packet_time_ms: int) -> CallMedia:
    """Return what a call of one leg says that hears itself."""
    return CallMedia(heard_leg=(0,), voices=(_voice(codec, packet_time_ms, ALWAYS, ""),))


def call_media(
    topology: Topology, codec: Codec, other_codec: Codec | None, packet_time_ms: int, digits: str = ""
) -> CallMedia:
    """Return what the legs of each call say and hear.

    Parameters
    ----------
    topology
        Whether its legs speak two codecs, and in turn.
    codec, other_codec
        The codecs; the second one for topologies that use two.
    packet_time_ms
        One of the packet times of both.
    digits
        DTMF digits that every leg dials as tones, instead of speech and probes.

    Raises
    ------
    UsageError
        There is a codec too many or too few, or digits where they cannot be told.
    """
    heard_leg = tuple(topology.heard_leg)
    audio_legs: Sequence[Sequence[int]] = [(leg,) if leg >= 0 else () for leg in heard_leg]
    leg_codecs: Sequence[int] = (0,) * len(heard_leg)
    if isinstance(topology, DecodingTopology):
        audio_legs, leg_codecs = topology.audio_legs, topology.leg_codecs
    _check_second(topology, other_codec, wanted=any(leg_codecs))
    takes_turns = max(map(len, audio_legs)) > 1
    if takes_turns and digits:
        raise UsageError(f"digits={digits!r}: in topology {topology.name!r} several legs are heard dialling at once")
    kinds = [(number, (leg, len(heard_leg)) if takes_turns else ALWAYS) for leg, number in enumerate(leg_codecs)]
    distinct = list(dict.fromkeys(kinds))
    codecs = (codec, other_codec or codec)
    return CallMedia(
        # A probe would be heard as a click in a tone.
        heard_leg=(-1,) * len(heard_leg) if digits else heard_leg,
        voices=tuple(_voice(codecs[number], packet_time_ms, turn, digits) for number, turn in distinct),
        voice_of_leg=tuple(distinct.index(kind) for kind in kinds),
        audio_legs=tuple(map(tuple, audio_legs)),
    )


def scripted_media(topology: Topology, script: CompiledScript) -> CallMedia:
    """Return what the leg of each call says that follows a script: silence at first. It hears whoever it has called.

    Raises
    ------
    UsageError
        The topology has more legs than one.
    """
    if len(topology.heard_leg) != 1:
        raise UsageError(f"topology {topology.name!r} has {len(topology.heard_leg)} legs: a script is followed by one")
    return CallMedia(heard_leg=(-1,), voices=tuple(script.voices), voice_of_leg=(0,), audio_legs=((),))


def _check_second(topology: Topology, other_codec: Codec | None, *, wanted: bool) -> None:
    if wanted and other_codec is None:
        raise UsageError(f"topology {topology.name!r} uses two codecs: load(codec=…, other_codec=…)")
    if other_codec is not None and not wanted:
        raise UsageError(f"topology {topology.name!r} uses one codec: other_codec={other_codec.name!r} has no leg")


def _voice(codec: Codec, packet_time_ms: int, turn: tuple[int, int], digits: str) -> Voice:
    if digits:
        return Voice(codec, dialling(codec, packet_time_ms, digits), digits.upper())
    seconds = LOOP_S if turn == ALWAYS else TURN_S * turn[1]
    return Voice(codec, frames(codec, packet_time_ms, seconds, turn=turn))
