from pathlib import Path

import pytest

from pytest_ari_sla.capture.kept_packets import PackedStream
from pytest_ari_sla.codecs.g711 import pcmu
from pytest_ari_sla.judging.judged_load import CapturedCall, JudgedLoad
from pytest_ari_sla.session.reports.audio import write_audio
from tests.unit.batches import START_NS
from tests.unit.capture.test_call_audio import stream
from tests.unit.reporting.factory import make_scenario

PATH = "captures/c1.wav"


@pytest.fixture
def load() -> JudgedLoad:
    """A load whose worst call can be heard."""
    scenario = make_scenario("fail")
    scenario.worst_calls[0].audio = PATH
    packed = [PackedStream.of(stream([START_NS], is_sent=is_sent)) for is_sent in (True, False)]
    return JudgedLoad(scenario, captures=[CapturedCall("captures/c1.pcapng", "", packed, PATH)])


def test_the_worst_call_can_be_heard(load: JudgedLoad, tmp_path: Path) -> None:
    """The record points to the file."""
    assert write_audio(load, {"PCMU": pcmu()}, tmp_path) == []
    assert (tmp_path / load.scenario.worst_calls[0].audio).stat().st_size > 4 * 160


def test_a_codec_that_cannot_be_decoded_costs_the_audio_and_nothing_else(load: JudgedLoad, tmp_path: Path) -> None:
    """It is said in a note, and the record points nowhere."""
    (note,) = write_audio(load, {}, tmp_path)
    assert "codec PCMU is not known to this process" in note
    assert load.scenario.worst_calls[0].audio == ""
    assert not list(tmp_path.rglob("*.wav"))
