"""What a topology is, and what it can ask of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Unpack, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_ari_sla.ari.media_offer import OfferChanges
    from pytest_ari_sla.ari_client.session import AriSession

__all__ = ["CalibratingTopology", "Call", "DecodingTopology", "Leg", "SipTopology", "Topology"]


class Leg(Protocol):
    """One media end of a call: an ExternalMedia channel at Asterisk, and a stream each way at this end."""

    @property
    def channel_id(self) -> str:
        """Id of the ExternalMedia channel."""


class Call(Protocol):
    """What a topology may do to build a call.

    Everything made through it is removed at the call's end, and so is what is made through :attr:`ari` under ids that
    begin with the call's: ``call.ari.new_id("snoop", call.id)``.
    """

    @property
    def id(self) -> str:
        """Id of the call; the ids of its channels and bridges begin with it."""

    @property
    def ari(self) -> AriSession:
        """The ARI session."""

    async def external_media(self, *, asterisk_format: str | None = None, **offer: Unpack[OfferChanges]) -> Leg:
        """Create the next leg: an ExternalMedia channel joined to the load generator, in Stasis when this returns.

        Its format is that of the leg's codec, and the other parameters (``direction``, ``data``, ``transport_data``,
        ``variables`` …) are those that the transport offers, unless others are given.
        """

    async def relay_media(self) -> Leg:
        """Create a leg whose media goes to the relay instead of the load generator."""

    async def bridge(self, *legs: Leg, bridge_type: str = "mixing") -> str:
        """Join legs in a new bridge and return its id."""

    async def dial_local(
        self, leg: Leg, extension: str, context: str, *, caller_id: str = "", variables: Mapping[str, str] | None = None
    ) -> Leg:
        """Ring at an extension by a Local channel, with a leg as the caller's voice; answered when this returns.

        The application behind the extension sees a call that comes in, in state Ring.
        """

    async def invite(
        self,
        to: str,
        *,
        caller_id: tuple[str, str] = ("", ""),
        account: tuple[str, str] = ("", ""),
        headers: Mapping[str, str] | None = None,
    ) -> Leg:
        """Create the next leg by SIP: send an INVITE to ``700``, ``700@pbx`` or ``sip:700@pbx:5060;transport=tcp``.

        The leg has been answered when this returns. ``caller_id`` is name and number, ``account`` user and password;
        empty ones are the target's.
        """

    async def continue_to_echo(self, leg: Leg) -> None:
        """Send a leg's channel to the dialplan's ``Echo()`` extension."""

    async def continue_in_dialplan(self, leg: Leg, context: str, extension: str, priority: int = 1) -> None:
        """Send a leg's channel to any extension; it has left Stasis, and media can flow, when this returns."""


class Topology(Protocol):
    """How the channels of one call are joined.

    Attributes are constants, so that the tool can check limits before the first call. The fields of a topology that is
    a dataclass can be set by a test: ``load(topology="conference", parties=5)``.
    """

    @property
    def name(self) -> str:
        """Name used in ``load(topology=…)``."""

    @property
    def heard_leg(self) -> Sequence[int]:
        """For each leg at the load generator: which leg of the same call it hears; -1 for a mix or a transcoder.

        A leg that none hears this way sends its audio whole, without probes.
        """

    @property
    def relay_legs(self) -> int:
        """Legs of one call whose media goes to the relay; 0 where there is no relay."""

    async def establish(self, call: Call) -> None:
        """Build one call; return when its media path is complete."""


@runtime_checkable
class SipTopology(Topology, Protocol):
    """A topology that may call by SIP."""

    @property
    def calls_by_sip(self) -> bool:
        """Whether it does."""


@runtime_checkable
class CalibratingTopology(Topology, Protocol):
    """A topology that may tell its media path's share of what it measures from that of whom it calls."""

    def calibration(self) -> Topology | None:
        """Return the same way to somebody who sends back what is heard, one leg that hears itself; None: none."""


@runtime_checkable
class DecodingTopology(Topology, Protocol):
    """A topology in which Asterisk decodes audio: it transcodes, mixes or copies what legs say.

    What has been decoded is found again by its sound. Where several legs are heard at once, the legs of a call speak
    in turn, so that it can be told who is heard.
    """

    @property
    def audio_legs(self) -> Sequence[Sequence[int]]:
        """For each leg: the legs of the same call whose audio arrives at it, coded anew or not."""

    @property
    def leg_codecs(self) -> Sequence[int]:
        """For each leg: 0 for the codec of ``load(codec=…)``, 1 for that of ``load(other_codec=…)``."""
