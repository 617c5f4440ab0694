from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_ari_sla import Topology

CONFTEST = """
def pytest_sessionfinish(session):
    for topologies in session.config.hook.pytest_ari_sla_register_topologies():
        for topology in topologies:
            if topology.name == "dialplan":
                print(f"\\n{topology.extension}@{topology.context},{topology.priority} {topology.hears_itself}")
"""


@pytest.fixture
def session(pytester: pytest.Pytester) -> pytest.Pytester:
    """A session that prints which topology was registered."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("def test_nothing(): pass")
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    return pytester


@pytest.mark.parametrize(
    ("arguments", "registered"),
    [
        ([], "s@from-load,1 True"),
        (["--dialplan-extension", "700@ivr,2"], "700@ivr,2 True"),
        (["--dialplan-extension", "700@ivr", "--dialplan-hears", "other"], "700@ivr,1 False"),
        (["-o", "dialplan_extension=9@x", "-o", "dialplan_hears=other"], "9@x,1 False"),
    ],
    ids=["default", "options", "hears other", "ini"],
)
def test_options_choose_the_extension(session: pytest.Pytester, arguments: list[str], registered: str) -> None:
    """Command line before ini before default."""
    session.runpytest_subprocess("-s", *arguments).stdout.fnmatch_lines([registered])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dialplan-extension", "700"], "*'700' is not an extension of a dialplan: expected EXTENSION@CONTEXT*"),
        (["-o", "dialplan_hears=music"], "*dialplan_hears: 'music' is neither 'itself' nor 'other'*"),
    ],
    ids=["extension", "hears"],
)
def test_a_bad_option_stops_before_anything_runs(session: pytest.Pytester, arguments: list[str], words: str) -> None:
    """A usage error of pytest's, not a failed test."""
    result = session.runpytest_subprocess(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([words])


def test_what_is_registered_is_a_topology() -> None:
    """The class has what the protocol asks for; mypy checks the rest."""
    from pytest_ari_sla_dialplan.topology import Dialplan

    topology: Topology = Dialplan("c", "e")
    assert topology.name == "dialplan"
