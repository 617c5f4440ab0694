"""Sessions whose loads could not begin, by errors that the test itself raises."""

from __future__ import annotations

import pytest

INI = "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
UNUSABLE = """
    from pytest_ari_sla.errors import UnknownName

    def test_mistake():
        raise UnknownName("topology", "eco", ["echo"])
"""
TOO_SMALL = """
    from pytest_ari_sla.errors import TargetTooSmall

    def test_refused():
        error = TargetTooSmall("ten calls need more")
        error.before_any_call = {before}
        raise error
"""
BROKEN = """
    def test_broken():
        assert False
"""


@pytest.mark.parametrize(
    ("files", "exit_code"),
    [
        ([UNUSABLE], 4),
        ([TOO_SMALL.format(before=True)], 4),
        ([TOO_SMALL.format(before=False)], 1),
        ([UNUSABLE, TOO_SMALL.format(before=True), "def test_fine(): pass"], 4),
        ([UNUSABLE, BROKEN], 1),
        (["def test_fine(): pass"], 0),
    ],
    ids=["mistake", "refused", "failed in mid-run", "nothing else failed", "something else failed", "nothing failed"],
)
def test_a_session_in_which_nothing_could_begin_ends_with_a_usage_error(
    pytester: pytest.Pytester, files: list[str], exit_code: int
) -> None:
    """Nothing was measured, and there is something to repair; a single real failure outweighs that."""
    pytester.makeini(INI)
    pytester.makepyfile(**{f"test_{number}": text for number, text in enumerate(files)})
    assert pytester.runpytest_inprocess().ret == exit_code


def test_the_report_shows_the_tests_own_line_and_not_how_we_found_out(pytester: pytest.Pytester) -> None:
    """Helpers of the test are its own code as well."""
    pytester.makeini(INI)
    pytester.makepyfile(
        helper="def pick(registry):\n    return registry.topology('eco')  # the helper's line\n",
        test_it="""
            from helper import pick
            from pytest_ari_sla.session.plugins.registry import builtin_registry

            def test_mistake():
                pick(builtin_registry())  # the test's line
        """,
    )
    shown = pytester.runpytest_inprocess().stdout.str()
    assert "the test's line" in shown
    assert "the helper's line" in shown
    assert "unknown topology 'eco'; did you mean echo?" in shown
    assert "registry.py" not in shown


def test_what_an_error_was_found_out_by_is_left_out(pytester: pytest.Pytester) -> None:
    """Its sentence says it."""
    pytester.makeini(INI)
    pytester.makepyfile(
        """
        from pytest_ari_sla.errors import MediaLoopFailed

        def test_mistake():
            try:
                raise TimeoutError("of an inner timer")
            except TimeoutError as error:
                raise MediaLoopFailed("the relay did not answer") from error
        """
    )
    shown = pytester.runpytest_inprocess().stdout.str()
    assert "MediaLoopFailed: the relay did not answer" in shown
    assert "direct cause" not in shown


def test_other_errors_keep_their_whole_traceback(pytester: pytest.Pytester) -> None:
    """A bug of ours has to be found."""
    pytester.makeini(INI)
    pytester.makepyfile(
        """
        from pytest_ari_sla.session.plugins.registry import Registry

        def test_bug():
            Registry.codec(None, "PCMU")
        """
    )
    assert "registry.py" in pytester.runpytest_inprocess().stdout.str()
