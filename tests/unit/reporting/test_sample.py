import re
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from pytest_ari_sla.reporting.record.record_file import read_record
from pytest_ari_sla.reporting.report_folder import render
from tests import record_console
from tests.make_sample import SAMPLE


@pytest.mark.parametrize("name", ["report.html", "summary.md", "calls.csv"])
def test_the_committed_sample_is_what_its_record_gives(tmp_path: Path, name: str) -> None:
    """After a change of templates or charts, ``python -m tests.make_sample`` renders it again."""
    shutil.copy(SAMPLE / "report.json", tmp_path)
    render(tmp_path)
    assert (tmp_path / name).read_bytes() == (SAMPLE / name).read_bytes()


def test_every_capture_that_the_sample_links_is_there() -> None:
    """And the JUnit file beside it holds the verdicts."""
    record = read_record(SAMPLE)
    linked = [call.capture for scenario in record.scenarios for call in scenario.worst_calls if call.capture]
    assert linked
    assert all((SAMPLE / path).is_file() for path in linked)
    junit = ElementTree.parse(SAMPLE / "junit.xml")
    verdicts = [item.get("value") for item in junit.iter("property") if item.get("name") == "sla.verdict"]
    assert verdicts == [scenario.verdict for scenario in record.scenarios]


def test_the_sample_comes_from_a_real_asterisk_and_has_something_to_show() -> None:
    """Passing and failing scenarios, calls one by one, and a heat map."""
    record = read_record(SAMPLE)
    assert not record.simulated
    assert {scenario.verdict for scenario in record.scenarios} >= {"pass", "fail"}
    assert all(scenario.call_table and scenario.call_grid for scenario in record.scenarios)


@pytest.mark.parametrize("columns", record_console.WIDTHS)
@pytest.mark.parametrize("name", [recording.name for recording in record_console.RECORDINGS])
def test_the_recorded_console_fits_its_terminal(name: str, columns: int) -> None:
    """During the load and at its end; a fleet shows every shard, and a broken limit is called broken."""
    text = (record_console.FOLDER / f"{name}-{columns}.txt").read_text()
    _, *frames = re.split(r"^~+ (.*) ~+$", text, flags=re.MULTILINE)
    assert max(map(len, text.splitlines())) <= columns
    pictures = [frame for frame in frames if "Calls: " in frame]
    assert len(pictures) == len(record_console.MOMENTS_S)
    assert all(("Shard 2: " in picture) == (name == "fleet") for picture in pictures)
    assert all(("BROKEN" in picture) == (name == "broken-threshold") for picture in pictures)
    assert "SLA verdict: " in frames[-1]
