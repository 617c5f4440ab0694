"""All that exists in the simulated PBX at one moment, and who is told when it changes.

No I/O and no clock: time is told through the scheduler, events pile up in :attr:`PbxState.outbox` until the shell takes
them, and media is a protocol (:class:`MediaPlane`).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from pytest_ari_sla.targets.simulator.pbx.reply import Refused
from pytest_ari_sla.targets.simulator.pbx.resources import ALL_TOPICS, Application, Bridge, Channel, Playback, Recording
from pytest_ari_sla.targets.simulator.pbx.scheduler import Scheduler

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from random import Random

__all__ = ["MediaPlane", "MediaUnavailable", "NoMedia", "PbxState", "Timing"]

VERSION = "22.0.0-simulator"
"""What the simulator says it is: a number that clients can read, and the plain truth."""

# A MAC that belongs to no hardware: its first octet says "locally administered", the next three "sim".
ENTITY_ID = "02:73:69:6d:00:01"

_MS = 1_000_000


class MediaUnavailable(Exception):
    """A channel cannot have media: there is no port left, or no such place to send to."""


class MediaPlane(Protocol):
    """Where media goes. Channels are named by their ids; what is told takes effect in the order of telling.

    It tells of channels with connections in return (see ``Streams.hear``): ``answer`` and ``hang_up``, where the peer
    wants that, and ``ended``, where the connection has gone or broken the rules.
    """

    def open(self, channel: str, remote: tuple[str, int], payload_format: str) -> tuple[str, int]:
        """Make a port for a channel that sends to ``remote``; return its host and port.

        Raises
        ------
        MediaUnavailable
            If there is none, or ``remote`` does not exist.
        """

    def open_audiosocket(self, channel: str, connection: socket.socket, payload_format: str, uuid: bytes) -> None:
        """Let a channel's media come and go by a connection, which is the media's from now on.

        Raises
        ------
        MediaUnavailable
            If there are too many channels.
        """

    def open_websocket(
        self, channel: str, connection: socket.socket, received: bytes, options: dict[str, Any], *, is_client: bool
    ) -> None:
        """Let a channel's media come and go by a WebSocket after its handshake; what followed that was received.

        Raises
        ------
        MediaUnavailable
            If there are too many channels.
        """

    def open_local(self, near: str, far: str, payload_format: str) -> None:
        """Let what one of these channels is to say be what the other one hears.

        Raises
        ------
        MediaUnavailable
            If there are too many channels.
        """

    def digit(self, channel: str, digit: str) -> None:
        """Send a digit, where the channel's media can carry one."""

    def close(self, channel: str) -> None:
        """Free a channel's port or connection; a channel without one is left alone."""

    def idle(self, channel: str) -> None:
        """Neither echo nor listen to anybody."""

    def echo(self, channel: str) -> None:
        """Send back what comes in."""

    def bridge(self, bridge: str, channels: Sequence[str]) -> None:
        """Join exactly these channels: two are paired, more are mixed, fewer hear nothing."""

    def mute(self, channel: str, *, incoming: bool, outgoing: bool) -> None:
        """Let nothing come in or go out, or do again."""

    def play(self, channel: str, prompt: str) -> None:
        """Send a prompt's sound ("" is silence) until :meth:`stop_playing`."""

    def stop_playing(self, channel: str) -> None:
        """End the prompt."""


class NoMedia:
    """A media plane without media: every port is 0."""

    def open(self, channel: str, remote: tuple[str, int], payload_format: str) -> tuple[str, int]:
        """Give out no port."""
        del channel, remote, payload_format
        return "127.0.0.1", 0

    def open_audiosocket(self, channel: str, connection: socket.socket, payload_format: str, uuid: bytes) -> None:
        """Close the connection."""
        del channel, payload_format, uuid
        connection.close()

    def open_websocket(
        self, channel: str, connection: socket.socket, received: bytes, options: dict[str, Any], *, is_client: bool
    ) -> None:
        """Close the connection."""
        del channel, received, options, is_client
        connection.close()

    def open_local(self, near: str, far: str, payload_format: str) -> None:
        """Do nothing."""

    def digit(self, channel: str, digit: str) -> None:
        """Do nothing."""

    def close(self, channel: str) -> None:
        """Do nothing."""

    def idle(self, channel: str) -> None:
        """Do nothing."""

    def echo(self, channel: str) -> None:
        """Do nothing."""

    def bridge(self, bridge: str, channels: Sequence[str]) -> None:
        """Do nothing."""

    def mute(self, channel: str, *, incoming: bool, outgoing: bool) -> None:
        """Do nothing."""

    def play(self, channel: str, prompt: str) -> None:
        """Do nothing."""

    def stop_playing(self, channel: str) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Timing:
    """How long things take.

    Attributes
    ----------
    step_ns
        From one step of a channel's life to the next: about what Asterisk needs when it is idle.
    """

    step_ns: int = _MS // 2


class PbxState:
    """State of the PBX, and the means by which the rules change it.

    Parameters
    ----------
    random
        Source of ids; seeded, so that a run can be repeated.
    media
        Where RTP goes.
    epoch_ns
        Unix time at time 0 of the scheduler.

    Attributes
    ----------
    outbox
        Events since the last :meth:`take_events`: who takes them (a connection), and the event.
    dials
        Channels since the last :meth:`take_dials` whose peers are to be connected to.
    websocket_clients
        Sections of websocket_client.conf: attributes and values, by name.
    """

    def __init__(
        self,
        random: Random,
        media: MediaPlane | None = None,
        *,
        epoch_ns: int = 0,
        timing: Timing | None = None,
    ) -> None:
        self.media = media or NoMedia()
        self.random = random
        self.scheduler = Scheduler()
        self.timing = timing or Timing()
        self.applications: dict[str, Application] = {}
        self.bridges: dict[str, Bridge] = {}
        self.playbacks: dict[str, Playback] = {}
        self.recordings: dict[str, Recording] = {}
        self.stored_recordings: dict[str, str] = {}
        self.device_states: dict[str, str] = {}
        self.variables: dict[str, str] = {}
        self.outbox: list[tuple[int, dict[str, Any]]] = []
        self.dials: list[Channel] = []
        self.websocket_clients: dict[str, dict[str, str]] = {}
        self._channels: dict[str, Channel] = {}
        self._channel_ids: list[str] = []
        self._epoch_ns = epoch_ns
        self._count = 0
        self.started = self.timestamp()

    # Ids, names and time

    def timestamp(self) -> str:
        """Return the present time as ARI writes it."""
        now = datetime.fromtimestamp((self._epoch_ns + self.scheduler.now_ns) / 1e9, UTC)
        return now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}+0000"

    def number(self) -> int:
        """Return the next of the numbers that make names unique."""
        self._count += 1
        return self._count

    def new_channel_id(self) -> str:
        """Return an id as Asterisk makes it: Unix time and a number."""
        return f"{(self._epoch_ns + self.scheduler.now_ns) // 1_000_000_000}.{self.number()}"

    def new_uuid(self) -> str:
        """Return a random UUID."""
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def soon(self, step: Any) -> None:
        """Let a step of a channel's life follow."""
        self.scheduler.after(self.timing.step_ns, step)

    # Channels

    @property
    def channels(self) -> list[Channel]:
        """All living channels."""
        return list(self._channels.values())

    def is_taken(self, channel_id: str) -> bool:
        """Whether a living channel's id begins with an id, in whatever case: Asterisk 22 refuses it then."""
        folded = channel_id.lower()
        place = bisect_left(self._channel_ids, folded)
        return place < len(self._channel_ids) and self._channel_ids[place].startswith(folded)

    def add_channel(self, channel: Channel) -> None:
        """Let a channel live."""
        self._channels[channel.id.lower()] = channel
        # Sorted, so that `is_taken` finds a prefix by bisection: each new channel asks, and there may be thousands.
        insort(self._channel_ids, channel.id.lower())

    def remove_channel(self, channel: Channel) -> None:
        """Let a channel be gone, and every subscription to it."""
        folded = channel.id.lower()
        del self._channels[folded]
        del self._channel_ids[bisect_left(self._channel_ids, folded)]
        for application in self.applications.values():
            # From a Counter what is not there can be deleted as well.
            del application.subscriptions["channel"][channel.id]
        self.prune_applications()

    def find_channel(self, channel_id: str) -> Channel | None:
        """Return a channel by its id, in whatever case."""
        return self._channels.get(channel_id.lower())

    def channel(self, channel_id: str) -> Channel:
        """Return a channel by its id, or refuse with 404."""
        if found := self.find_channel(channel_id):
            return found
        raise Refused(404, "Channel not found")

    def channel_in_stasis(self, channel_id: str) -> Channel:
        """Return a channel that takes commands, or refuse with 404 or 409."""
        found = self.channel(channel_id)
        if found.stasis is None:
            raise Refused(409, "Channel not in Stasis application")
        return found

    def bridge(self, bridge_id: str) -> Bridge:
        """Return a bridge by its exact id, or refuse with 404."""
        if found := self.bridges.get(bridge_id):
            return found
        raise Refused(404, "Bridge not found")

    # Applications and events

    def application(self, name: str) -> Application:
        """Return an application, or refuse with 404."""
        if found := self.applications.get(name):
            return found
        raise Refused(404, "Application not found")

    def connect(self, names: Sequence[str], connection: int, *, subscribe_all: bool) -> None:
        """Let a connection take the events of applications; who took them before is told."""
        for name in names:
            application = self.applications.setdefault(name, Application(name))
            if application.connection is not None:
                self.tell(application, {"type": "ApplicationReplaced"})
            application.connection = connection
            if subscribe_all:
                for kind, topic in ALL_TOPICS.items():
                    application.subscriptions[kind][topic] = 1

    def disconnect(self, connection: int) -> None:
        """Let a connection be gone; applications that nobody needs go with it."""
        for application in self.applications.values():
            if application.connection == connection:
                application.connection = None
                for kind, topic in ALL_TOPICS.items():
                    del application.subscriptions[kind][topic]
        self.prune_applications()

    def prune_applications(self) -> None:
        """Remove applications to which nobody listens and that are subscribed to nothing."""
        self.applications = {name: one for name, one in self.applications.items() if one.is_needed()}

    def tell(self, application: Application, event: dict[str, Any]) -> None:
        """Send an event to one application, subscribed or not."""
        if application.connection is not None and application.lets_pass(event["type"]):
            stamped = {"timestamp": self.timestamp(), **event}
            full = {**stamped, "asterisk_id": ENTITY_ID, "application": application.name}
            self.outbox.append((application.connection, full))

    def publish(self, kind: str, identifier: str, event: dict[str, Any]) -> None:
        """Send an event to every application that is subscribed to its subject."""
        for application in self.applications.values():
            if application.wants(kind, identifier):
                self.tell(application, event)

    def publish_channel(self, event_type: str, channel: Channel, **fields: Any) -> None:
        """Send an event about a channel to whom it may concern."""
        event = {"type": event_type, **fields, "channel": channel.describe()}
        self.publish("channel", channel.id, event)

    def set_variable(self, channel: Channel, name: str, value: str) -> None:
        """Set a channel's variable and say so."""
        channel.variables[name] = value
        self.publish_channel("ChannelVarset", channel, variable=name, value=value)

    def take_events(self) -> list[tuple[int, dict[str, Any]]]:
        """Return the events since the last call, in order."""
        events, self.outbox = self.outbox, []
        return events

    def take_dials(self) -> list[Channel]:
        """Return the channels since the last call whose peers are to be connected to."""
        dials, self.dials = self.dials, []
        return dials
