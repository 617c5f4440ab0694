"""The table of evidence: what is found, who is to blame for a bad call then, and in which words.

The first rule that holds decides. So what hit the whole load comes first, the most certain before what may follow from
it; then how the call itself ended; then its packets. ``python -m tests.blame_page`` writes the table into the docs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_ari_sla.blame.evidence import HUNG_UP, PEER_FAULT, SCRIPT_FAILED, CallEvidence, IncidentKind, LoadEvidence
from pytest_ari_sla.blame.sides import Side

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_ari_sla.blame.evidence import Incident

__all__ = ["BAD_LOSS_RATIO", "FIGURES", "LATE_S", "RULES", "Blame", "Rule", "blame_for", "is_bad", "side_of_figure"]

BAD_LOSS_RATIO = 0.01
"""A call that lost so much of its packets, or more, is a bad one."""

LATE_S = 1.0
"""A socket of Asterisk's holds 277 packets, 5.5 s of a call: before one is lost there, others come seconds late."""

NOTICED_S = 6.0
"""So long after its calls have ended the end of an Asterisk may be noticed: hang-ups come first, then refusals."""

# Errors by name: a call's evidence comes as text from the process that made it.
_REFUSED = ("AriRequestFailed", "AriAuthenticationFailed", "NotAnAsterisk", "TargetIncomplete", "TargetTooSmall")
_GONE = ("TargetError", "AsteriskCrashed", "AsteriskStartFailed")
_UNREACHABLE = ("AriUnreachable", "AnswerDamaged", "TlsFailed", "EventStreamLost", "NetworkError")
_APPLICATION = ("ApplicationCrashed", "ApplicationFailed")
_GENERATOR = (
    *("HarnessError", "MediaLoopFailed", "SimulatorCrashed", "ShardLost"),
    *("PortsExhausted", "HostLimit", "OpenFilesLimit"),
)
# What a standstill of whoever should have acted looks like from a call.
_WAITED = ("AriTimeout", "ChannelLost", "CallNotAnswered", SCRIPT_FAILED)


@dataclass(frozen=True)
class Blame:
    """Who is to blame for a bad call, and why, as the rest of "2 calls …"."""

    side: Side
    why: str


@dataclass(frozen=True)
class Rule:
    """A row of the table.

    Attributes
    ----------
    evidence
        What is found, for a reader.
    side
        Who is to blame then.
    why
        The rest of "2 calls …"; ``{from_s}`` and ``{until_s}`` are when an incident was, and ``{words}`` what is known.
    holds
        Whether it is found; what is returned fills the words in.
    """

    evidence: str
    side: Side
    why: str
    holds: Callable[[CallEvidence, LoadEvidence], Incident | bool | None]


FIGURES: tuple[tuple[str, Side], ...] = (
    ("harness.", Side.GENERATOR),
    ("ari.", Side.CONTROL_PLANE),
    ("target.stall", Side.CONTROL_PLANE),
    ("target.leftovers", Side.APPLICATION),
    ("target.", Side.ASTERISK),
    ("script.", Side.APPLICATION),
    ("greeting", Side.APPLICATION),
    ("turn", Side.APPLICATION),
    ("barge_in", Side.APPLICATION),
    ("dead_air", Side.APPLICATION),
    ("talk_over", Side.APPLICATION),
)
"""Whose fault a broken limit is by itself, by how its metric's name begins, the first that fits."""


def side_of_figure(metric: str) -> Side | None:
    """Return whose fault it is where a metric breaks its limit; None where that takes more evidence."""
    return next((side for beginning, side in FIGURES if metric.startswith(beginning)), None)


def is_bad(call: CallEvidence, *, any_loss: bool = False) -> bool:
    """Tell whether somebody is to blame for a call; ``any_loss``: a limit of loss was broken, so each packet counts."""
    if call.state == "cancelled" or call.cause == PEER_FAULT:
        return False
    # Not by ratio alone: of a call that sent nothing, 0 lost would be as many as 1 % of 0.
    lost = call.lost > 0 and (any_loss or call.lost >= BAD_LOSS_RATIO * call.sent)
    return call.has_ended_badly or lost or call.was_heard is False


def blame_for(call: CallEvidence, load: LoadEvidence) -> Blame:
    """Return who is to blame for a bad call."""
    # In the order of the table: a later rule may hold as well, of what follows from an earlier one.
    for rule in RULES:
        if found := rule.holds(call, load):
            return Blame(rule.side, rule.why if found is True else _filled(rule.why, found))
    raise AssertionError("the last rule always holds")


def _filled(why: str, incident: Incident) -> str:
    return why.format(from_s=f"{incident.from_s:.1f} s", until_s=f"{incident.until_s:.1f} s", words=incident.words)


def _caused_by(*names: str) -> Callable[[CallEvidence, LoadEvidence], bool]:
    return lambda call, load: call.cause in names


def _ended_by(kind: IncidentKind, *names: str) -> Callable[[CallEvidence, LoadEvidence], Incident | None]:
    """Hold for a call that ended badly when something happened that ends calls, or by what that is told as."""

    def holds(call: CallEvidence, load: LoadEvidence) -> Incident | None:
        # Of a call that the end took, only the first thing noticed is told: a hang-up, a refusal, a time-out.
        is_of_it = call.cause in names or call.has_ended_badly
        return load.during(call, kind, before_s=NOTICED_S) if is_of_it else None

    return holds


def _waited_in(kind: IncidentKind) -> Callable[[CallEvidence, LoadEvidence], Incident | None]:
    """Hold for a call that ended badly since something did not happen in time."""
    return lambda call, load: load.during(call, kind) if call.cause in _WAITED else None


def _starved_in(*kinds: IncidentKind) -> Callable[[CallEvidence, LoadEvidence], Incident | None]:
    """Hold for a call of which packets are missing, or that waited in vain."""

    def holds(call: CallEvidence, load: LoadEvidence) -> Incident | None:
        if not (call.lost or call.was_heard is False or call.cause in _WAITED):
            return None
        return next((found for kind in kinds if (found := load.during(call, kind))), None)

    return holds


def _unheard_in(kind: IncidentKind) -> Callable[[CallEvidence, LoadEvidence], Incident | None]:
    """Hold for a call of which no packet came back, or that ended before one was to come."""

    def holds(call: CallEvidence, load: LoadEvidence) -> Incident | None:
        is_unheard = call.was_heard is False or (call.was_heard is None and call.has_ended_badly)
        return load.during(call, kind, before_s=NOTICED_S) if is_unheard else None

    return holds


RULES: tuple[Rule, ...] = (
    Rule(
        "Asterisk ended by itself, or neither its ARI nor its packets come any more; the call ended with it",
        Side.ASTERISK,
        "lost to Asterisk's end at {from_s} ({words})",
        _ended_by(IncidentKind.ASTERISK_ENDED, *_GONE),
    ),
    Rule(
        "Asterisk's start time changed; the call had ended by then",
        Side.ASTERISK,
        "lost to Asterisk's restart, noticed at {from_s}",
        _ended_by(IncidentKind.ASTERISK_RESTARTED),
    ),
    Rule(
        "the application under test, started for the run, ended by itself; the call ended with it",
        Side.APPLICATION,
        "lost to the end of the application at {from_s} ({words})",
        _ended_by(IncidentKind.APPLICATION_ENDED, *_APPLICATION),
    ),
    Rule(
        "a process of this tool ended in mid-load; the call ended with it",
        Side.GENERATOR,
        "lost to an end of our own at {from_s} ({words})",
        _ended_by(IncidentKind.GENERATOR_BROKE, *_GENERATOR),
    ),
    Rule(
        "this tool had no more open files or local ports for a call's connection, and the call was not heard",
        Side.GENERATOR,
        "kept from their media at {from_s} ({words})",
        _unheard_in(IncidentKind.OUT_OF_FILES),
    ),
    Rule(
        "another program registered our Stasis application",
        Side.OTHER_PROGRAM,
        "lost to another program that took our Stasis application",
        _caused_by("ApplicationTaken"),
    ),
    # Our own standstills before Asterisk's: while we stand still, others seem to do so as well.
    Rule(
        "the relay or the echo server stood still in the call's life, and packets of it are missing",
        Side.GENERATOR,
        "hit by a standstill of our own at {from_s} ({words})",
        _starved_in(IncidentKind.RELAY_STALL, IncidentKind.ECHO_STALL, IncidentKind.MEDIA_STALL),
    ),
    Rule(
        "the process that makes the calls stood still, and the call waited in vain",
        Side.GENERATOR,
        "hit by a standstill of our own at {from_s} ({words})",
        _waited_in(IncidentKind.MEASURING_STALL),
    ),
    Rule(
        "ARI answered no request at all for 3 s or longer, and packets of the call are missing as well",
        Side.ASTERISK,
        "hit by Asterisk's standstill from {from_s} to {until_s}",
        lambda call, load: load.during(call, IncidentKind.ARI_SILENT) if call.lost or call.was_heard is False else None,
    ),
    Rule(
        "ARI answered no request at all for 3 s or longer, and the call waited in vain",
        Side.CONTROL_PLANE,
        "hit by ARI's silence from {from_s} to {until_s}",
        _waited_in(IncidentKind.ARI_SILENT),
    ),
    Rule(
        "requests that need a channel's lock hung for 2 s or longer while others were answered, and the call waited",
        Side.CONTROL_PLANE,
        "hit by locked channels from {from_s} to {until_s}",
        _waited_in(IncidentKind.CHANNELS_LOCKED),
    ),
    Rule(
        "ARI answered a request of the call with an error",
        Side.CONTROL_PLANE,
        "refused by ARI",
        _caused_by(*_REFUSED),
    ),
    Rule(
        "ARI could not be reached, its answer was cut off, or its events ended",
        Side.NETWORK,
        "cut off from ARI",
        _caused_by(*_UNREACHABLE),
    ),
    Rule(
        "ARI did not answer in time, or a channel did not do in time what it was told to, and nothing else stood still",
        Side.CONTROL_PLANE,
        "kept waiting by ARI",
        _caused_by("AriTimeout"),
    ),
    Rule(
        "a channel ended before the call was up",
        Side.CONTROL_PLANE,
        "ended by Asterisk before they were up",
        _caused_by("ChannelLost"),
    ),
    Rule(
        "nobody answered the caller, though Asterisk was well",
        Side.APPLICATION,
        "not answered",
        _caused_by("CallNotAnswered"),
    ),
    Rule(
        "the caller's script could not go on, or the application hung up",
        Side.APPLICATION,
        "not served as their script says",
        lambda call, load: call.cause == SCRIPT_FAILED or (call.cause == HUNG_UP and call.is_scripted),
    ),
    # Only behind the rule for scripts: there it is up to the application when to hang up.
    Rule(
        "a channel was hung up before it was told to, and Asterisk was well",
        Side.ASTERISK,
        "hung up by Asterisk",
        _caused_by(HUNG_UP),
    ),
    # All calls at once before one alone: a firewall, or a media address that leads nowhere, spares none.
    Rule(
        "not one packet came back, on any call",
        Side.NETWORK,
        "never heard, like all others",
        lambda call, load: call.was_heard is False and load.nobody_was_heard,
    ),
    Rule(
        "not one packet came back on this call, while others were heard",
        Side.MEDIA,
        "never heard, while others were",
        lambda call, load: call.was_heard is False,
    ),
    Rule(
        f"packets were lost, and those that came back were late (p99 of {LATE_S:g} s or more): its sockets were full",
        Side.MEDIA,
        "heard late, and with packets lost",
        lambda call, load: call.lost > 0 and (call.delay_p99_s or 0.0) >= LATE_S,
    ),
    Rule(
        "packets were lost, and those that came back were in time",
        Side.NETWORK,
        "heard in time, but with packets lost",
        lambda call, load: call.lost > 0,
    ),
    Rule(
        "none of this",
        Side.UNKNOWN,
        "bad for a reason that no evidence tells",
        lambda call, load: True,
    ),
)
