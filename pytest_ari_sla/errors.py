"""Everything this tool can raise, in one tree.

* SlaError - base class; its ``culprit`` names the guilty side

  * UsageError - your test or your command line is at fault

    * UnknownName - a metric, unit, topology, codec … that does not exist
    * ThresholdSyntaxError - an SLA expression that cannot be read

  * TargetError - Asterisk (or what answers at its address) is at fault

    * AriRequestFailed - ARI answered with an error status
    * AriAuthenticationFailed - ARI refused the user or the password
    * NotAnAsterisk - something answers at the URL, but not ARI
    * AriTimeout - ARI did not answer in time
    * TargetIncomplete - Asterisk lacks something that the load needs
    * TargetTooSmall - Asterisk's limits do not admit the calls asked for
    * AsteriskStartFailed - a private Asterisk did not come up
    * AsteriskStalled - Asterisk did not answer for a while in mid-load
    * AsteriskCrashed - Asterisk died, or does not answer any more
    * ChannelLost - a channel ended before it was told to
    * CallNotAnswered - the dialplan or the application did not answer a caller
    * ApplicationFailed - the application under test did otherwise than every caller's script says

  * NetworkError - what lies between this machine and Asterisk is at fault

    * AriUnreachable - nothing accepts connections at the ARI address
    * AnswerDamaged - ARI's answer was cut off, or cannot be read
    * TlsFailed - the TLS handshake or the certificate check failed
    * EventStreamLost - the event WebSocket broke
    * MediaUnreachable - no RTP packet came back

  * ApplicationTaken - another program registered our Stasis application

  * ApplicationCrashed - the application under test, which we started, did not come up, or ended by itself

  * HarnessError - this tool or the machine that it runs on is at fault

    * PortsExhausted - no free RTP port in the leased range
    * HostLimit - this machine has no more of something, or forbids us something

      * OpenFilesLimit - the limit of open files is too low

    * MediaLoopFailed - the process that moves packets died
    * ShardLost - a worker of the fleet vanished
    * SimulatorStartFailed - the embedded simulator did not come up
    * SimulatorCrashed - the embedded simulator ended by itself
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "AnswerDamaged",
    "ApplicationCrashed",
    "ApplicationFailed",
    "ApplicationTaken",
    "AriAuthenticationFailed",
    "AriRequestFailed",
    "AriTimeout",
    "AriUnreachable",
    "AsteriskCrashed",
    "AsteriskStalled",
    "AsteriskStartFailed",
    "CallNotAnswered",
    "ChannelLost",
    "EventStreamLost",
    "HarnessError",
    "HostLimit",
    "MediaLoopFailed",
    "MediaUnreachable",
    "NetworkError",
    "NotAnAsterisk",
    "OpenFilesLimit",
    "PortsExhausted",
    "ShardLost",
    "SimulatorCrashed",
    "SimulatorStartFailed",
    "SlaError",
    "TargetError",
    "TargetIncomplete",
    "TargetTooSmall",
    "ThresholdSyntaxError",
    "TlsFailed",
    "UnknownName",
    "UsageError",
    "error_of",
]


class SlaError(Exception):
    """Base class of all errors of this tool.

    Attributes
    ----------
    culprit
        The guilty side, in words that fit a sentence: ``your test``, ``Asterisk``, ``the network``, ``this tool``.
    before_any_call
        Whether it kept a load from making even its first call.
    """

    culprit: ClassVar[str] = "this tool"
    before_any_call = False


class UsageError(SlaError):
    """What the test or the command line asks for makes no sense."""

    culprit = "your test"
    before_any_call = True


_FEW_NAMES = 20
"""So many known names are all told; of more only the nearest, where there are any."""


class UnknownName(UsageError):
    """A name that is not in the catalogue it was looked up in.

    Attributes
    ----------
    kind
        What was looked up: ``metric``, ``topology``, ``codec`` …
    name
        The name that is unknown.
    suggestions
        The nearest known names, best first.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind = kind
        self.name = name
        known = sorted(known)
        self.suggestions = get_close_matches(name, known, n=3, cutoff=0.5)
        hints = [f"did you mean {' or '.join(self.suggestions)}?"] if self.suggestions else []
        if not hints or len(known) <= _FEW_NAMES:
            hints.append(f"known: {', '.join(known)}")
        super().__init__(f"unknown {kind} {name!r}; {' '.join(hints)}")


class ThresholdSyntaxError(UsageError):
    """An SLA expression that cannot be read.

    Attributes
    ----------
    expression
        The whole expression.
    position
        Index of the first character that is wrong.
    """

    def __init__(self, expression: str, position: int, problem: str) -> None:
        self.expression = expression
        self.position = position
        self.problem = problem
        super().__init__(f"{problem}\n    {expression}\n    {' ' * position}^")


class TargetError(SlaError):
    """Asterisk, or whatever answers in its place, is at fault."""

    culprit = "Asterisk"


class AriRequestFailed(TargetError):
    """ARI answered a request with an error.

    Attributes
    ----------
    method, path
        The request, without host, user or password.
    status
        The HTTP status.
    reason
        ARI's own words (``message`` of the body), or the body's beginning.
    """

    def __init__(self, method: str, path: str, status: int, reason: str) -> None:
        self.method = method
        self.path = path
        self.status = status
        self.reason = reason
        super().__init__(f"{method} {path} answered {status}: {reason}")


class AriAuthenticationFailed(TargetError):
    """ARI refused the user or the password (401 or 403)."""


class NotAnAsterisk(TargetError):
    """Something answers at the ARI URL, but it is not ARI."""


class AriTimeout(TargetError):
    """ARI took a request and did not answer in time."""


class TargetIncomplete(TargetError):
    """Asterisk lacks something that the load needs: a module, or ExternalMedia altogether."""


class TargetTooSmall(TargetError):
    """A limit in Asterisk's configuration does not admit the calls asked for."""


class AsteriskStartFailed(TargetError):
    """A private Asterisk did not come up.

    Attributes
    ----------
    log_tail
        The last lines of its log.
    """

    def __init__(self, message: str, log_tail: str = "") -> None:
        self.log_tail = log_tail
        super().__init__(f"{message}\n{log_tail}" if log_tail else message)


class AsteriskStalled(TargetError):
    """Asterisk did not answer for a while in mid-load, in whole or where channels are needed."""


class AsteriskCrashed(TargetError):
    """Asterisk ended by itself, or neither its ARI nor its console answers any more.

    Attributes
    ----------
    log_tail
        The last lines of its log.
    """

    def __init__(self, message: str, log_tail: str = "") -> None:
        self.log_tail = log_tail
        super().__init__(f"{message}\n{log_tail}" if log_tail else message)


class ChannelLost(TargetError):
    """A channel ended before it was told to."""


class ApplicationFailed(TargetError):
    """The application under test did otherwise than every caller's script says."""

    culprit = "the application under test"


class CallNotAnswered(TargetError):
    """The dialplan or the application did not answer a caller."""

    culprit = "the application under test"


class NetworkError(SlaError):
    """What lies between this machine and Asterisk is at fault."""

    culprit = "the network"


class AriUnreachable(NetworkError):
    """Nothing accepts connections at the ARI address.

    Attributes
    ----------
    refused
        Whether its host refused the connection: nothing listens there.
    """

    def __init__(self, message: str, *, refused: bool = False) -> None:
        self.refused = refused
        super().__init__(message)


class AnswerDamaged(NetworkError):
    """ARI answered before, but this answer was cut off or cannot be read."""


class TlsFailed(NetworkError):
    """The TLS handshake or the check of the certificate failed."""


class EventStreamLost(NetworkError):
    """The event WebSocket broke and could not be restored in time."""


class ApplicationTaken(SlaError):
    """Another program registered our Stasis application, and gets its events now."""

    culprit = "another program"


class MediaUnreachable(NetworkError):
    """Not a single RTP packet came back."""


class ApplicationCrashed(SlaError):
    """The application under test, which was started for the run, did not come up, or ended by itself.

    Attributes
    ----------
    output
        The last lines that it printed.
    """

    culprit = "the application under test"

    def __init__(self, message: str, output: str = "") -> None:
        self.output = output
        super().__init__(f"{message}\n{output}" if output else message)


class HarnessError(SlaError):
    """This tool, or the machine that it runs on, is at fault."""


class PortsExhausted(HarnessError):
    """No port pair of the range is free.

    Attributes
    ----------
    leased, resting
        How many pairs are in use, and how many wait out their quarantine.
    """

    def __init__(self, message: str, *, leased: int, resting: int) -> None:
        self.leased = leased
        self.resting = resting
        super().__init__(message)


class HostLimit(HarnessError):
    """This machine has no more of something that the load needs (local ports, memory), or forbids us something."""


class OpenFilesLimit(HostLimit):
    """The limit of open files does not admit the load."""


class MediaLoopFailed(HarnessError):
    """The process that sends and receives packets died or refused a command."""


class ShardLost(HarnessError):
    """A worker of the fleet vanished or did not reach a barrier in time."""


class SimulatorCrashed(HarnessError):
    """The embedded simulator ended by itself."""


class SimulatorStartFailed(HarnessError):
    """The embedded simulator did not come up.

    Attributes
    ----------
    output
        What it printed.
    """

    def __init__(self, message: str, output: str = "") -> None:
        self.output = output
        super().__init__(f"{message}\n{output}" if output else message)


# Classes that take a text alone; many of the others have arguments of their own.
_KINDS: dict[str, type[SlaError]] = {
    kind.culprit: kind
    for kind in (ApplicationCrashed, ApplicationTaken, HarnessError, NetworkError, TargetError, UsageError)
}


def error_of(culprit: str, text: str) -> SlaError:
    """Return an error that another process told as its culprit and its text."""
    return _KINDS[culprit](text)
