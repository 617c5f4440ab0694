"""The life of one channel, as a table: state -> event -> next state.

A channel that we ask for is `REQUESTED` until Asterisk's answer or its first event says that it exists: `CREATED`.
It enters our application with StasisStart (`IN_STASIS`), and from then on may be bridged, played to and dialled.
StasisEnd takes it out (`LEFT`): either it is being hung up, or it was sent to the dialplan, from where it may come
back with another StasisStart. ChannelDestroyed ends every life (`DESTROYED`), also that of a channel which was hung
up before it ever entered the application: such a one has neither StasisStart nor StasisEnd, and that is legal.

The events of a channel arrive in the order in which they happened, but they race with the answer to the request that
made it: StasisStart comes before the answer in one set-up out of ten, and a short life can even be over by then. So
`ANSWERED` is expected in every state, and moves only the first. Everything else that is told about a channel (a
variable, a bridge, a dialplan step) is `ACTIVITY`: it shows that the channel exists, and is out of place only after
its end.

A pair that is not in the table is not an error: who breaks the order is Asterisk, the thing under test, and that is
a finding. It is counted (metric ``ari.unexpected_events``) and changes nothing, except that the end of a channel is
believed wherever it is told: nobody may wait for it for ever.

While the event stream is down events are lost, and the state is found out by asking (`Finding`). What was asked and
what is told later overlap, so from then on the order of that one channel's events is not judged any more: each event
is taken at its word.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

__all__ = ["FINDINGS", "TRANSITIONS", "ChannelInput", "ChannelLife", "ChannelState", "Finding"]


class ChannelState(Enum):
    """Where in its life a channel is."""

    REQUESTED = "requested"
    CREATED = "created"
    IN_STASIS = "in stasis"
    LEFT = "left"
    DESTROYED = "destroyed"


class ChannelInput(Enum):
    """What can be told about a channel; those that are events carry ARI's name."""

    ANSWERED = "answered"
    ACTIVITY = "activity"
    STASIS_START = "StasisStart"
    STASIS_END = "StasisEnd"
    CHANNEL_DESTROYED = "ChannelDestroyed"

    @classmethod
    def of_event(cls, event_type: str) -> ChannelInput:
        """Return what an ARI event of this type means for its channel's life."""
        return _OF_EVENT.get(event_type, cls.ACTIVITY)


class Finding(Enum):
    """What can come out when Asterisk is asked about a channel."""

    IN_STASIS = "it is in the application"
    ELSEWHERE = "it exists, but is not in the application"
    GONE = "it does not exist"


TRANSITIONS: Final[dict[ChannelState, dict[ChannelInput, ChannelState]]] = {
    ChannelState.REQUESTED: {
        ChannelInput.ANSWERED: ChannelState.CREATED,
        ChannelInput.ACTIVITY: ChannelState.CREATED,
        # Asterisk 22.10 sends it before the answer to the POST in 11-18 % of set-ups with 16 to 200 in flight.
        ChannelInput.STASIS_START: ChannelState.IN_STASIS,
        ChannelInput.CHANNEL_DESTROYED: ChannelState.DESTROYED,
    },
    ChannelState.CREATED: {
        ChannelInput.ANSWERED: ChannelState.CREATED,
        ChannelInput.ACTIVITY: ChannelState.CREATED,
        ChannelInput.STASIS_START: ChannelState.IN_STASIS,
        # A DELETE right after the POST leaves 2-5 % of channels without StasisStart and StasisEnd.
        ChannelInput.CHANNEL_DESTROYED: ChannelState.DESTROYED,
    },
    ChannelState.IN_STASIS: {
        ChannelInput.ANSWERED: ChannelState.IN_STASIS,
        ChannelInput.ACTIVITY: ChannelState.IN_STASIS,
        # No ChannelDestroyed here: over 15,000 channels, StasisEnd always came before it.
        ChannelInput.STASIS_END: ChannelState.LEFT,
    },
    ChannelState.LEFT: {
        ChannelInput.ANSWERED: ChannelState.LEFT,
        ChannelInput.ACTIVITY: ChannelState.LEFT,
        ChannelInput.STASIS_START: ChannelState.IN_STASIS,
        ChannelInput.CHANNEL_DESTROYED: ChannelState.DESTROYED,
    },
    ChannelState.DESTROYED: {
        ChannelInput.ANSWERED: ChannelState.DESTROYED,
    },
}

FINDINGS: Final[dict[ChannelState, dict[Finding, ChannelState]]] = {
    ChannelState.REQUESTED: {
        Finding.IN_STASIS: ChannelState.IN_STASIS,
        Finding.ELSEWHERE: ChannelState.CREATED,
        # Not gone, but not there yet: the request is still on its way.
        Finding.GONE: ChannelState.REQUESTED,
    },
    ChannelState.CREATED: {
        Finding.IN_STASIS: ChannelState.IN_STASIS,
        Finding.ELSEWHERE: ChannelState.CREATED,
        Finding.GONE: ChannelState.DESTROYED,
    },
    ChannelState.IN_STASIS: {
        Finding.IN_STASIS: ChannelState.IN_STASIS,
        Finding.ELSEWHERE: ChannelState.LEFT,
        Finding.GONE: ChannelState.DESTROYED,
    },
    ChannelState.LEFT: {
        Finding.IN_STASIS: ChannelState.IN_STASIS,
        Finding.ELSEWHERE: ChannelState.LEFT,
        Finding.GONE: ChannelState.DESTROYED,
    },
    # An answer can be older than the event that overtook it: what is destroyed stays so.
    ChannelState.DESTROYED: dict.fromkeys(Finding, ChannelState.DESTROYED),
}

_OF_EVENT: Final = {
    told.value: told for told in (ChannelInput.STASIS_START, ChannelInput.STASIS_END, ChannelInput.CHANNEL_DESTROYED)
}

#: What an event says by itself, whatever came before it.
_AT_ITS_WORD: Final = {
    ChannelInput.STASIS_START: ChannelState.IN_STASIS,
    ChannelInput.STASIS_END: ChannelState.LEFT,
    ChannelInput.CHANNEL_DESTROYED: ChannelState.DESTROYED,
}


@dataclass
class ChannelLife:
    """One channel's place in the table, and how often it broke the order.

    Attributes
    ----------
    state
        Where it is now.
    order_judged
        False once something had to be found out by asking.
    unexpected
        The pairs of state and input that are not in the table, in the order of their arrival.
    """

    state: ChannelState = ChannelState.REQUESTED
    order_judged: bool = True
    unexpected: list[tuple[ChannelState, ChannelInput]] = field(default_factory=list)

    def apply(self, told: ChannelInput) -> bool:
        """Move on by what is told; return False, and count it, where the table does not know this pair."""
        following = TRANSITIONS[self.state].get(told)
        if following is not None:
            self.state = following
            return True
        if self.order_judged:
            self.unexpected.append((self.state, told))
        self._take_at_its_word(told)
        return not self.order_judged

    def _take_at_its_word(self, told: ChannelInput) -> None:
        """Move without the table: always to the end, and anywhere else only where the order is not judged."""
        if self.state is not ChannelState.DESTROYED and (
            told is ChannelInput.CHANNEL_DESTROYED or not self.order_judged
        ):
            # An answer, or activity, says that the channel exists, and not where it is.
            self.state = _AT_ITS_WORD.get(told, self.state)

    def find(self, finding: Finding) -> None:
        """Move on by what Asterisk answered when it was asked."""
        self.order_judged = False
        self.state = FINDINGS[self.state][finding]
