"""The worst calls as one hears them: a WAV beside the packets of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_ari_sla.hookspecs.codec import Codec
    from pytest_ari_sla.judging.judged_load import CapturedCall, JudgedLoad

__all__ = ["write_audio"]


def write_audio(load: JudgedLoad, codecs: Mapping[str, Codec], folder: Path) -> list[str]:
    """Write the audio of the calls that a scenario's record shows; return what could not be, and why.

    Parameters
    ----------
    load
        One load; a call whose audio cannot be written points to none from then on.
    codecs
        All that there are, by name.
    folder
        The report's.
    """
    notes: dict[str, None] = {}
    kept = {capture.audio: capture for capture in load.captures if capture.audio}
    for call in load.scenario.worst_calls:
        if call.audio:
            try:
                _write(kept[call.audio], codecs, folder)
            except Exception as error:  # a plug-in's codec may raise anything, and a disk may be full
                notes[f"There is no audio of {call.id}: {str(error) or type(error).__name__}"] = None
                call.audio = ""
    return list(notes)


def _write(capture: CapturedCall, codecs: Mapping[str, Codec], folder: Path) -> None:
    from pytest_ari_sla.capture.call_audio import stereo, write_wav

    streams = [packed.unpacked() for packed in capture.streams if packed.payload_bytes]
    name = streams[0].encoding.rpartition("/")[0]
    if name not in codecs:
        message = f"codec {name} is not known to this process"
        raise LookupError(message)
    write_wav(folder / capture.audio, stereo(streams, codecs[name]), codecs[name].sample_rate_hz)
