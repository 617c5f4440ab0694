"""What exists in a PBX, and how ARI tells of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_ari_sla.targets.simulator.pbx.scheduler import ScheduledStep

__all__ = [
    "ALL_TOPICS",
    "OUTGOING_LINE",
    "Application",
    "Bridge",
    "Channel",
    "Party",
    "PeerConnection",
    "Playback",
    "Recording",
]

OUTGOING_LINE = ("AppDial2", "(Outgoing Line)")
"""Application and data of a channel that the dialplan does not run yet, or does not run any more."""

ALL_TOPICS = {
    "channel": "__AST_CHANNEL_ALL_TOPIC",
    "bridge": "__AST_BRIDGE_ALL_TOPIC",
    "endpoint": "__AST_ENDPOINT_ALL_TOPIC",
    "deviceState": "__AST_DEVICE_STATE_ALL_TOPIC",
}
"""Name under which a subscription to everything of a kind is told."""


@dataclass(frozen=True)
class Party:
    """Who is at the end of a line."""

    name: str = ""
    number: str = ""

    def describe(self) -> dict[str, str]:
        """Return what ARI tells of it."""
        return {"name": self.name, "number": self.number}


@dataclass(eq=False)
class PeerConnection:
    """The WebSocket of a channel's media.

    Attributes
    ----------
    id
        Its connection id.
    uri
        Where it leads to; empty where the peer connects.
    options
        What the driver is to know: see ``DriverOptions``.
    is_connected
        Whether it has been made.
    """

    id: str
    uri: str
    options: dict[str, Any]
    is_connected: bool = False


@dataclass(eq=False)
class Channel:
    """One end of a call.

    Attributes
    ----------
    stasis
        The application that it is in; None outside Stasis.
    owner
        The application that made it, and is subscribed to it.
    bridge
        Id of the bridge that it is in.
    twin
        Id of the other half of a Local channel.
    has_been_in_stasis
        Whether it ever was: then its end sets STASISSTATUS.
    dial_string
        What was dialled.
    has_media
        Whether media comes from and goes to it.
    peer
        The WebSocket that has to be made before it is answered; None for all others.
    muted_in, muted_out
        Whether nothing of what it says, or of what it is to hear, gets through.
    snooped
        Id of the channel that it listens to.
    ending
        Whether it was asked to hang up.
    """

    id: str
    name: str
    created: str
    state: str = "Down"
    exten: str = "s"
    context: str = "default"
    priority: int = 1
    application: tuple[str, str] = OUTGOING_LINE
    caller: Party = Party()
    connected: Party = Party()
    language: str = "en"
    variables: dict[str, str] = field(default_factory=dict)
    stasis: str | None = None
    owner: str | None = None
    bridge: str | None = None
    twin: str | None = None
    has_been_in_stasis: bool = False
    dial_string: str = ""
    has_media: bool = False
    peer: PeerConnection | None = None
    muted_in: bool = False
    muted_out: bool = False
    snooped: str | None = None
    ending: bool = False

    @property
    def technology(self) -> str:
        """What stands before the slash of its name."""
        return self.name.partition("/")[0]

    def describe(self) -> dict[str, Any]:
        """Return what ARI tells of it."""
        app_name, app_data = self.application
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "protocol_id": "",  # a PJSIP channel's Call-ID; other technologies have none
            "caller": self.caller.describe(),
            "connected": self.connected.describe(),
            "accountcode": "",
            "dialplan": {
                "context": self.context,
                "exten": self.exten,
                "priority": self.priority,
                "app_name": app_name,
                "app_data": app_data,
            },
            "creationtime": self.created,
            "language": self.language,
        }


@dataclass(eq=False)
class Bridge:
    """What joins channels.

    Attributes
    ----------
    kind
        ``mixing`` or ``holding``.
    channels
        Ids of its channels, in order of entering.
    """

    id: str
    name: str
    kind: str
    created: str
    technology: str
    channels: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    plays_music: bool = False

    def fitting_technology(self) -> str:
        """Return the technology that its number of channels asks for."""
        if self.kind == "holding":
            return "holding_bridge"
        # Two are passed through as they come; from the third on audio is mixed, and coded anew (bridge_softmix).
        return "softmix" if len(self.channels) > 2 else "simple_bridge"

    def describe(self) -> dict[str, Any]:
        """Return what ARI tells of it."""
        return {
            "id": self.id,
            "technology": self.technology,
            "bridge_type": self.kind,
            "bridge_class": "stasis",
            "creator": "Stasis",
            "name": self.name,
            "channels": list(self.channels),
            "creationtime": self.created,
            "video_mode": "talker",
        }


@dataclass(eq=False)
class Playback:
    """Media that are played, one after the other, to a channel or into a bridge.

    Attributes
    ----------
    target
        ``channel:<id>`` or ``bridge:<id>``.
    media
        What is still to be played; the first is playing.
    remaining_ns
        What is left of the first while it is paused; None for what has no end.
    end
        When the first will be over.
    """

    id: str
    target: str
    language: str
    media: list[str]
    state: str = "queued"
    remaining_ns: int | None = None
    end: ScheduledStep | None = None

    def describe(self) -> dict[str, Any]:
        """Return what ARI tells of it."""
        following = {"next_media_uri": self.media[1]} if len(self.media) > 1 else {}
        return {
            "id": self.id,
            "media_uri": self.media[0],
            **following,
            "target_uri": self.target,
            "language": self.language,
            "state": self.state,
        }


@dataclass(eq=False)
class Recording:
    """What is being recorded.

    Attributes
    ----------
    started_ns
        When it began, on the simulator's clock.
    end
        When it will be over; None without a limit.
    """

    name: str
    format: str
    target: str
    state: str = "queued"
    started_ns: int = 0
    end: ScheduledStep | None = None

    def describe(self) -> dict[str, Any]:
        """Return what ARI tells of it."""
        return {"name": self.name, "format": self.format, "state": self.state, "target_uri": self.target}


@dataclass(eq=False)
class Application:
    """A Stasis application: who listens, and to what.

    Attributes
    ----------
    connection
        Whoever takes its events, by a number; None while nobody listens.
    subscriptions
        How often it is subscribed to what, by kind (see ``ALL_TOPICS``) and id.
    """

    name: str
    connection: int | None = None
    subscriptions: dict[str, Counter[str]] = field(default_factory=lambda: {kind: Counter() for kind in ALL_TOPICS})
    allowed: list[dict[str, str]] = field(default_factory=list)
    disallowed: list[dict[str, str]] = field(default_factory=list)

    def subscribe(self, kind: str, identifier: str) -> None:
        """Subscribe once more."""
        # Counted, as res_stasis does: who subscribes twice has to take it back twice.
        self.subscriptions[kind][identifier] += 1

    def unsubscribe(self, kind: str, identifier: str) -> None:
        """Take one subscription back; what was never subscribed to is left alone."""
        held = self.subscriptions[kind]
        if held[identifier] > 1:
            held[identifier] -= 1
        else:
            del held[identifier]

    def wants(self, kind: str, identifier: str) -> bool:
        """Whether it is told of something."""
        held = self.subscriptions[kind]
        return identifier in held or ALL_TOPICS[kind] in held

    def is_needed(self) -> bool:
        """Whether anybody listens or anything is subscribed to."""
        # Its program may be dead: Asterisk lists an application for as long as it has channels.
        return self.connection is not None or any(self.subscriptions.values())

    def lets_pass(self, event_type: str) -> bool:
        """Whether its filters let an event through."""
        if any(event_type == one["type"] for one in self.disallowed):
            return False
        return not self.allowed or any(event_type == one["type"] for one in self.allowed)

    def describe(self) -> dict[str, Any]:
        """Return what ARI tells of it."""
        return {
            "name": self.name,
            "channel_ids": sorted(self.subscriptions["channel"]),
            "bridge_ids": sorted(self.subscriptions["bridge"]),
            "endpoint_ids": sorted(self.subscriptions["endpoint"]),
            "device_names": sorted(self.subscriptions["deviceState"]),
            "events_allowed": self.allowed,
            "events_disallowed": self.disallowed,
        }
