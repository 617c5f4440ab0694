"""Every row of the table of evidence, by a call that it decides on and by one that an earlier row takes."""

from __future__ import annotations

import pytest

from pytest_ari_sla import errors
from pytest_ari_sla.blame import rules
from pytest_ari_sla.blame.evidence import (
    HUNG_UP,
    PEER_FAULT,
    SCRIPT_FAILED,
    CallEvidence,
    Incident,
    IncidentKind,
    LoadEvidence,
    earliest,
)
from pytest_ari_sla.blame.rules import RULES, Blame, blame_for, is_bad
from pytest_ari_sla.blame.sentences import groups_of, sentence
from pytest_ari_sla.blame.sides import Side

LIFE = {"started_s": 10.0, "ended_s": 20.0}


def failed(cause: str, **more: object) -> CallEvidence:
    """Return a call that was not established."""
    return CallEvidence("failed", cause, **{**LIFE, **more})  # type: ignore[arg-type] # by their names


def dropped(cause: str = HUNG_UP, **more: object) -> CallEvidence:
    """Return a call that ended too early."""
    return CallEvidence("dropped", cause, **{**LIFE, **more})  # type: ignore[arg-type] # likewise


def ended(**more: object) -> CallEvidence:
    """Return a call that ended by its plan."""
    return CallEvidence("ended", "", **{**LIFE, **more})  # type: ignore[arg-type] # likewise


def when(kind: str, from_s: float = 15.0, until_s: float = 16.0, words: str = "how") -> LoadEvidence:
    """Return a load in which one thing happened."""
    return LoadEvidence((Incident(IncidentKind(kind), from_s, until_s, words),))


WELL = LoadEvidence()
ROWS = [
    (dropped("AsteriskCrashed"), when("asterisk ended"), Side.ASTERISK, "lost to Asterisk's end at 15.0 s (how)"),
    (dropped(), when("asterisk ended", 24), Side.ASTERISK, "lost to Asterisk's end at 24.0 s (how)"),
    (failed("AriRequestFailed"), when("asterisk ended"), Side.ASTERISK, "lost to Asterisk's end at 15.0 s (how)"),
    (dropped(), when("asterisk restarted"), Side.ASTERISK, "lost to Asterisk's restart, noticed at 15.0 s"),
    (dropped(), when("application ended"), Side.APPLICATION, "lost to the end of the application at 15.0 s (how)"),
    (dropped("MediaLoopFailed"), when("generator broke"), Side.GENERATOR, "lost to an end of our own at 15.0 s (how)"),
    (ended(was_heard=False), when("out of files"), Side.GENERATOR, "kept from their media at 15.0 s (how)"),
    (
        failed("ChannelLost", was_heard=None),
        when("out of files"),
        Side.GENERATOR,
        "kept from their media at 15.0 s (how)",
    ),
    (dropped("ApplicationTaken"), WELL, Side.OTHER_PROGRAM, "lost to another program that took our Stasis application"),
    (ended(sent=9, lost=1), when("relay stall"), Side.GENERATOR, "hit by a standstill of our own at 15.0 s (how)"),
    (ended(was_heard=False), when("echo stall"), Side.GENERATOR, "hit by a standstill of our own at 15.0 s (how)"),
    (failed("AriTimeout"), when("measuring stall"), Side.GENERATOR, "hit by a standstill of our own at 15.0 s (how)"),
    (ended(sent=9, lost=1), when("ari silent"), Side.ASTERISK, "hit by Asterisk's standstill from 15.0 s to 16.0 s"),
    (failed("AriTimeout"), when("ari silent"), Side.CONTROL_PLANE, "hit by ARI's silence from 15.0 s to 16.0 s"),
    (failed("AriTimeout"), when("channels locked"), Side.CONTROL_PLANE, "hit by locked channels from 15.0 s to 16.0 s"),
    (failed("AriRequestFailed"), WELL, Side.CONTROL_PLANE, "refused by ARI"),
    (failed("AnswerDamaged"), WELL, Side.NETWORK, "cut off from ARI"),
    (failed("AriTimeout"), WELL, Side.CONTROL_PLANE, "kept waiting by ARI"),
    (failed("ChannelLost"), WELL, Side.CONTROL_PLANE, "ended by Asterisk before they were up"),
    (failed("CallNotAnswered"), WELL, Side.APPLICATION, "not answered"),
    (dropped(SCRIPT_FAILED), WELL, Side.APPLICATION, "not served as their script says"),
    (dropped(is_scripted=True), WELL, Side.APPLICATION, "not served as their script says"),
    (dropped(), WELL, Side.ASTERISK, "hung up by Asterisk"),
    (ended(was_heard=False), LoadEvidence(nobody_was_heard=True), Side.NETWORK, "never heard, like all others"),
    (ended(was_heard=False), WELL, Side.MEDIA, "never heard, while others were"),
    (ended(sent=9, lost=1, delay_p99_s=1.2), WELL, Side.MEDIA, "heard late, and with packets lost"),
    (ended(sent=9, lost=1, delay_p99_s=0.3), WELL, Side.NETWORK, "heard in time, but with packets lost"),
    (failed("SlaError"), WELL, Side.UNKNOWN, "bad for a reason that no evidence tells"),
]


@pytest.mark.parametrize(("call", "load", "side", "why"), ROWS)
def test_a_bad_call_is_blamed_by_the_first_evidence_that_holds(
    call: CallEvidence, load: LoadEvidence, side: Side, why: str
) -> None:
    """And says so in its words."""
    assert is_bad(call)
    assert blame_for(call, load) == Blame(side, why)


def test_every_row_of_the_table_decides_on_some_call() -> None:
    """None stands behind one that takes all its calls."""
    deciding = [next(rule for rule in RULES if rule.holds(call, load)) for call, load, *_ in ROWS]
    assert set(map(id, deciding)) == set(map(id, RULES))


@pytest.mark.parametrize(
    ("call", "load", "side"),
    [
        (dropped(), when("asterisk restarted", 40), Side.ASTERISK),
        (failed("AriTimeout"), when("ari silent", 30, 40), Side.CONTROL_PLANE),
        (failed("AriRequestFailed"), when("measuring stall"), Side.CONTROL_PLANE),
        (dropped(), when("media stall"), Side.ASTERISK),
        (dropped(), when("out of files"), Side.ASTERISK),
        (ended(sent=9, lost=1), when("channels locked"), Side.NETWORK),
    ],
)
def test_what_happened_at_another_time_or_to_others_is_no_evidence(
    call: CallEvidence, load: LoadEvidence, side: Side
) -> None:
    """A restart long after a call, a stall of ours where ARI refused, locked channels where packets were lost."""
    found = blame_for(call, load)
    assert found.side is side
    assert "15.0" not in found.why
    assert "40.0" not in found.why


@pytest.mark.parametrize(
    ("call", "any_loss", "bad"),
    [
        (ended(sent=1000, lost=9), False, False),
        (ended(sent=1000, lost=9), True, True),
        (ended(sent=1000, lost=10), False, True),
        (ended(), True, False),
        (ended(was_heard=None), True, False),
        (CallEvidence("cancelled", "AriTimeout"), True, False),
        (CallEvidence("ended", PEER_FAULT, was_heard=False), True, False),
    ],
)
def test_a_call_is_bad_where_somebody_must_be_to_blame(call: CallEvidence, any_loss: bool, bad: bool) -> None:
    """Not where it was ended by us, or spoiled on purpose."""
    assert is_bad(call, any_loss=any_loss) is bad


def test_every_error_that_can_end_a_call_has_its_row() -> None:
    """Errors of Asterisk and the network fail calls; each is named in the table, by itself or by what it is."""
    names = {
        name
        for group in (rules._REFUSED, rules._GONE, rules._UNREACHABLE, rules._APPLICATION, rules._GENERATOR)
        for name in group
    } | {"AriTimeout", "ChannelLost", "CallNotAnswered", "ApplicationTaken"}
    # These are raised of a whole load, never in a call.
    of_loads = {"AsteriskStalled", "MediaUnreachable", "SimulatorStartFailed"}
    kinds = (errors.TargetError, errors.NetworkError, errors.HarnessError, errors.ApplicationCrashed)
    known = {name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, kinds)}
    assert known - of_loads == names - {"ApplicationTaken"}


def test_what_several_shards_tell_of_one_incident_is_one() -> None:
    """The first that told of it counts; another time is another incident."""
    kind = IncidentKind.ARI_SILENT
    told = [Incident(kind, 2.0, 5.0), Incident(kind, 1.0, 5.0), Incident(kind, 7.0, 9.0)]
    assert earliest(told) == (Incident(kind, 1.0, 5.0), Incident(kind, 7.0, 9.0))


def test_bad_calls_are_told_in_groups_the_largest_first() -> None:
    """In one sentence, with who is to blame."""
    stop, stall = Blame(Side.ASTERISK, "lost to Asterisk's restart"), Blame(Side.GENERATOR, "hit by a standstill")
    groups = [(blame.side.value, blame.why, calls) for blame, calls in groups_of([stall, stop, stop])]
    assert sentence(groups, 50) == (
        "3 of 50 calls are bad: 2 lost to Asterisk's restart (at fault: Asterisk), 1 hit by a standstill "
        "(at fault: this tool)"
    )
    assert sentence([], 50) == ""
    many = [("Asterisk", f"reason {number}", 1) for number in range(6)]
    assert sentence(many, 6).endswith(", 2 for other reasons")


def test_every_error_names_a_side() -> None:
    """Errors and blame use the same words."""
    sides = {side.value for side in Side}
    assert {kind.culprit for kind in vars(errors).values() if hasattr(kind, "culprit")} <= sides
