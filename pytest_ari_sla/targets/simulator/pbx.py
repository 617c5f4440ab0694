"""The simulated PBX: state and rules, joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.targets.simulator.bridging import Bridging
from pytest_ari_sla.targets.simulator.calls import Calls
from pytest_ari_sla.targets.simulator.playing import Playing
from pytest_ari_sla.targets.simulator.recording import RecordingDesk

if TYPE_CHECKING:
    from pytest_ari_sla.targets.simulator.world import World

__all__ = ["Pbx"]


class Pbx:
    """Everything that an operation of ARI can work on.

    Parameters
    ----------
    world
        State of the PBX.

    Attributes
    ----------
    calls, bridging, playing, recording
        The rules for channels, bridges, playbacks and recordings.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.calls = Calls(world)
        self.bridging = Bridging(world)
        self.playing = Playing(world)
        self.recording = RecordingDesk(world)
        # In the order in which Asterisk tells of it.
        self.calls.on_leaving += [
            self.playing.let_go_of_channel,
            self.recording.let_go_of_channel,
            self.bridging.let_go_of_channel,
        ]
        self.bridging.on_destroying += [self.playing.let_go_of_bridge, self.recording.let_go_of_bridge]
