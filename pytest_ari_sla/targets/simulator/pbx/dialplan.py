"""The dialplan of the simulator: which extension runs which applications."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_ari_sla.targets.simulator.pbx.resources import OUTGOING_LINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_ari_sla.targets.simulator.pbx.resources import Channel
    from pytest_ari_sla.targets.simulator.pbx.state import PbxState

__all__ = ["Dialplan", "applications_of"]

_ECHO = (("Answer", ""), ("Echo", ""), ("Hangup", ""))


def applications_of(context: str, exten: str) -> tuple[tuple[str, str], ...]:
    """Return what an extension runs: applications and their data; priorities count from 1.

    The same as a private Asterisk's: ``echo@default``, and in ``stasis`` an extension for each application's name.
    """
    if (context, exten) == ("default", "echo"):
        return _ECHO
    # The pattern _[A-Za-z0-9]. wants one character more than the first (extensions.conf).
    if context == "stasis" and len(exten) > 1 and exten[0].isalnum():
        return (("Stasis", exten), ("Hangup", ""))
    return ()


class Dialplan:
    """Runs channels through extensions.

    Parameters
    ----------
    state
        State of the PBX.
    answer
        Takes a channel off the hook.
    enter_stasis
        Hands a channel to the application that is named, with arguments.
    destroy
        Ends a channel that has nothing left to run, with a cause.
    """

    def __init__(
        self,
        state: PbxState,
        answer: Callable[[Channel], None],
        enter_stasis: Callable[[Channel, tuple[str, str]], None],
        destroy: Callable[[Channel, int], None],
    ) -> None:
        self._state = state
        self._answer = answer
        self._enter_stasis = enter_stasis
        self._destroy = destroy

    @staticmethod
    def knows(context: str, exten: str, priority: int = 1) -> bool:
        """Whether there is something to run."""
        return 0 < priority <= len(applications_of(context, exten))

    def run(self, channel: Channel) -> None:
        """Run the application at a channel's place, and what follows it."""
        if channel.ending or self._state.find_channel(channel.id) is not channel:
            return
        applications = applications_of(channel.context, channel.exten)
        if not 0 < channel.priority <= len(applications):
            channel.application = OUTGOING_LINE
            self._destroy(channel, 0)
            return
        application, data = applications[channel.priority - 1]
        channel.application = (application, data)
        self._state.publish_channel("ChannelDialplan", channel, dialplan_app=application, dialplan_app_data=data)
        self._perform(application, data, channel)

    def _perform(self, application: str, data: str, channel: Channel) -> None:
        """Do what an application does; Echo() lasts until the channel ends."""
        match application:
            case "Stasis":
                self._enter_stasis(channel, (data, ""))
            case "Answer":
                self._answer(channel)
                channel.priority += 1
                # Not at once: events of the answer come before the next priority's.
                self._state.soon(partial(self.run, channel))
            case "Echo":
                self._state.media.echo(channel.id)
            case "Hangup":
                self._destroy(channel, 16)  # normal clearing (ITU-T Q.850)
