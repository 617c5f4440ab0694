import subprocess
import sys
from pathlib import Path

import pytest

from pytest_ari_sla.cli import main
from pytest_ari_sla.reporting.record.record_file import read_record, write_record
from tests.unit.reporting.factory import make_record, make_scenario
from tests.unit.reporting.slower import slower


def stored(folder: Path, *, run_id: str, seed: int = 1) -> Path:
    """Write the record of a passing run into a folder, and return that."""
    record = make_record(make_scenario("pass", calls=10, seconds=300, seed=seed))
    record.run.id = run_id
    write_record(record, folder)
    return folder


def run(*words: object) -> int:
    """Run a command and return its exit code."""
    return main([str(word) for word in words])


def test_a_stored_report_is_rendered_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From report.json alone; the files are named."""
    folder = stored(tmp_path / "run", run_id="aa")
    assert run("report", "render", folder) == 0
    named = capsys.readouterr().out.splitlines()
    assert str(folder / "report.html") in named
    assert all(Path(name).is_file() for name in named)


def test_several_reports_become_one(tmp_path: Path) -> None:
    """The jobs of a matrix end in one page."""
    folders = [stored(tmp_path / name, run_id=name) for name in ("aa", "bb")]
    assert run("report", "merge", *folders, "--output", tmp_path / "all") == 0
    assert read_record(tmp_path / "all").run.id == "aa+bb"


def test_a_comparison_tells_of_each_figure_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run is as good as itself; the comparison can be kept as a report."""
    folder = stored(tmp_path / "aa", run_id="aa")
    assert run("report", "compare", folder, folder, "--max-regression", "20%", "-o", tmp_path / "both") == 0
    assert "rtt.p99 is the same" in capsys.readouterr().out
    (scenario,) = read_record(tmp_path / "both").scenarios
    assert scenario.baseline is not None
    assert scenario.baseline.max_regression == 0.2


def test_a_regression_is_an_exit_code(tmp_path: Path) -> None:
    """A CI job can gate on it."""
    before = stored(tmp_path / "before", run_id="aa")
    record = read_record(before)
    record.scenarios = [slower(record.scenarios[0], 1.3)]
    write_record(record, tmp_path / "after")
    assert run("report", "compare", before, tmp_path / "after") == 1


def test_a_regression_below_the_floor_is_none(tmp_path: Path) -> None:
    """Who knows what does not matter may say so."""
    before = stored(tmp_path / "before", run_id="aa")
    record = read_record(before)
    record.scenarios = [slower(record.scenarios[0], 1.3)]
    write_record(record, tmp_path / "after")
    assert run("report", "compare", before, tmp_path / "after", "--floor", "10s") == 0


def test_reports_of_different_scenarios_cannot_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing in common is no success."""
    before, after = stored(tmp_path / "aa", run_id="aa"), stored(tmp_path / "bb", run_id="bb")
    record = read_record(after)
    record.scenarios[0].nodeid = "test_other.py::test_other"
    write_record(record, after)
    assert run("report", "compare", before, after) == 2
    assert "no scenario in common" in capsys.readouterr().err


def test_what_is_no_report_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a traceback."""
    assert run("report", "render", tmp_path) == 2
    assert capsys.readouterr().err.startswith("ari-sla: cannot read")


def test_a_project_and_a_plugin_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each file is named."""
    assert run("init", tmp_path, "--ci", "none") == 0
    assert run("new", "tracker", "packet-size", "--in", tmp_path) == 0
    named = capsys.readouterr().out
    assert str(tmp_path / "scenarios" / "test_voice.py") in named
    assert str(tmp_path / "pytest-ari-sla-packet-size" / "pyproject.toml") in named


@pytest.mark.parametrize("command", ["echo", "relay", "simulator"])
def test_the_programs_have_a_help_of_their_own(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Their options are theirs."""
    with pytest.raises(SystemExit) as ended:
        run(command, "--help")
    assert ended.value.code == 0
    assert f"ari-sla {command}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [("sweep",), ("sweep", "http://pbx:8088", "--ari-password-file", "/nowhere/secret")])
def test_a_wrong_command_line_ends_with_2(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And accuses no test: there is none."""
    for name in ("ARI_URL", "ARI_USER", "ARI_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    assert run(*words) == 2
    assert "at fault" not in capsys.readouterr().err


def test_a_password_file_of_the_sweep_is_read_as_that_of_a_load(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be a password is refused before anything is sent."""
    (tmp_path / "secret").write_text("user\npassword")
    assert run("sweep", "http://127.0.0.1:1", "--ari-user", "me", "--ari-password-file", tmp_path / "secret") == 2
    assert "on one line" in capsys.readouterr().err


def folder_with(folder: Path, name: str, content: str) -> Path:
    """Make a folder that holds one file, and return it."""
    folder.mkdir()
    (folder / name).write_text(content, encoding="latin-1")
    return folder


@pytest.fixture
def wrong(tmp_path: Path) -> dict[str, Path]:
    """Places by the names that :data:`WRONG` has for them: one good report, and what is none."""
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "empty").mkdir()
    return {
        "REPORT": stored(tmp_path / "run", run_id="aa"),
        "FILE": tmp_path / "file",
        "BELOW_FILE": tmp_path / "file" / "x",
        "EMPTY": tmp_path / "empty",
        "GONE": tmp_path / "gone",
        "PROC": Path("/proc/x"),
        "NEWER": folder_with(tmp_path / "newer", "report.json", '{"schema": 999}'),
        "CUT": folder_with(tmp_path / "cut", "report.json", '{"schema": 1, "run'),
        "OTHER": folder_with(tmp_path / "other", "report.json", '["a", 1]'),
        "BINARY": folder_with(tmp_path / "binary", "report.json", "\xff\x00\x01"),
        "UNCLOSED": folder_with(tmp_path / "unclosed", "report.html", "{% if %}"),
        "UNDEFINED": folder_with(tmp_path / "undefined", "report.html", "{{ nothing.here }}"),
        "RAISES": folder_with(tmp_path / "raises", "report.html", "{{ 1 / 0 }}"),
        "LATIN": folder_with(tmp_path / "latin", "report.html", "\xe4"),
    }


WRONG = [
    *(
        f"report {action}"
        for place in ("EMPTY", "GONE", "NEWER", "CUT", "OTHER", "BINARY", "FILE")
        for action in (f"render {place}", f"merge REPORT {place} -o GONE", f"compare REPORT {place}")
    ),
    *(
        f"report {action} --templates {place}"
        for place in ("GONE", "FILE", "UNCLOSED", "UNDEFINED", "RAISES", "LATIN")
        for action in ("render REPORT", "merge REPORT -o GONE")
    ),
    *(
        f"{command} {place}"
        for place in ("PROC", "FILE", "BELOW_FILE")
        for command in ("report merge REPORT -o", "report compare REPORT REPORT -o", "init", "new tracker a-b --in")
    ),
    "report merge REPORT -o REPORT",
    "report compare REPORT REPORT --max-regression nan",
    "asterisk GONE",
    "sweep nonsense",
]


@pytest.mark.parametrize("words", WRONG)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    words: str, wrong: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr, with the exit code of a wrong command line: no traceback, and no half of a report."""
    before = sorted(tmp_path.rglob("*"))
    assert run(*(wrong.get(word, word) for word in words.split())) == 2
    told = capsys.readouterr()
    assert len(told.err.splitlines()) == 1
    assert told.err.startswith("ari-sla: ")
    assert not told.out
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "words",
    [
        "echo --port 99999",
        "echo --port -1",
        "echo --log /proc/x/y",
        "relay --echo 127.0.0.1:99999 --listen 127.0.0.1:0",
        "relay --echo 127.0.0.1:4000 --listen 127.0.0.1:0 --rtp-ports 5-4",
        "simulator --port 65536",
        "simulator --rtp-ports 1",
        "asterisk / --port 0",
    ],
)
def test_a_program_refuses_what_it_cannot_use(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before it starts anything."""
    with pytest.raises(SystemExit) as ended:
        run(*words.split())
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(("output", "code", "told"), [("| head -c 1", 0, ""), ("> /dev/full", 2, "No space left")])
def test_what_cannot_be_printed_is_no_traceback(output: str, code: int, told: str) -> None:
    """A reader that has seen enough is none at all; a full disk is one sentence."""
    command = (
        f"{sys.executable} -c 'from pytest_ari_sla.cli import main; raise SystemExit(main([\"metrics\"]))' {output}"
    )
    done = subprocess.run(command, shell=True, check=False, capture_output=True, text=True)
    assert done.returncode == code
    assert told in done.stderr
    assert len(done.stderr.splitlines()) <= 1
