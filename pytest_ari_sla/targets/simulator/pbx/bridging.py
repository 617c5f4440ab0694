"""Bridges: who is in, who hears whom, and what each member is told of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.targets.simulator.pbx.reply import Refused
from pytest_ari_sla.targets.simulator.pbx.resources import Bridge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_ari_sla.targets.simulator.pbx.resources import Channel
    from pytest_ari_sla.targets.simulator.pbx.state import PbxState

__all__ = ["Bridging"]

_KINDS = frozenset({"mixing", "holding"})
_OPTIONS = frozenset({"dtmf_events", "proxy_media", "video_sfu", "video_single", "sdp_label"})
_PEER = "BRIDGEPEER"


class Bridging:
    """Bridges of the PBX.

    Parameters
    ----------
    state
        State of the PBX.

    Attributes
    ----------
    on_destroying
        Called with a bridge that is about to go: playbacks and recordings let go of it.
    """

    def __init__(self, state: PbxState) -> None:
        self._state = state
        self.on_destroying: list[Callable[[Bridge], None]] = []

    def create(self, bridge_id: str, kind: str, name: str) -> Bridge:
        """Make an empty bridge; refuse an id that lives, and kinds that do not exist."""
        if bridge_id in self._state.bridges:
            raise Refused(409, f"Bridge with id '{bridge_id}' already exists")
        words = {word.strip() for word in kind.split(",") if word.strip()} or {"mixing"}
        if words - _KINDS - _OPTIONS or len(words & _KINDS) > 1:
            raise Refused(500, f"Unable to create bridge. Possible duplicate bridge id '{bridge_id}'")
        identifier = bridge_id or self._state.new_uuid()
        shape = "holding" if "holding" in words else "mixing"
        bridge = Bridge(identifier, name, shape, self._state.timestamp(), technology="")
        bridge.technology = bridge.fitting_technology()
        self._state.bridges[identifier] = bridge
        self._publish("BridgeCreated", bridge)
        return bridge

    def destroy(self, bridge: Bridge) -> None:
        """Let all members go, and the bridge with them."""
        for ended in self.on_destroying:
            ended(bridge)
        for channel in self._members(bridge):
            self.let_go_of_channel(channel)
        del self._state.bridges[bridge.id]
        self._publish("BridgeDestroyed", bridge)
        for application in self._state.applications.values():
            del application.subscriptions["bridge"][bridge.id]
        self._state.prune_applications()

    def add(self, bridge: Bridge, channels: Sequence[Channel]) -> None:
        """Let channels enter, one after the other, out of whatever bridge they are in."""
        for channel in channels:
            if channel.stasis is None:
                raise Refused(422, "Channel not in Stasis application")
        for channel in channels:
            self._enter(bridge, channel)

    def remove(self, bridge: Bridge, channels: Sequence[Channel]) -> None:
        """Let channels leave."""
        for channel in channels:
            if channel.bridge != bridge.id:
                raise Refused(422, "Channel not in this bridge")
        for channel in channels:
            self.let_go_of_channel(channel)

    def _enter(self, bridge: Bridge, channel: Channel) -> None:
        self.let_go_of_channel(channel)
        if channel.stasis is None or channel.ending:
            return
        channel.bridge = bridge.id
        bridge.channels.append(channel.id)
        if application := self._state.applications.get(channel.stasis):
            application.subscribe("bridge", bridge.id)
        # Asterisk tells of the newcomer before it chooses another technology for the new number.
        self._publish("ChannelEnteredBridge", bridge, channel)
        self._rearrange(bridge)

    def let_go_of_channel(self, channel: Channel) -> None:
        """Take a channel out of the bridge that it is in, if it is in one."""
        bridge = self._state.bridges.get(channel.bridge or "")
        if bridge is None:
            return
        channel.bridge = None
        bridge.channels.remove(channel.id)
        if channel.variables.get(_PEER):
            self._state.set_variable(channel, _PEER, "")
        self._publish("ChannelLeftBridge", bridge, channel)
        if application := self._state.applications.get(channel.stasis or ""):
            application.unsubscribe("bridge", bridge.id)
        self._state.media.idle(channel.id)
        self._rearrange(bridge)

    def _rearrange(self, bridge: Bridge) -> None:
        """Choose the technology, join the media, and tell each member of the others."""
        bridge.technology = bridge.fitting_technology()
        members = self._members(bridge)
        self._state.media.bridge(bridge.id, [channel.id for channel in members] if bridge.kind == "mixing" else [])
        if bridge.kind == "mixing" and len(members) > 1:
            for channel in members:
                peers = ",".join(other.name for other in members if other is not channel)
                if channel.variables.get(_PEER) != peers:
                    self._state.set_variable(channel, _PEER, peers)

    def _members(self, bridge: Bridge) -> list[Channel]:
        return [channel for one in bridge.channels if (channel := self._state.find_channel(one))]

    def _publish(self, event_type: str, bridge: Bridge, channel: Channel | None = None) -> None:
        """Send an event about a bridge, and one about a member also to those who watch the member, once each."""
        event = {"type": event_type, "bridge": bridge.describe()}
        if channel is not None:
            event["channel"] = channel.describe()
        for application in self._state.applications.values():
            about_channel = channel is not None and application.wants("channel", channel.id)
            if about_channel or application.wants("bridge", bridge.id):
                self._state.tell(application, event)
