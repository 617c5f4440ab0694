"""The life of channels: made, answered, in Stasis, in the dialplan, hung up.

Every step publishes what Asterisk publishes, in its order. Steps that Asterisk takes in a thread of their own are put
on the scheduler: what ARI answers is the state before them, as with the real one.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_ari_sla.targets.simulator.pbx.causes import NORMAL, cause_text
from pytest_ari_sla.targets.simulator.pbx.dialplan import Dialplan
from pytest_ari_sla.targets.simulator.pbx.reply import Refused
from pytest_ari_sla.targets.simulator.pbx.resources import OUTGOING_LINE, Channel, Party
from pytest_ari_sla.targets.simulator.pbx.state import MediaUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_ari_sla.targets.simulator.pbx.state import PbxState

__all__ = ["FORMATS", "Calls"]

FORMATS = frozenset({"ulaw", "alaw", "g722", "gsm", "opus", "slin", "slin16", "slin48"})
"""Media formats that the simulator takes."""

_UNICAST = re.compile(r"(?P<host>[^/]+):(?P<port>\d{1,5})(?:/c\((?P<format>\w+)\))?")
_SOFT_HANGUP_BY_ASYNC = 32  # the "cause" of a hang-up request that comes by ARI: a flag of Asterisk's, not of Q.850


class Calls:
    """Channels of the PBX.

    Parameters
    ----------
    state
        State of the PBX.

    Attributes
    ----------
    on_leaving
        Called with a channel that is about to leave Stasis or to end: bridges, playbacks and recordings let go of it.
    """

    def __init__(self, state: PbxState) -> None:
        self._state = state
        self.dialplan = Dialplan(state, self.answer, self.enter_stasis, self.destroy)
        self.on_leaving: list[Callable[[Channel], None]] = []
        self._unanswered: dict[str, Callable[[], None] | None] = {}

    # Making channels

    def external_media(
        self,
        channel_id: str,
        remote: tuple[str, int],
        payload_format: str,
        app: tuple[str, str],
        variables: Mapping[str, str],
    ) -> Channel:
        """Make a UnicastRTP channel that is answered at once and then enters an application."""
        channel = self._unicast(channel_id, remote, payload_format)
        self.begin_external(channel, app, variables)
        return channel

    def begin_external(self, channel: Channel, app: tuple[str, str], variables: Mapping[str, str]) -> None:
        """Let a channel with media of its own live; once it is answered, it enters an application."""
        channel.owner = app[0]
        self._created(channel, variables)
        self._subscribe_owner(channel)
        self._state.soon(partial(self._dial, channel, lambda: self.enter_stasis(channel, app)))

    def originate(
        self,
        endpoint: tuple[str, str],
        ids: tuple[str, str],
        target: Callable[[Channel], None],
        *,
        owner: str | None = None,
        caller: Party | None = None,
        variables: Mapping[str, str] | None = None,
        formats: Sequence[str] = (),
    ) -> Channel:
        """Dial an endpoint; once it answers, ``target`` says what becomes of the channel.

        Parameters
        ----------
        endpoint
            Technology and what it is to dial.
        ids
            Ids of the channel, and of the other half of a Local one ("" where it does not matter).
        owner
            The application that is subscribed to the channels from now on.
        caller
            Whom the channel shows as caller.
        formats
            What a Local channel carries; only the first one counts here.
        """
        channel, twin = self._dialled(endpoint, ids, formats)
        channel.owner = owner
        for half in filter(None, (channel, twin)):
            half.caller = half.connected = caller or Party()
        self._created(channel, variables or {})
        if twin:
            twin.owner = owner
            self._created(twin, {})
            self._subscribe_owner(twin)
            self._inherit(twin, caller, variables or {})
        self._subscribe_owner(channel)
        self._state.soon(partial(self._dial, channel, lambda: target(channel)))
        return channel

    def create(
        self, endpoint: tuple[str, str], ids: tuple[str, str], app: tuple[str, str], formats: Sequence[str] = ()
    ) -> Channel:
        """Make a channel that enters an application before it is dialled."""
        channel, twin = self._dialled(endpoint, ids, formats)
        channel.owner = app[0] or None
        channel.application = ("", "")
        for half in filter(None, (channel, twin)):
            self._created(half, {}, tell_dialplan=False)
        self._subscribe_owner(channel)
        self._state.soon(partial(self.enter_stasis, channel, app, tell_dialplan=True))
        return channel

    def dial(self, channel: Channel) -> None:
        """Dial a created channel; it is answered in Stasis."""
        self._state.soon(partial(self._dial, channel, None))

    def snoop(self, snooped: Channel, snoop_id: str, app: tuple[str, str]) -> Channel:
        """Make a channel that listens to another one."""
        number = self._state.number()
        name = f"Snoop/{snooped.id}-{number:08x}"
        channel = Channel(snoop_id, name, self._state.timestamp(), state="Up", application=("", ""))
        channel.snooped = snooped.id
        self._created(channel, {}, tell_dialplan=False)
        self._state.soon(partial(self.enter_stasis, channel, app))
        return channel

    def _unicast(self, channel_id: str, remote: tuple[str, int], payload_format: str) -> Channel:
        try:
            host, port = self._state.media.open(channel_id, remote, payload_format)
        except MediaUnavailable as error:
            # Asterisk 16 and 22 die of this; to be refused is what their other channel types do.
            why = f" ({error})" if str(error) else ""
            raise Refused(500, f"An internal error prevented this request from being handled{why}") from error
        # Asterisk ends the name with the address of an object of its own.
        pointer = 0x7F0000000000 + self._state.number() * 0x10
        name = f"UnicastRTP/{remote[0]}:{remote[1]}-{pointer:#x}"
        channel = Channel(channel_id, name, self._state.timestamp(), has_media=True)
        channel.dial_string = f"{remote[0]}:{remote[1]}/c({payload_format})"
        channel.variables = {"UNICASTRTP_LOCAL_ADDRESS": host, "UNICASTRTP_LOCAL_PORT": str(port)}
        return channel

    def _dialled(
        self, endpoint: tuple[str, str], ids: tuple[str, str], formats: Sequence[str]
    ) -> tuple[Channel, Channel | None]:
        technology, resource = endpoint
        if technology == "Local":
            near, far = self._local(resource, ids)
            self._state.media.open_local(near.id, far.id, formats[0] if formats else "slin")
            return near, far
        parts = _UNICAST.fullmatch(resource)
        if technology != "UnicastRTP" or parts is None:
            raise Refused(500, "Allocation failed", key="error")
        return self._unicast(ids[0], (parts["host"], int(parts["port"])), parts["format"] or "ulaw"), None

    def _local(self, resource: str, ids: tuple[str, str]) -> tuple[Channel, Channel]:
        exten, _, context = resource.partition("/")[0].partition("@")
        number, created = self._state.number(), self._state.timestamp()
        # The suffixes are those of main/core_unreal.c.
        near_id, far_id = ids[0], ids[1] or f"{ids[0]};2"
        name = f"Local/{exten}@{context or 'default'}-{number:08x};"
        near = Channel(near_id, name + "1", created, exten=exten, context=context or "default", twin=far_id)
        near.dial_string = resource
        far = Channel(far_id, name + "2", created, state="Ring", exten=exten, context=near.context, twin=near_id)
        far.application = ("", "")
        return near, far

    def _created(self, channel: Channel, variables: Mapping[str, str], *, tell_dialplan: bool = True) -> None:
        """Let a channel live and tell so to those who watch all channels."""
        self._state.add_channel(channel)
        self._state.publish_channel("ChannelCreated", channel)
        for name, value in list(channel.variables.items()):
            self._state.set_variable(channel, name, value)
        for name, value in variables.items():
            self.write_variable(channel, name, value)
        if tell_dialplan and channel.application == OUTGOING_LINE:
            name, data = channel.application
            self._state.publish_channel("ChannelDialplan", channel, dialplan_app=name, dialplan_app_data=data)

    def _inherit(self, twin: Channel, caller: Party | None, variables: Mapping[str, str]) -> None:
        """Let the far half of a Local channel take over what the near half was made with."""
        for name, value in variables.items():
            self.write_variable(twin, name, value)
        if caller:
            presentation = "Presentation Allowed, Not Screened"
            fields = {"caller_presentation": 0, "caller_presentation_txt": presentation}
            self._state.publish_channel("ChannelCallerId", twin, **fields)
            self._state.publish_channel("ChannelConnectedLine", twin)

    def _subscribe_owner(self, channel: Channel) -> None:
        if application := self._state.applications.get(channel.owner or ""):
            application.subscribe("channel", channel.id)

    # Dialling and answering

    def _dial(self, channel: Channel, then: Callable[[], None] | None) -> None:
        """Dial, and go on with ``then`` once answered; without it the channel is in Stasis already."""
        if channel.ending:
            return
        self._tell_dial(channel, "", channel.dial_string)
        twin = self._state.find_channel(channel.twin) if channel.twin else None
        if twin is not None and not self.dialplan.knows(twin.context, twin.exten):
            self.destroy(twin, 0)
            self.destroy(channel, 0)
            return
        self._unanswered[channel.id] = then
        if twin is not None:
            self.dialplan.run(twin)
        elif channel.peer is None:
            self.answered(channel)
        elif channel.peer.uri:
            self._state.dials.append(channel)

    def answered(self, channel: Channel) -> None:
        """Let a channel that was dialled be answered by its other end; a second answer does nothing."""
        if channel.id not in self._unanswered:
            return
        then = self._unanswered.pop(channel.id)
        self._set_state(channel, "Up")
        self._tell_dial(channel, "ANSWER", channel.dial_string if then else "")
        if then:
            then()

    def _tell_dial(self, channel: Channel, status: str, dial_string: str) -> None:
        event = {"type": "Dial", "dialstatus": status, "forward": "", "dialstring": dial_string}
        self._state.publish("channel", channel.id, {**event, "peer": channel.describe()})

    def answer(self, channel: Channel) -> None:
        """Take a channel off the hook; one that is up already is left alone. A far half answers for the near one."""
        self._set_state(channel, "Up")
        if (near := self._near_half(channel)) is not None:
            self.answered(near)

    def ring(self, channel: Channel) -> None:
        """Let whoever dialled hear that it rings; only Local channels have a way to tell."""
        if (near := self._near_half(channel)) is not None and near.id in self._unanswered:
            self._set_state(near, "Ringing")

    def _near_half(self, channel: Channel) -> Channel | None:
        """Return the half of a Local channel that waits for the answer of this one, if it is such."""
        return self._state.find_channel(channel.twin) if channel.twin and channel.name.endswith(";2") else None

    def _set_state(self, channel: Channel, state: str) -> None:
        if channel.state != state:
            channel.state = state
            self._state.publish_channel("ChannelStateChange", channel)

    # In and out of Stasis

    def enter_stasis(self, channel: Channel, app: tuple[str, str], *, tell_dialplan: bool = False) -> None:
        """Let a channel enter an application (its name, and arguments with commas between them)."""
        if channel.ending:
            return
        name, arguments = app
        data = f"{name},{arguments}" if arguments else name
        channel.application = ("Stasis", data)
        if tell_dialplan:
            self._state.publish_channel("ChannelDialplan", channel, dialplan_app="Stasis", dialplan_app_data=data)
        # app_stasis.c clears it first, and sets FAILED where nobody serves the application.
        self._state.set_variable(channel, "STASISSTATUS", "")
        if name not in self._state.applications or self._state.applications[name].connection is None:
            self._state.set_variable(channel, "STASISSTATUS", "FAILED")
            channel.application = OUTGOING_LINE
            self._end(channel, 0)
            return
        channel.stasis, channel.has_been_in_stasis = name, True
        if channel.owner != name:  # who made a channel hears of it anyway
            self._state.applications[name].subscribe("channel", channel.id)
        self._tell_stasis_start(channel, name, arguments)

    def _tell_stasis_start(self, channel: Channel, name: str, arguments: str) -> None:
        event = {"type": "StasisStart", "args": arguments.split(",") if arguments else []}
        self._state.tell(self._state.applications[name], {**event, "channel": channel.describe()})

    def leave_stasis(self, channel: Channel) -> None:
        """Take a channel out of bridges and out of its application."""
        for leave in self.on_leaving:
            leave(channel)
        self._state.media.idle(channel.id)
        name, channel.stasis = channel.stasis, None
        if application := self._state.applications.get(name or ""):
            self._state.tell(application, {"type": "StasisEnd", "channel": channel.describe()})
            if channel.owner != application.name:
                application.unsubscribe("channel", channel.id)

    def move(self, channel: Channel, app: str, arguments: str) -> None:
        """Hand a channel over to another application, if somebody listens there."""
        new, old = self._state.applications.get(app), self._state.applications.get(channel.stasis or "")
        split = arguments.split(",") if arguments else []
        if new is None:
            fields: dict[str, Any] = {"destination": app, "args": split}
            if old:
                self._state.tell(old, {"type": "ApplicationMoveFailed", "channel": channel.describe(), **fields})
            return
        if old:
            self._state.tell(old, {"type": "StasisEnd", "channel": channel.describe()})
            old.unsubscribe("channel", channel.id)
        new.subscribe("channel", channel.id)
        channel.stasis = channel.owner = app
        self._tell_stasis_start(channel, app, arguments)

    def continue_in_dialplan(self, channel: Channel, context: str, exten: str, priority: int) -> None:
        """Let a channel leave Stasis for the dialplan; where nothing is, it ends."""
        channel.context, channel.exten, channel.priority = context, exten, priority
        self._state.soon(partial(self._continue, channel))

    def _continue(self, channel: Channel) -> None:
        if channel.stasis is not None and not channel.ending:
            self.leave_stasis(channel)
            self.dialplan.run(channel)

    def to_dialplan(self, context: str, exten: str, priority: int) -> Callable[[Channel], None]:
        """Return a target for :meth:`originate` that is a place in the dialplan."""

        def go(channel: Channel) -> None:
            channel.context, channel.exten, channel.priority = context, exten, priority
            self.dialplan.run(channel)

        return go

    # The end

    def hang_up(self, channel: Channel, cause: int = NORMAL) -> None:
        """Ask a channel to end; asking twice is as good as once."""
        self._state.publish_channel("ChannelHangupRequest", channel, cause=_SOFT_HANGUP_BY_ASYNC, soft=True)
        self.end(channel, cause)

    def end(self, channel: Channel, cause: int) -> None:
        """Let a channel end a moment later, as its own thread would."""
        if not channel.ending:
            channel.ending = True
            self._state.soon(partial(self._end, channel, cause))

    def _end(self, channel: Channel, cause: int) -> None:
        """End a channel, and with it the other half of a Local one and those who listen to it."""
        # It may have ended otherwise meanwhile, and another have its id now.
        if self._state.find_channel(channel.id) is not channel:
            return
        twin = self._state.find_channel(channel.twin) if channel.twin else None
        if channel.stasis is not None:
            self.leave_stasis(channel)
        self._tell_stasis_status(channel)
        if twin is not None:
            self._state.publish_channel("ChannelHangupRequest", twin, cause=NORMAL)
        self.destroy(channel, cause)
        if twin is not None:
            # Who was never answered hears why.
            told = cause if twin.id in self._unanswered else NORMAL
            self._state.publish_channel("ChannelHangupRequest", twin, cause=told, soft=True)
            twin.ending, twin.twin = True, None
            self._end(twin, told)

    def _tell_stasis_status(self, channel: Channel) -> None:
        if channel.has_been_in_stasis and channel.variables.get("STASISSTATUS") != "SUCCESS":
            self._state.set_variable(channel, "STASISSTATUS", "SUCCESS")

    def destroy(self, channel: Channel, cause: int) -> None:
        """Let a channel be no more."""
        channel.ending = True
        self._unanswered.pop(channel.id, None)
        self._tell_stasis_status(channel)
        channel.application = OUTGOING_LINE if not channel.name.endswith(";2") else channel.application
        self._state.publish_channel("ChannelDestroyed", channel, cause=cause, cause_txt=cause_text(cause))
        self._state.media.close(channel.id)
        self._state.remove_channel(channel)
        for listener in [one for one in self._state.channels if one.snooped == channel.id]:
            listener.ending = True
            self._end(listener, NORMAL)

    # Variables

    def write_variable(self, channel: Channel, name: str, value: str) -> None:
        """Set a variable, or act on the channel by a function."""
        if name == "CHANNEL(language)":
            channel.language = value
        elif not name.endswith(")"):
            self._state.set_variable(channel, name, value)

    @staticmethod
    def read_variable(channel: Channel, name: str) -> str | None:
        """Return a variable, or what a function tells; None where there is none."""
        if not name.endswith(")"):
            return channel.variables.get(name)
        functions = {
            "CHANNEL(state)": channel.state,
            "CHANNEL(name)": channel.name,
            "CHANNEL(language)": channel.language,
            "CHANNEL(channeltype)": channel.technology,
            "CHANNEL(uniqueid)": channel.id,
            "CALLERID(name)": channel.caller.name,
            "CALLERID(num)": channel.caller.number,
        }
        if name not in functions:
            raise Refused(500, "Unable to read provided function")
        return functions[name]

    def local_ids(self, channel_id: str, other_id: str = "") -> tuple[str, str]:
        """Check ids that were asked for, and make up what was not; refuse with 409 what is taken."""
        taken = Refused(409, "Channel with given unique ID already exists")
        # Ids clash whatever their case, as with `is_taken`.
        if channel_id and channel_id.lower() == other_id.lower():
            raise taken
        for asked in filter(None, (channel_id, other_id)):
            if self._state.is_taken(asked):
                raise taken
        return channel_id or self._state.new_channel_id(), other_id

    @staticmethod
    def check_formats(names: Sequence[str]) -> None:
        """Refuse formats that are not known."""
        for name in names:
            if name not in FORMATS:
                raise Refused(400, f"Provided format ({name}) was not found")
