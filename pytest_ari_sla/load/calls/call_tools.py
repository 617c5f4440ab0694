"""What calls are made with: the parts of a load that each of them uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.ari_client.session import AriSession
    from pytest_ari_sla.callers.conductor import Conductor
    from pytest_ari_sla.clock import Clock
    from pytest_ari_sla.hookspecs.topology import Call
    from pytest_ari_sla.load.meters.control_meter import ControlMeter
    from pytest_ari_sla.load.results.outcome import CallOutcome
    from pytest_ari_sla.media.call_media import CallMedia
    from pytest_ari_sla.media.caller_worker import CallerWorker
    from pytest_ari_sla.metrics.snapshot import Snapshot
    from pytest_ari_sla.signalling.sip import SipCaller
    from pytest_ari_sla.watch.rtp_questions import RtpQuestions

__all__ = ["CallListener", "CallTools", "RelayControl"]


class RelayControl(Protocol):
    """How calls use the relay, wherever it runs."""

    async def reserve(self, call: str) -> Address:
        """Take a call in; return the address that Asterisk shall send its media to."""

    async def connect(self, call: str, asterisk: Address) -> None:
        """Tell where Asterisk's media of this call comes from and goes to."""

    async def release(self, call: str) -> None:
        """Forget a call."""

    async def snapshot(self) -> Snapshot:
        """Return what the relay has measured on its own leg."""


class CallListener(Protocol):
    """Who is told of calls; on the event loop, so that it has to return at once."""

    def call_started(self, call: Call) -> None:
        """Take note of a call that is about to be built."""

    def call_ended(self, call: CallOutcome) -> None:
        """Take note of what came of a call."""

    def remarks(self) -> list[str]:
        """Return what a reader of the report must know."""


@dataclass(frozen=True)
class CallTools:
    """What calls are made with.

    Attributes
    ----------
    ari
        The session.
    caller
        Where their media ends.
    meter
        Where set-up times go.
    relay
        The relay; None where no topology needs one.
    media
        What the legs of a call say and hear.
    echo_extension
        Context and extension of the dialplan that runs ``Echo()``.
    clock
        The time.
    began_ns
        The load's beginning, on the monotonic clock.
    listener
        Who is told of each call.
    higher_is_better
        Names of metrics whose larger values are the better ones.
    conductor
        Lets calls follow their script; None where they have none.
    sip
        Makes calls by SIP; None where the topology makes none.
    packet_time_ms
        Of what we send.
    rtp_questions
        Asks Asterisk what it says of the RTP of calls by SIP; None where the topology makes none.
    """

    ari: AriSession
    caller: CallerWorker
    meter: ControlMeter
    relay: RelayControl | None
    media: CallMedia
    echo_extension: tuple[str, str]
    clock: Clock
    began_ns: int
    listener: CallListener
    higher_is_better: Collection[str] = ()
    conductor: Conductor | None = None
    sip: SipCaller | None = None
    packet_time_ms: int = 20
    rtp_questions: RtpQuestions | None = None

    def elapsed_ns(self) -> int:
        """Return the time since the load's beginning."""
        return self.clock.monotonic_ns() - self.began_ns
