"""The words of a script, and what is refused."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_ari_sla.callers.audio import compile_script
from pytest_ari_sla.callers.steps import check_script, dial, hang_up, listen, say, wait
from pytest_ari_sla.callers.wav import read_wav
from pytest_ari_sla.capture.call_audio import write_wav
from pytest_ari_sla.codecs.g711 import pcmu
from pytest_ari_sla.codecs.speech import speech_like
from pytest_ari_sla.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

MS = 1_000_000


def test_a_wav_lies_beside_the_file_that_names_it(tmp_path: Path) -> None:
    """Wherever pytest was started; a test's own folder is where its audio belongs."""
    write_wav(tmp_path / "question.wav", speech_like(1, 8000)[:, None], 8000)
    (tmp_path / "scripts.py").write_text("from pytest_ari_sla import say\nSTEP = say('question.wav')\n")
    names: dict[str, Any] = {"__file__": str(tmp_path / "scripts.py")}
    exec(compile((tmp_path / "scripts.py").read_text(), "scripts.py", "exec"), names)
    assert names["STEP"].audio == tmp_path / "question.wav"


@pytest.mark.parametrize("content", [None, b"", b"RIFF....", b"no audio at all"])
def test_a_wav_that_cannot_be_read_is_refused_where_it_is_named(tmp_path: Path, content: bytes | None) -> None:
    """So that a script at the top of a file is an error when the file is collected."""
    path = tmp_path / "broken.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"say\(broken.wav\)"):
        say(path)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_pcm_of_any_width_is_read(tmp_path: Path, width: int, channels: int) -> None:
    """The first channel of it."""
    values = np.array([0, 16384, -16384, 256], np.int64)
    shifted = values // 256 + 128 if width == 1 else values << 8 * (width - 2)
    stored = np.repeat(shifted, channels)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(44_100)
        file.writeframes(b"".join(int(value).to_bytes(width, "little", signed=width > 1) for value in stored))
    samples, rate_hz = read_wav(tmp_path / "a.wav")
    assert rate_hz == 44_100
    assert samples.tolist() == values.tolist()


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 16_000, 44_100, 48_000])
def test_what_is_said_is_resampled_and_its_speech_found(tmp_path: Path, rate_hz: int) -> None:
    """Silence at the edges of a file belongs to nobody's turn."""
    time_s = np.arange(rate_hz) / rate_hz
    tone = (9000 * np.sin(2 * np.pi * 400 * time_s)).astype(np.int16)
    quiet = np.zeros(rate_hz // 2, np.int16)
    write_wav(tmp_path / "a.wav", np.concatenate([quiet, tone, quiet])[:, None], rate_hz)
    script = compile_script([say(tmp_path / "a.wav"), dial("12")], pcmu(), 20)
    said, dialled = script.utterances[0], script.utterances[1]
    assert abs(said.starts_ns - 500 * MS) <= 10 * MS
    assert abs(said.ends_ns - 1500 * MS) <= 10 * MS
    assert (dialled.starts_ns, dialled.ends_ns) == (0, 300 * MS)
    assert len({voice.frames.shape[1] for voice in script.voices}) == 1
    decoded = pcmu().decode(script.voices[said.voice].frames)
    spectrum = np.abs(np.fft.rfft(decoded[6000:10_000].astype(float)))
    assert abs(int(spectrum.argmax()) * 2 - 400) <= 4


def test_a_voice_is_followed_by_silence_for_longer_than_an_order_may_take() -> None:
    """Voices sound over and over: one that begins again would be heard."""
    script = compile_script([say(speech_like(1, 16_000))], pcmu(), 20)
    assert len(script.voices[0].frames) == 1
    tail = pcmu().decode(script.voices[1].frames)[8100:]
    assert len(tail) > 8000
    assert np.abs(tail).max() < 100


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: dial("12x"), "the keys are"),
        (lambda: dial(""), "the keys are"),
        (lambda: listen(within="0s"), "no time at all"),
        (lambda: listen(silence="soon"), "not a duration"),
        (lambda: hang_up(by="me"), "'us' or 'them'"),
        (lambda: say(np.zeros(5).astype(object)), "samples as int16"),
        (lambda: say(np.zeros((5, 2), np.int16)), "samples as int16"),
        (lambda: check_script([]), "a list of steps"),
        (lambda: check_script("listen"), "a list of steps"),
        (lambda: check_script([listen]), "step 1 of the script is"),
        (lambda: check_script([listen(), 5]), "step 2 of the script is 5"),
        (lambda: compile_script([say(np.zeros(16_000, np.int16))], pcmu(), 20), "nothing to be heard"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(make: Any, words: str) -> None:
    """Before the load begins."""
    with pytest.raises(UsageError, match=words):
        make()


def test_a_script_of_all_steps_is_taken() -> None:
    """Functions as well."""
    steps = [listen(), say(speech_like(1, 16_000)), dial("1#"), wait("1s"), hang_up(), print]
    assert check_script(steps) == tuple(steps)
