from pathlib import Path

import pytest

from tests.sessions.fresh_environment import ROOT, installed, run

PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="session")
def python(environments: Path) -> Path:
    """The interpreter of a fresh environment with this tool and all of its plugins, installed as a user would."""
    return installed(environments / "plugins", f"{ROOT}[codecs]", *(f"{plugin}[test]" for plugin in PLUGINS))


def test_the_scenarios_run_where_only_the_tool_is_installed(plain_python: Path, tmp_path: Path) -> None:
    """What our own tests need besides is asked of nobody who runs scenarios/."""
    pytest_here: list[str | Path] = [plain_python, "-P", "-m", "pytest", "-p", "no:cacheprovider", "--sla-live", "off"]
    collected = run(*pytest_here, "--collect-only", "-q", "scenarios/", cwd=ROOT)
    assert "tests collected" in collected
    assert "error" not in collected
    smoke = ["--ari-calls", "10", "--ari-duration", "1s", "--sla-pacing-limit", "1m", "--sla-inconclusive", "pass"]
    report = ["--sla-report", str(tmp_path / "report")]
    assert "1 passed" in run(*pytest_here, *smoke, *report, "scenarios/test_smoke.py::test_echo", cwd=ROOT)


def test_three_plugins_are_shipped() -> None:
    """The ones that the documentation promises."""
    assert [plugin.name for plugin in PLUGINS] == [
        "pytest-ari-sla-dialplan",
        "pytest-ari-sla-pesq",
        "pytest-ari-sla-vitals",
    ]


# The tests of one take as long as those of all others: it makes calls on an Asterisk.
SOAK = "pytest-ari-sla-dialplan"


@pytest.mark.parametrize(
    "plugin",
    [pytest.param(path, id=path.name, marks=[pytest.mark.soak] * (path.name == SOAK)) for path in PLUGINS],
)
def test_an_installed_plugin_passes_its_own_tests(plugin: Path, python: Path) -> None:
    """Installed from its folder, without this repository on the path, a plugin works."""
    run(python, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=plugin)


def test_installed_plugins_are_asked_for_what_they_add(python: Path, tmp_path: Path) -> None:
    """A session finds their trackers and topologies by their entry points alone."""
    (tmp_path / "conftest.py").write_text(
        "def pytest_sessionfinish(session):\n"
        "    hook = session.config.hook\n"
        "    for added in (hook.pytest_ari_sla_register_trackers(), hook.pytest_ari_sla_register_topologies()):\n"
        "        print('\\nadded', *sorted(thing.name for things in added for thing in things))\n"
    )
    (tmp_path / "test_nothing.py").write_text("def test_nothing(): pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    printed = run(python, "-P", "-m", "pytest", "-s", "-p", "no:cacheprovider", cwd=tmp_path)
    trackers, topologies = (line.split()[1:] for line in printed.splitlines() if line.startswith("added"))
    assert {"pesq", "vitals"} <= set(trackers)
    assert "dialplan" in topologies


def test_help_stays_light_with_all_plugins(python: Path, tmp_path: Path) -> None:
    """``pytest --help`` imports none of what the plugins work with."""
    program = (
        "import sys, pytest\n"
        "pytest.main(['--help'])\n"
        "assert not {'numpy', 'pesq', 'psutil', 'aiohttp'} & sys.modules.keys(), 'heavy imports'\n"
    )
    assert "--dialplan-extension" in run(python, "-P", "-c", program, cwd=tmp_path)
