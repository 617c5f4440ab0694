"""What a load's figures mean where something went wrong, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.ari_client.removal.ownership import call_of
from pytest_ari_sla.blame.evidence import Incident, IncidentKind
from pytest_ari_sla.blame.sentences import at_fault
from pytest_ari_sla.blame.sides import Side
from pytest_ari_sla.errors import (
    ApplicationCrashed,
    ApplicationFailed,
    AriUnreachable,
    ChannelLost,
    HarnessError,
    MediaUnreachable,
    TargetError,
)
from pytest_ari_sla.load.calls.call import CONTINUED
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.units import counted
from pytest_ari_sla.sla.guards import stalled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.ari_client.removal.cleanup import CleanupReport
    from pytest_ari_sla.ari_client.session import AriSession
    from pytest_ari_sla.load.results.outcome import CallOutcome, LoadOutcome
    from pytest_ari_sla.media.caller_worker import CallerWorker
    from pytest_ari_sla.media.transport import MediaSite

__all__ = ["check_media", "incident_of", "left_behind", "stood_still", "told_by"]


_INCIDENTS = (
    ((ApplicationCrashed, ApplicationFailed), IncidentKind.APPLICATION_ENDED),
    ((TargetError, AriUnreachable), IncidentKind.ASTERISK_ENDED),
    ((HarnessError,), IncidentKind.GENERATOR_BROKE),
)
"""What ends a whole load, the most special error first."""


def check_media(outcome: LoadOutcome, caller: CallerWorker, site: MediaSite) -> None:
    """Say so where calls came up, and nothing was ever heard on them.

    Raises
    ------
    MediaUnreachable
        Calls were established and streamed, but not one packet came back.
    ChannelLost
        That was so because Asterisk itself ended all of them.
    """
    total = outcome.total
    established = total.count("calls.established")
    if not established or caller.packets_received > _not_ours(total):
        return
    if total.count("calls.dropped") == established:
        raise ChannelLost(_all_dropped(outcome.calls))
    if caller.packets_sent:
        raise MediaUnreachable(_unreachable(total, site))


def _unreachable(total: Snapshot, site: MediaSite) -> str:
    foreign = total.count("harness.foreign_packets")
    strangers = (
        f" {counted(foreign, 'packet')} came from other addresses than Asterisk announced: is it behind NAT or in a "
        "container (--ari-asterisk-media)?"
        if foreign
        else ""
    )
    return (
        f"Asterisk accepted {counted(total.count('calls.established'), 'call')}, but not one RTP packet came back from "
        f"it: it was told to send to {site.host}; is that address, and the UDP port range "
        f"{site.ports.low}-{site.ports.high}, reachable from Asterisk "
        f"(--ari-media-host, --ari-rtp-ports, firewall)?{strangers}"
    )


def _not_ours(total: Snapshot) -> int:
    """Return how many of the datagrams that came were no packets of any leg."""
    return total.count("harness.foreign_packets") + total.count("harness.malformed_packets")


def incident_of(error: BaseException, at_s: float) -> Incident | None:
    """Return what the end of a load by an error is, for whoever lays blame; None where it says nothing of others."""
    kind = next((kind for errors, kind in _INCIDENTS if isinstance(error, errors)), None)
    words = str(error).splitlines() or [type(error).__name__]
    return None if kind is None else Incident(kind, at_s, at_s, words[0])


def stood_still(total: Snapshot) -> list[str]:
    """Return which of our own processes stood still, whatever the verdict: a pass tells it as well."""
    return [at_fault(f"{words[:1].upper()}{words[1:]}", Side.GENERATOR.value) for words in stalled(total).values()]


def left_behind(cleanup: CleanupReport) -> Snapshot:
    """Return how many calls something is left of at Asterisk, and of how many that is not known."""
    leaked = {call_of(identity) for identity in cleanup.leaked}
    unknown = {call_of(identity) for identity in cleanup.unknown} - leaked
    return Snapshot({"calls.leaked": len(leaked), "calls.left_unknown": len(unknown)})


def told_by(ari: AriSession) -> list[str]:
    """Return what the session noted, in words."""
    told = list(map(str, ari.notes))
    if ari.notes_left_out:
        told.append(f"{ari.notes_left_out:,} more notes of the ARI session were left out")
    return told


def _all_dropped(calls: Sequence[CallOutcome]) -> str:
    """Return what to look for where Asterisk ended all calls before it sent a packet."""
    dropped = [call for call in calls if call.state == "dropped"]
    continued = [event.detail for event in dropped[0].timeline if event.what == CONTINUED]
    hint = f"; they had been sent {continued[-1]}: is there such an extension, and does it stay on the line?"
    return (
        f"Asterisk hung up all {len(dropped)} calls that it had accepted, before one RTP packet came back "
        f"({dropped[0].reason}){hint if continued else ''}"
    )
