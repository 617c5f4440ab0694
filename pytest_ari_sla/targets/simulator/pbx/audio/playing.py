"""Playbacks: one after the other for each channel or bridge; played, paused, stopped."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_ari_sla.targets.simulator.pbx.audio.prompts import length_ns
from pytest_ari_sla.targets.simulator.pbx.reply import Refused
from pytest_ari_sla.targets.simulator.pbx.resources import Playback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.targets.simulator.pbx.resources import Bridge, Channel
    from pytest_ari_sla.targets.simulator.pbx.state import PbxState

__all__ = ["OPERATIONS", "Playing"]

OPERATIONS = frozenset({"restart", "pause", "unpause", "reverse", "forward"})
"""What ``POST /playbacks/{playbackId}/control`` can do."""


class Playing:
    """Playbacks of the PBX.

    Parameters
    ----------
    state
        State of the PBX.
    """

    def __init__(self, state: PbxState) -> None:
        self._state = state
        self._lines: dict[str, list[Playback]] = {}

    def queue(self, target: str, playback_id: str, media: Sequence[str], language: str) -> Playback:
        """Let media be played to a target (``channel:<id>`` or ``bridge:<id>``) after what it is played already."""
        playback = Playback(playback_id or self._state.new_uuid(), target, language, list(media))
        self._state.playbacks[playback.id] = playback
        line = self._lines.setdefault(target, [])
        line.append(playback)
        if len(line) == 1:
            self._state.soon(partial(self._start, playback))
        return playback

    def find(self, playback_id: str) -> Playback:
        """Return a playback by its id, or refuse with 404."""
        if found := self._state.playbacks.get(playback_id):
            return found
        raise Refused(404, "Playback not found")

    def stop(self, playback: Playback) -> None:
        """End a playback as if it were over."""
        self._state.soon(partial(self._finish, playback, "done"))

    def control(self, playback: Playback, operation: str) -> None:
        """Pause a playback, go on with it, or move within it."""
        if operation not in OPERATIONS:
            raise Refused(400, f"Invalid operation {operation}")
        if operation == "pause" and playback.state == "playing":
            self._pause(playback)
        elif operation == "unpause" and playback.state == "paused":
            self._play(playback, playback.remaining_ns)
        elif operation == "restart" and playback.state == "playing":
            self._schedule_end(playback, length_ns(playback.media[0]))

    def let_go_of_channel(self, channel: Channel) -> None:
        """Fail what is played to a channel that leaves."""
        self._clear(f"channel:{channel.id}")

    def let_go_of_bridge(self, bridge: Bridge) -> None:
        """Fail what is played into a bridge that goes."""
        self._clear(f"bridge:{bridge.id}")

    def _clear(self, target: str) -> None:
        for playback in list(self._lines.get(target, ())):
            self._finish(playback, "failed", start_next=False)

    def _start(self, playback: Playback) -> None:
        if playback.id in self._state.playbacks and playback.state in ("queued", "continuing"):
            self._play(playback, length_ns(playback.media[0]))

    def _play(self, playback: Playback, remaining_ns: int | None) -> None:
        playback.state = "playing"
        self._publish("PlaybackStarted", playback)
        if remaining_ns is not None and remaining_ns < 0:
            self._finish(playback, "failed")
            return
        if channel := self._channel_of(playback):
            self._state.media.play(channel, playback.media[0].partition(":")[2])
        self._schedule_end(playback, remaining_ns)

    def _schedule_end(self, playback: Playback, remaining_ns: int | None) -> None:
        if playback.end:
            playback.end.cancel()
        playback.end = None
        if remaining_ns is not None:
            playback.end = self._state.scheduler.after(remaining_ns, partial(self._next_medium, playback))

    def _pause(self, playback: Playback) -> None:
        playback.state = "paused"
        playback.remaining_ns = playback.end.due_ns - self._state.scheduler.now_ns if playback.end else None
        self._schedule_end(playback, None)
        self._silence(playback)

    def _next_medium(self, playback: Playback) -> None:
        if len(playback.media) == 1:
            self._finish(playback, "done")
            return
        playback.state = "continuing"
        self._publish("PlaybackContinuing", playback)
        playback.media.pop(0)
        self._start(playback)

    def _finish(self, playback: Playback, state: str, *, start_next: bool = True) -> None:
        line = self._lines.get(playback.target, [])
        if playback not in line:
            return
        self._schedule_end(playback, None)
        self._silence(playback)
        line.remove(playback)
        if self._state.playbacks.get(playback.id) is playback:
            del self._state.playbacks[playback.id]
        playback.state = state
        self._publish("PlaybackFinished", playback)
        if not line:
            del self._lines[playback.target]
        elif start_next:
            self._state.soon(partial(self._start, line[0]))

    def _silence(self, playback: Playback) -> None:
        if channel := self._channel_of(playback):
            self._state.media.stop_playing(channel)

    @staticmethod
    def _channel_of(playback: Playback) -> str:
        kind, _, identifier = playback.target.partition(":")
        return identifier if kind == "channel" else ""

    def _publish(self, event_type: str, playback: Playback) -> None:
        kind, _, identifier = playback.target.partition(":")
        self._state.publish(kind, identifier, {"type": event_type, "playback": playback.describe()})
