"""The dialplan of the simulator: which extension runs which applications."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_ari_sla.targets.simulator.pbx.resources import OUTGOING_LINE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_ari_sla.targets.simulator.pbx.resources import Channel
    from pytest_ari_sla.targets.simulator.pbx.state import PbxState

__all__ = ["EXTENSIONS", "Dialplan"]

EXTENSIONS: Mapping[tuple[str, str], tuple[str, ...]] = {("default", "echo"): ("Answer", "Echo", "Hangup")}
"""Applications by context and extension; priorities count from 1. The same as a private Asterisk's."""


class Dialplan:
    """Runs channels through extensions.

    Parameters
    ----------
    state
        State of the PBX.
    answer
        Takes a channel off the hook.
    destroy
        Ends a channel that has nothing left to run, with a cause.
    """

    def __init__(
        self, state: PbxState, answer: Callable[[Channel], None], destroy: Callable[[Channel, int], None]
    ) -> None:
        self._state = state
        self._answer = answer
        self._destroy = destroy

    @staticmethod
    def knows(context: str, exten: str, priority: int = 1) -> bool:
        """Whether there is something to run."""
        return 0 < priority <= len(EXTENSIONS.get((context, exten), ()))

    def run(self, channel: Channel) -> None:
        """Run the application at a channel's place, and what follows it."""
        if channel.ending or self._state.find_channel(channel.id) is not channel:
            return
        applications = EXTENSIONS.get((channel.context, channel.exten), ())
        if not 0 < channel.priority <= len(applications):
            channel.application = OUTGOING_LINE
            self._destroy(channel, 0)
            return
        application = applications[channel.priority - 1]
        channel.application = (application, "")
        self._state.publish_channel("ChannelDialplan", channel, dialplan_app=application, dialplan_app_data="")
        self._perform(application, channel)

    def _perform(self, application: str, channel: Channel) -> None:
        """Do what an application does; Echo() lasts until the channel ends."""
        match application:
            case "Answer":
                self._answer(channel)
                channel.priority += 1
                self._state.soon(partial(self.run, channel))
            case "Echo":
                self._state.media.echo(channel.id)
            case "Hangup":
                self._destroy(channel, 16)
