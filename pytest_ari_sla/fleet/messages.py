"""What the controller of a fleet and its workers tell each other, as bytes over an execnet channel."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = [
    "Arrive",
    "Divided",
    "EndLoad",
    "HooksIn",
    "Interrupt",
    "Judged",
    "Leave",
    "NeedTarget",
    "Progressed",
    "Refuse",
    "StopSession",
    "TargetIs",
    "TestBroken",
    "ToController",
    "ToWorker",
    "Together",
    "controller_reads",
    "encode",
    "worker_reads",
]


class NeedTarget(msgspec.Struct, frozen=True, tag="need-target"):
    """Start or look up the target; answered by :class:`TargetIs`.

    Attributes
    ----------
    other
        Whether it is the one that loads are compared against.
    """

    other: bool = False


class Refuse(msgspec.Struct, frozen=True, tag="refuse"):
    """The tests, as collected, hold a mistake: nothing shall run."""

    mistake: str


class Divided(msgspec.Struct, frozen=True, tag="divided"):
    """The node ids, of those that were collected, that are shards of a load: a user's own names may look alike."""

    nodeids: list[str]


class HooksIn(msgspec.Struct, frozen=True, tag="hooks-in"):
    """The folders, as seen from pytest's root folder, in whose ``conftest.py`` a worker has found hooks of ours."""

    folders: list[str]


class Arrive(msgspec.Struct, frozen=True, tag="arrive"):
    """Come to a step of a test; answered by :class:`Together` or :class:`TestBroken`.

    Attributes
    ----------
    test, step
        Which: the test's node id without the shard, and ``1 begin`` or ``1 result``.
    payload
        The bytes of a :class:`~pytest_ari_sla.judging.load_description.LoadDescription`, or the outcome of a load.
    needs_all
        Whether the step takes all shards.
    cut_off
        Why this shard's load was not made to its end: it makes no sense then that the others go on. Empty: it was.
    """

    test: str
    step: str
    payload: bytes
    needs_all: bool
    cut_off: str = ""


class Leave(msgspec.Struct, frozen=True, tag="leave"):
    """The shard's part of a test is over; with a reason: not as planned."""

    test: str
    reason: str = ""


class Progressed(msgspec.Struct, frozen=True, tag="progressed"):
    """Where a shard's load is; once a second.

    Attributes
    ----------
    test, number
        Which load: the first one of a test is 1.
    at_ns
        ns since its beginning.
    calls_up
        Calls that are established now.
    recent
        What happened since the last time, as a plain snapshot.
    """

    test: str
    number: int
    at_ns: int
    calls_up: int
    recent: dict[str, Any]


class Judged(msgspec.Struct, frozen=True, tag="judged"):
    """What became of the loads of a test that was cut off: pytest makes no report that could tell of it.

    Attributes
    ----------
    nodeid
        The test, or shard of one, that it is told of.
    told
        A :class:`~pytest_ari_sla.judging.judged_tests.Told` as plain built-ins.
    """

    nodeid: str
    told: dict[str, Any]


class TargetIs(msgspec.Struct, frozen=True, tag="target"):
    """The target's values; or why there is none, and whose fault that is."""

    values: dict[str, Any] = {}
    error: str = ""
    culprit: str = ""


class Together(msgspec.Struct, frozen=True, tag="together"):
    """A step is over.

    Attributes
    ----------
    test, step
        Which.
    payload
        What came of it: the merged outcome of a load; empty for a barrier.
    present
        The shards that came.
    missing
        Why the others did not.
    """

    test: str
    step: str
    payload: bytes
    present: list[int]
    missing: list[str]


class TestBroken(msgspec.Struct, frozen=True, tag="broken"):
    """A test cannot go on: a sentence that says who is missing, and why."""

    __test__ = False  # no test class, whatever pytest thinks of its name

    test: str
    reason: str


class EndLoad(msgspec.Struct, frozen=True, tag="end-load"):
    """End a load early on all shards: in good order, or since the target died, with whose fault that is."""

    test: str
    number: int
    reason: str
    culprit: str = ""


class StopSession(msgspec.Struct, frozen=True, tag="stop-session"):
    """Run no more tests."""

    reason: str


class Interrupt(msgspec.Struct, frozen=True, tag="interrupt"):
    """End the tests that run, and run no more: the user wants the session to end now."""

    reason: str


ToController = NeedTarget | Refuse | Divided | HooksIn | Arrive | Leave | Progressed | Judged
ToWorker = TargetIs | Together | TestBroken | EndLoad | StopSession | Interrupt

_encoder = msgspec.msgpack.Encoder()
_controller_decoder: msgspec.msgpack.Decoder[ToController] = msgspec.msgpack.Decoder(ToController)
_worker_decoder: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)


def encode(message: ToController | ToWorker) -> bytes:
    """Return a message as bytes: execnet takes these as they are, without walking through what they hold."""
    return _encoder.encode(message)


def controller_reads(data: bytes) -> ToController:
    """Decode what a worker said."""
    return _controller_decoder.decode(data)


def worker_reads(data: bytes) -> ToWorker:
    """Decode what the controller said."""
    return _worker_decoder.decode(data)
