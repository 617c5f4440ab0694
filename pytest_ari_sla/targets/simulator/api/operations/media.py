"""Operations on playbacks and recordings, and how they are started on a channel or a bridge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.targets.simulator.api.route import operation
from pytest_ari_sla.targets.simulator.pbx.audio.recording import EMPTY_WAV, FORMATS
from pytest_ari_sla.targets.simulator.pbx.reply import NO_CONTENT, Refused, Reply

if TYPE_CHECKING:
    from pytest_ari_sla.targets.simulator.api.route import Arguments
    from pytest_ari_sla.targets.simulator.pbx.pbx import Pbx
    from pytest_ari_sla.targets.simulator.pbx.resources import Recording

__all__ = ["ROUTES", "play", "record"]

_IF_EXISTS = frozenset({"fail", "overwrite", "append"})
_TERMINATORS = frozenset({"none", "any", "*", "#"})


def play(pbx: Pbx, target: str, arguments: Arguments) -> Reply:
    """Queue media for a target (``channel:<id>`` or ``bridge:<id>``)."""
    for name in ("skipms", "offsetms"):
        if arguments.number(name) < 0:
            raise Refused(400, f"{name} cannot be negative")
    media, language = arguments.words("media"), arguments.text("lang", "en")
    playback = pbx.playing.queue(target, arguments.text("playbackId"), media, language)
    return Reply(201, playback.describe())


def record(pbx: Pbx, target: str, arguments: Arguments) -> Reply:
    """Begin to record a target (``channel:<id>`` or ``bridge:<id>``)."""
    limits = {"maxDurationSeconds": "max_duration_seconds", "maxSilenceSeconds": "max_silence_seconds"}
    for name, told in limits.items():
        if arguments.number(name) < 0:
            raise Refused(400, f"{told} cannot be negative")
    if_exists = arguments.text("ifExists", "fail")
    if if_exists not in _IF_EXISTS:
        raise Refused(400, "ifExists invalid")
    if arguments.text("terminateOn", "none") not in _TERMINATORS:
        raise Refused(400, "terminateOn invalid")
    file_format = arguments.text("format")
    if file_format not in FORMATS:
        raise Refused(422, "specified format is unknown on this system")
    # A real 22.10.1 dies of a missing name.
    name, limit_s = arguments.required("name", "Missing parameter name"), arguments.number("maxDurationSeconds")
    replace = if_exists != "fail"
    recording = pbx.recording.begin(target, name, file_format, replace=replace, limit_s=limit_s)
    return Reply(201, recording.describe())


def _get_playback(pbx: Pbx, arguments: Arguments) -> Reply:
    return Reply(body=pbx.playing.find(arguments.text("playbackId")).describe())


def _stop_playback(pbx: Pbx, arguments: Arguments) -> Reply:
    pbx.playing.stop(pbx.playing.find(arguments.text("playbackId")))
    return NO_CONTENT


def _control_playback(pbx: Pbx, arguments: Arguments) -> Reply:
    chosen = arguments.required("operation", "Missing operation")
    pbx.playing.control(pbx.playing.find(arguments.text("playbackId")), chosen)
    return NO_CONTENT


def _live(pbx: Pbx, arguments: Arguments) -> Recording:
    return pbx.recording.live(arguments.text("recordingName"))


def _get_live(pbx: Pbx, arguments: Arguments) -> Reply:
    return Reply(body=_live(pbx, arguments).describe())


def _stop_live(pbx: Pbx, arguments: Arguments) -> Reply:
    pbx.recording.finish(_live(pbx, arguments))
    return NO_CONTENT


def _cancel_live(pbx: Pbx, arguments: Arguments) -> Reply:
    pbx.recording.finish(_live(pbx, arguments), keep=False)
    return NO_CONTENT


def _pause_live(pbx: Pbx, arguments: Arguments) -> Reply:
    _live(pbx, arguments).state = "paused"
    return NO_CONTENT


def _unpause_live(pbx: Pbx, arguments: Arguments) -> Reply:
    _live(pbx, arguments).state = "recording"
    return NO_CONTENT


def _mute_live(pbx: Pbx, arguments: Arguments) -> Reply:
    _live(pbx, arguments)  # nothing is kept anyway
    return NO_CONTENT


def _list_stored(pbx: Pbx, arguments: Arguments) -> Reply:
    del arguments
    return Reply(body=[pbx.recording.stored(name) for name in pbx.state.stored_recordings])


def _get_stored(pbx: Pbx, arguments: Arguments) -> Reply:
    return Reply(body=pbx.recording.stored(arguments.text("recordingName")))


def _delete_stored(pbx: Pbx, arguments: Arguments) -> Reply:
    del pbx.state.stored_recordings[pbx.recording.stored(arguments.text("recordingName"))["name"]]
    return NO_CONTENT


def _get_file(pbx: Pbx, arguments: Arguments) -> Reply:
    file_format = pbx.recording.stored(arguments.text("recordingName"))["format"]
    content = EMPTY_WAV if file_format == "wav" else b""
    return Reply(body=content, headers={"Content-Type": f"audio/{file_format}"})


def _copy_stored(pbx: Pbx, arguments: Arguments) -> Reply:
    copy = arguments.required("destinationRecordingName", "Invalid destination recording name")
    original = pbx.recording.stored(arguments.text("recordingName"))
    if copy in pbx.state.stored_recordings:
        raise Refused(409, "A recording with the same name already exists on the system")
    pbx.state.stored_recordings[copy] = original["format"]
    return Reply(body=pbx.recording.stored(copy))


_PLAYBACK = "/playbacks/{playbackId}"
_LIVE = "/recordings/live/{recordingName}"
_STORED = "/recordings/stored/{recordingName}"

ROUTES = (
    operation("GET", _PLAYBACK, "get", "Playback", "", _get_playback),
    operation("DELETE", _PLAYBACK, "stop", "void", "", _stop_playback),
    operation("POST", f"{_PLAYBACK}/control", "control", "void", "operation!", _control_playback),
    operation("GET", "/recordings/stored", "listStored", "List[StoredRecording]", "", _list_stored),
    operation("GET", _STORED, "getStored", "StoredRecording", "", _get_stored),
    operation("DELETE", _STORED, "deleteStored", "void", "", _delete_stored),
    operation("GET", f"{_STORED}/file", "getStoredFile", "binary", "", _get_file),
    operation("POST", f"{_STORED}/copy", "copyStored", "StoredRecording", "destinationRecordingName!", _copy_stored),
    operation("GET", _LIVE, "getLive", "LiveRecording", "", _get_live),
    operation("DELETE", _LIVE, "cancel", "void", "", _cancel_live),
    operation("POST", f"{_LIVE}/stop", "stop", "void", "", _stop_live),
    operation("POST", f"{_LIVE}/pause", "pause", "void", "", _pause_live),
    operation("DELETE", f"{_LIVE}/pause", "unpause", "void", "", _unpause_live),
    operation("POST", f"{_LIVE}/mute", "mute", "void", "", _mute_live),
    operation("DELETE", f"{_LIVE}/mute", "unmute", "void", "", _mute_live),
)
