"""A session with this plugin is like one without it: what pytest, xdist and pytest-asyncio do, they still do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sessions.ways import ALONE, SOAK_FLEET

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


EACH_ALONE = """
import asyncio
import pytest

async def test_ari(ari): assert (await ari.info()).system.version
async def test_relay_worker(relay_worker): assert asyncio.get_running_loop().is_running()
async def test_rtp_worker(rtp_worker): assert (await rtp_worker(legs=1)) is not None
def test_echo_server(echo_server): assert echo_server.address
def test_port_manager(port_manager): assert port_manager.low < port_manager.high
def test_shard(shard): assert shard == "1 of 1"
def test_target(target): assert target.url

@pytest.fixture(params=["ari", "echo_server", "port_manager", "relay_worker", "rtp_worker", "shard", "target"])
def mine(request): return request.getfixturevalue(request.param)
async def test_by_name(mine): assert mine
def test_by_name_without_a_loop(mine): assert mine
"""


@pytest.mark.parametrize("mode", [pytest.param("strict", marks=pytest.mark.soak), "auto"])
def test_each_fixture_works_by_itself(session: Session, mode: str) -> None:
    """In a test, by its name, from a fixture of the user's, in coroutines and without."""
    session.write("test_it.py", EACH_ALONE + ("\npytestmark = pytest.mark.asyncio\n" if mode == "strict" else ""))
    session.write("pytest.ini", f"[pytest]\nasyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\n")
    done = session.run()
    assert done.exit_code == 0, done.output
    assert done.count("passed") == 21


@pytest.mark.parametrize("fixtures", [pytest.param("function", marks=pytest.mark.soak), "session"])
def test_what_a_test_awaits_is_made_on_the_loop_that_the_test_runs_on(session: Session, fixtures: str) -> None:
    """Whatever loop the ini file has for fixtures, and whatever the nearest marker asks for."""
    session.write("pytest.ini", f"[pytest]\nasyncio_default_fixture_loop_scope = {fixtures}\n")
    session.write(
        "test_it.py",
        f"""
        import asyncio
        import pytest
        LOOPS = []
        async def test_own_loop(ari): assert await ari.info()
        @pytest.mark.asyncio(loop_scope="module")
        class TestOneLoop:
            async def test_first(self, ari, load):
                LOOPS.append(asyncio.get_running_loop())
                assert await ari.info()
                {LOAD}
            async def test_second(self, rtp_worker, relay_worker):
                assert asyncio.get_running_loop() is LOOPS[0]
                await rtp_worker(legs=1)
        """,
    )
    done = session.run()
    assert done.exit_code == 0, done.output
    assert done.count("passed") == 3


def test_a_test_of_anyio_is_left_to_anyio(session: Session) -> None:
    """Its loop runs the load, and our fixtures are made on it."""
    session.write("pytest.ini", "[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    session.write(
        "test_it.py",
        f"""
        import pytest
        pytestmark = pytest.mark.anyio
        @pytest.fixture
        def anyio_backend(): return "asyncio"
        async def test_it(load, ari):
            assert await ari.info()
            {LOAD}
        """,
    )
    done = session.run()
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("fleet", [ALONE, SOAK_FLEET])
def test_a_plan_of_the_setup_contacts_nobody(session: Session, fleet: tuple[str, ...]) -> None:
    """As collection alone: no port listens there."""
    session.write("test_it.py", f"async def test_it(load, ari): {LOAD}\n")
    done = session.run("--setup-plan", "--ari-url", "http://user:secret@127.0.0.1:9", *fleet)
    assert done.exit_code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED), done.output


def test_load_tests_without_pytest_asyncio_are_refused_in_one_sentence(session: Session) -> None:
    """Whatever the markers are checked for."""
    session.write("pytest.ini", "[pytest]\n")
    session.write("test_it.py", f"async def test_it(load): {LOAD}\n")
    done = session.run("-p", "no:asyncio", "--strict-markers")
    assert done.exit_code == pytest.ExitCode.USAGE_ERROR, done.output
    assert "test_it.py::test_it needs pytest-asyncio, which -p no:asyncio has switched off" in done.output
    assert "Traceback" not in done.output


def test_a_first_run_without_settings_is_greeted_by_no_warning(session: Session) -> None:
    """Ours need none: they name their event loops themselves."""
    session.write("pytest.ini", "[pytest]\n")
    session.write("test_it.py", f"async def test_it(load): {LOAD}\n")
    done = session.run()
    assert done.exit_code == 0, done.output
    assert "Warning" not in done.output


@pytest.mark.parametrize("fleet", [ALONE, SOAK_FLEET])
def test_ids_of_users_are_never_read_as_ours(session: Session, fleet: tuple[str, ...]) -> None:
    """Even those that look like a shard's stand in the report as they are, each with its own load."""
    ids = ["shard 1 of 2", "a]b", "x::y@group"]
    session.write(
        "test_it.py",
        f"""
        import pytest
        @pytest.mark.parametrize("part", {ids!r}, ids={ids!r})
        async def test_it(load, part): {LOAD}
        """,
    )
    done = session.run(*fleet)
    assert done.exit_code == 0, done.output
    assert sorted(done.scenarios) == sorted(f"test_it[{part}]" for part in ids)


@pytest.mark.parametrize("fleet", [ALONE, SOAK_FLEET])
def test_fixtures_and_parameters_of_users_may_have_our_names(session: Session, fleet: tuple[str, ...]) -> None:
    """They are not ours then: nothing is divided, started or judged; one that takes ours as its argument stays ours."""
    session.write(
        "test_it.py",
        """
        import pytest
        @pytest.fixture
        def target(): return 5
        def test_a_fixture(target): assert target == 5
        @pytest.mark.parametrize("load", [1, 2])
        def test_a_parameter(load): assert load in (1, 2)
        """,
    )
    alone = session.run(*fleet)
    assert alone.exit_code == 0, alone.output
    assert "3 passed" in alone.output
    assert alone.report is None
    session.write("conftest.py", "import pytest\n@pytest.fixture\ndef load(load): return load\n")
    session.write("test_ours.py", f"async def test_ours(load): {LOAD}\n")
    both = session.run(*fleet)
    assert both.exit_code == 0, both.output
    assert list(both.scenarios) == ["test_ours"]


def test_a_load_that_a_fleet_cannot_divide_is_refused(session: Session) -> None:
    """Its worker would wait for shards that never come."""
    session.write(
        "test_it.py",
        """
        async def test_it(request):
            await request.getfixturevalue("load")(calls=1, duration="300ms")
        """,
    )
    alone = session.run()
    assert alone.exit_code == 0, alone.output
    fleet = session.run("-n", "2")
    assert fleet.exit_code == pytest.ExitCode.USAGE_ERROR, fleet.output
    assert "test_it.py::test_it does not name the fixture load" in " ".join(fleet.output.split())
