"""The simulated PBX: state and rules, joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.targets.simulator.pbx.audio.playing import Playing
from pytest_ari_sla.targets.simulator.pbx.audio.recording import RecordingDesk
from pytest_ari_sla.targets.simulator.pbx.bridging import Bridging
from pytest_ari_sla.targets.simulator.pbx.calls import Calls
from pytest_ari_sla.targets.simulator.pbx.streams import Streams

if TYPE_CHECKING:
    from pytest_ari_sla.targets.simulator.pbx.state import PbxState

__all__ = ["Pbx"]


class Pbx:
    """Everything that an operation of ARI can work on.

    Parameters
    ----------
    state
        State of the PBX.

    Attributes
    ----------
    calls, streams, bridging, playing, recording
        The rules for channels, media over TCP, bridges, playbacks and recordings.
    """

    def __init__(self, state: PbxState) -> None:
        self.state = state
        self.calls = Calls(state)
        self.streams = Streams(state, self.calls)
        self.bridging = Bridging(state)
        self.playing = Playing(state)
        self.recording = RecordingDesk(state)
        # In the order in which Asterisk tells of it.
        self.calls.on_leaving += [
            self.playing.let_go_of_channel,
            self.recording.let_go_of_channel,
            self.bridging.let_go_of_channel,
        ]
        self.bridging.on_destroying += [self.playing.let_go_of_bridge, self.recording.let_go_of_bridge]
