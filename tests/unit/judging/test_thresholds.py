import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.judging.judged_tests import JudgedTests
from pytest_ari_sla.judging.thresholds import SourcedThreshold, thresholds_of
from pytest_ari_sla.metrics.catalogue import core_catalogue
from pytest_ari_sla.session.alone import Alone
from pytest_ari_sla.session.loads.load_maker import LoadMaker
from pytest_ari_sla.session.plugins.registry import builtin_registry
from pytest_ari_sla.settings import Settings

EVERYWHERE = "[sla]\nthresholds = ['setup.p50 < 4s']\n"


@pytest.fixture
def item(pytester: pytest.Pytester) -> pytest.Item:
    """A test with a marker of its own and one of its module."""
    pytester.makeini("[pytest]\nmarkers = sla\nasyncio_default_fixture_loop_scope = function")
    module = pytester.mkpydir("voice") / "test_voice.py"
    module.write_text(
        "import pytest\n"
        "pytestmark = pytest.mark.sla('setup.max < 9s', 'calls.failed == 0')\n"
        "@pytest.mark.sla('setup.max < 8s', abort_after='10s')\n"
        "@pytest.mark.parametrize('codec', ['PCMU'])\n"
        "def test_echo(codec): pass\n"
    )
    items, _ = pytester.inline_genitems(module)
    (found,) = items
    assert isinstance(found, pytest.Item)
    return found


def write_sla_toml(item: pytest.Item, text: str, folder: str = "voice") -> None:
    """Put a file of thresholds into a folder of the project."""
    (item.config.rootpath / folder / "sla.toml").write_text(text)


def read(item: pytest.Item, *command_line: str, ini: tuple[str, ...] = ()) -> dict[str, SourcedThreshold]:
    """Return the test's thresholds by their expression."""
    found = thresholds_of(item, Settings(sla=command_line, sla_ini=ini), core_catalogue())
    return {str(sourced.threshold): sourced for sourced in found}


def sources(found: dict[str, SourcedThreshold]) -> dict[str, str]:
    """Return where each threshold comes from."""
    return {expression: sourced.source for expression, sourced in found.items()}


def test_all_sources_add_up(item: pytest.Item) -> None:
    """Conditions on different figures all hold, those of the strongest source first."""
    write_sla_toml(item, EVERYWHERE)
    found = read(item, "setup.p99 < 1s", ini=("calls.dropped == 0",))
    assert sources(found) == {
        "setup.p99 < 1s": "--sla",
        "setup.max < 8s": "marker",
        "calls.failed == 0": "marker",
        "setup.p50 < 4s": "sla.toml",
        "calls.dropped == 0": "ini",
    }


def test_the_stronger_source_takes_the_place_of_the_weaker(item: pytest.Item) -> None:
    """Command line before marker before sla.toml before ini; the report tells what was replaced."""
    write_sla_toml(item, "[sla]\nthresholds = ['setup.max < 7s']")
    (winner,) = (
        sourced for text, sourced in read(item, "setup.max < 5s", ini=("setup.max < 6s",)).items() if "max" in text
    )
    assert (str(winner.threshold), winner.source) == ("setup.max < 5s", "--sla")
    assert winner.overrides == (
        "setup.max < 8s (marker)",
        "setup.max < 9s (marker)",
        "setup.max < 7s (sla.toml)",
        "setup.max < 6s (ini)",
    )


def test_what_one_source_says_twice_holds_twice(item: pytest.Item) -> None:
    """The looser of two conditions is no way around the stricter one; said once more it is the same condition."""
    write_sla_toml(item, "[sla]\nthresholds = ['setup.p50 < 4s', 'setup.p50 <= 4s', 'setup.p50 < 4s']")
    found = read(item, "setup.p99 <= 2s", "setup.p99 < 2s", ini=("setup.p90 < 1s", "setup.p90 < 2s", "setup.p99 < 9s"))
    assert sources(found) == {
        "setup.p99 <= 2s": "--sla",
        "setup.p99 < 2s": "--sla",
        "setup.max < 8s": "marker",
        "calls.failed == 0": "marker",
        "setup.p50 < 4s": "sla.toml",
        "setup.p50 <= 4s": "sla.toml",
        "setup.p90 < 1s": "ini",
        "setup.p90 < 2s": "ini",
    }
    assert found["setup.p99 <= 2s"].overrides == found["setup.p99 < 2s"].overrides == ("setup.p99 < 9s (ini)",)


def test_two_markers_of_one_function_are_one_source(pytester: pytest.Pytester) -> None:
    """Decorators above each other, and several conditions in one of them; the module's marker is weaker."""
    pytester.makeini("[pytest]\nmarkers = sla\nasyncio_default_fixture_loop_scope = function")
    module = pytester.makepyfile(
        "import pytest\n"
        "pytestmark = pytest.mark.sla('loss.ratio < 1%')\n"
        "@pytest.mark.sla('loss.ratio <= 2%')\n"
        "@pytest.mark.sla('loss.ratio < 2%', 'loss.ratio < 3%')\n"
        "def test_echo(): pass\n"
    )
    items, _ = pytester.inline_genitems(module)
    found = thresholds_of(items[0], Settings(), builtin_registry().catalogue)
    assert [str(sourced.threshold) for sourced in found] == ["loss.ratio < 2%", "loss.ratio < 3%", "loss.ratio <= 2%"]
    assert {sourced.overrides for sourced in found} == {("loss.ratio < 1% (marker)",)}


def test_a_marker_that_a_fixture_adds_counts(item: pytest.Item) -> None:
    """What was read at collection is read again where it is no longer all, and only there."""
    settings, registry = Settings(live="off"), builtin_registry()
    maker = LoadMaker(settings, registry, Alone(item.config, settings, registry.catalogue, JudgedTests()))
    before = maker.thresholds_of(item)
    assert maker.thresholds_of(item) is before
    item.add_marker(pytest.mark.sla("setup.p90 < 1s"))
    assert "setup.p90 < 1s" in [str(sourced.threshold) for sourced in maker.thresholds_of(item)]


def test_both_sides_of_a_figure_can_be_limited(item: pytest.Item) -> None:
    """At least and at most are two conditions, whatever their sources."""
    write_sla_toml(item, "[sla]\nthresholds = ['setup.max > 1ms']")
    assert {"setup.max < 8s", "setup.max > 1ms"} <= read(item).keys()


def test_a_marker_can_end_a_hopeless_load(item: pytest.Item) -> None:
    """The time belongs to the marker's own conditions."""
    found = read(item)
    assert found["setup.max < 8s"].abort_after_ns == 10_000_000_000
    assert found["calls.failed == 0"].abort_after_ns is None


@pytest.mark.parametrize("pattern", ["test_echo*", "test_voice.py::test_echo*", "*PCMU?", "test_echo[PCMU]"])
def test_a_table_is_for_the_tests_that_its_pattern_matches(item: pytest.Item, pattern: str) -> None:
    """By name, or by file and name as seen from the file; it is stronger than what holds for all."""
    write_sla_toml(item, f"{EVERYWHERE}[sla.tests.'{pattern}']\nthresholds = ['setup.p50 < 2s']\nabort_after = '1m'\n")
    found = read(item)["setup.p50 < 2s"]
    assert (found.source, found.abort_after_ns) == ("sla.toml", 60_000_000_000)
    assert found.overrides == ("setup.p50 < 4s (sla.toml)",)


def test_other_tests_are_left_alone(item: pytest.Item) -> None:
    """A pattern that does not match says nothing."""
    write_sla_toml(item, EVERYWHERE + "[sla.tests.'test_relay*']\nthresholds = ['setup.p50 < 2s']\n")
    assert "setup.p50 < 4s" in read(item)


def test_the_nearest_file_counts(item: pytest.Item) -> None:
    """A folder without a file has that of the folder above it; files are not merged."""
    write_sla_toml(item, "[sla]\nthresholds = ['setup.p99 < 3s']", folder=".")
    assert "setup.p99 < 3s" in read(item)
    write_sla_toml(item, EVERYWHERE)
    assert "setup.p99 < 3s" not in read(item)


def test_nothing_above_the_root_folder_is_read(item: pytest.Item) -> None:
    """What lies outside of the project cannot change its verdicts."""
    above = item.config.rootpath.parent / "sla.toml"
    above.write_text(EVERYWHERE)
    try:
        assert "setup.p50 < 4s" not in read(item)
    finally:
        above.unlink()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[sla]\nthresholds = ['setup.p99 < 1parsec']", r"voice.sla.toml: \[sla\]: unknown unit(.|\n)*\n +\^"),
        ("[sla.tests.x]\nthreshold = []", "voice.sla.toml cannot be used: .*unknown field `threshold`"),
        ("[sla]\nthresholds = 'setup.p99 < 1s'", "Expected `array`, got `str`"),
        ("[sla", "voice.sla.toml cannot be used"),
    ],
)
def test_a_mistake_in_a_file_is_found_with_its_place(item: pytest.Item, text: str, problem: str) -> None:
    """Before anything runs: which file, which table, and where in the expression."""
    write_sla_toml(item, text)
    with pytest.raises(UsageError, match=problem):
        read(item)


@pytest.mark.parametrize(
    ("command_line", "ini", "place"), [(("nope < 1",), (), "--sla: "), ((), ("nope < 1",), "sla in .*tox.ini: ")]
)
def test_mistakes_elsewhere_are_told_with_their_source(
    item: pytest.Item, command_line: tuple[str, ...], ini: tuple[str, ...], place: str
) -> None:
    """Nobody looks for a typing mistake in the wrong place."""
    with pytest.raises(UsageError, match=rf"^{place}unknown metric 'nope'"):
        read(item, *command_line, ini=ini)
