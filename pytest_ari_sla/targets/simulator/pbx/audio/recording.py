"""Recordings, as far as ARI tells of them: nothing that is said is kept."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_ari_sla.targets.simulator.pbx.reply import Refused
from pytest_ari_sla.targets.simulator.pbx.resources import Recording

if TYPE_CHECKING:
    from pytest_ari_sla.targets.simulator.pbx.resources import Bridge, Channel
    from pytest_ari_sla.targets.simulator.pbx.state import PbxState

__all__ = ["EMPTY_WAV", "FORMATS", "RecordingDesk"]

FORMATS = frozenset({"wav", "ulaw", "alaw", "gsm", "sln"})
"""Formats that a recording can be made in."""

_SECOND_NS = 1_000_000_000
# A WAV file of 16-bit samples at 8 kHz without any samples.
EMPTY_WAV = (
    b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0"
    + (8000).to_bytes(4, "little")
    + (16_000).to_bytes(4, "little")
    + b"\x02\0\x10\0data\0\0\0\0"
)


class RecordingDesk:
    """Recordings of the PBX: those being made, and those that are stored.

    Parameters
    ----------
    state
        State of the PBX.
    """

    def __init__(self, state: PbxState) -> None:
        self._state = state

    def begin(self, target: str, name: str, file_format: str, *, replace: bool, limit_s: int) -> Recording:
        """Record a target (``channel:<id>`` or ``bridge:<id>``); for at most ``limit_s`` unless that is 0."""
        stored = name in self._state.stored_recordings and not replace
        if name in self._state.recordings or stored:
            raise Refused(409, f"Recording '{name}' already exists and can not be overwritten")
        recording = Recording(name, file_format, target)
        self._state.recordings[name] = recording
        self._state.soon(partial(self._start, recording, limit_s))
        return recording

    def live(self, name: str) -> Recording:
        """Return a recording that is being made, or refuse with 404."""
        if found := self._state.recordings.get(name):
            return found
        raise Refused(404, "Recording not found")

    def stored(self, name: str) -> dict[str, str]:
        """Return what ARI tells of a stored recording, or refuse with 404."""
        if name in self._state.stored_recordings:
            return {"name": name, "format": self._state.stored_recordings[name]}
        raise Refused(404, "Recording not found")

    def finish(self, recording: Recording, *, keep: bool = True) -> None:
        """End a recording, and store it or not."""
        if self._state.recordings.pop(recording.name, None) is None:
            return
        if recording.end:
            recording.end.cancel()
        if keep:
            self._state.stored_recordings[recording.name] = recording.format
        recording.state = "done"
        elapsed_ns = self._state.scheduler.now_ns - recording.started_ns
        self._publish("RecordingFinished", recording, duration=elapsed_ns // _SECOND_NS)

    def let_go_of_channel(self, channel: Channel) -> None:
        """End the recordings of a channel that leaves."""
        self._end_all(f"channel:{channel.id}")

    def let_go_of_bridge(self, bridge: Bridge) -> None:
        """End the recordings of a bridge that goes."""
        self._end_all(f"bridge:{bridge.id}")

    def _end_all(self, target: str) -> None:
        for recording in [one for one in self._state.recordings.values() if one.target == target]:
            self.finish(recording)

    def _start(self, recording: Recording, limit_s: int) -> None:
        if self._state.recordings.get(recording.name) is not recording:
            return
        recording.state = "recording"
        recording.started_ns = self._state.scheduler.now_ns
        self._publish("RecordingStarted", recording)
        if limit_s:
            recording.end = self._state.scheduler.after(limit_s * _SECOND_NS, partial(self.finish, recording))

    def _publish(self, event_type: str, recording: Recording, **fields: int) -> None:
        kind, _, identifier = recording.target.partition(":")
        event = {"type": event_type, "recording": {**recording.describe(), **fields}}
        self._state.publish(kind, identifier, event)
