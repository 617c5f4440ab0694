"""A session with this plugin is like one without it: what pytest, xdist and pytest-asyncio do, they still do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sessions.session import Session

LOAD = 'await load(calls=1, duration="300ms")'


@pytest.mark.parametrize("missing", ["nosuch.py", "test_it.py::nosuch"])
def test_a_fleet_that_is_given_what_is_not_there_runs_no_tests(session: Session, missing: str) -> None:
    """As xdist alone, which has no tests then."""
    session.write("test_it.py", f"async def test_it(load): {LOAD}\n")
    done = session.run("-n", "2", missing)
    assert done.exit_code == pytest.ExitCode.NO_TESTS_COLLECTED, done.output
    assert "INTERNALERROR" not in done.output


def test_the_event_loop_of_a_sync_test_is_left_as_it_was(session: Session) -> None:
    """Finding the target, before the first test and inside one, takes no loop away."""
    session.write(
        "conftest.py",
        """
        import asyncio
        LOOP = asyncio.new_event_loop()
        def pytest_sessionstart(): asyncio.set_event_loop(LOOP)
        def pytest_unconfigure(): LOOP.close()
        """,
    )
    session.write(
        "test_it.py",
        f"""
        import asyncio
        from conftest import LOOP
        def test_before(): assert asyncio.get_event_loop() is LOOP
        def test_with_target(target): assert asyncio.get_event_loop() is LOOP
        async def test_load(load): {LOAD}
        """,
    )
    done = session.run()
    assert done.exit_code == 0, done.output
    assert done.count("passed") == 3


def test_the_target_can_be_asked_for_from_a_coroutine(session: Session) -> None:
    """Where it is not known yet, it is looked for though an event loop runs."""
    session.write("test_it.py", "async def test_it(request): assert request.getfixturevalue('target').url\n")
    done = session.run()
    assert done.exit_code == 0, done.output
