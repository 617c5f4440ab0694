"""Each fault of the table once: exit code, culprit, counts, what is left."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
from tests.asterisk.conftest import provisioned_folder
from tests.asterisk.fault_rows import SESSIONS, TABLE, come_of, why_wrong

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from tests.asterisk.fault_rows import Outcome, Row

pytestmark = pytest.mark.timeout(600)  # whole sessions, on whatever else the machine does

SIDE_BY_SIDE = 3
"""Sessions mostly wait: more of them than there are cores."""


class Outcomes:
    """What comes of faults: begun side by side, since sessions mostly wait; one that is asked for again is tried again.

    Parameters
    ----------
    submit
        Begins one.
    rows
        Those to begin at once.
    """

    def __init__(self, submit: Callable[[Row], Future[Outcome]], rows: list[Row]) -> None:
        self._submit = submit
        self._begun = {row.name: submit(row) for row in rows}

    def take(self, row: Row) -> Outcome:
        """Wait for the outcome of a fault."""
        begun = self._begun.pop(row.name, None)
        return (self._submit(row) if begun is None else begun).result()


_HAVE_BEGUN: pytest.StashKey[bool] = pytest.StashKey()


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, asterisk22: PrivateAsterisk, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Outcomes]:
    """Return what comes of every fault that is asked for."""
    wanted = [row for row in TABLE if any(f"[{row.name}]" in item.name for item in request.session.items)]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    own = PrivateAsterisk(provisioned_folder("22"), ari_port=port)
    own.session_limit = SESSIONS
    with ExitStack() as stack:
        if any(row.alone for row in wanted):
            stack.enter_context(own)
        pool, one_by_one = (stack.enter_context(ThreadPoolExecutor(workers)) for workers in (SIDE_BY_SIDE, 1))

        def submit(row: Row) -> Future[Outcome]:
            folder = tmp_path_factory.mktemp("fault")
            workers, asterisk = (one_by_one, own) if row.alone else (pool, asterisk22)
            return workers.submit(come_of, row, asterisk, folder)

        # Where the last test is run again, this begins again as well: not with all of them.
        begin_now = [] if request.config.stash.get(_HAVE_BEGUN, False) else wanted
        request.config.stash[_HAVE_BEGUN] = True
        yield Outcomes(submit, begin_now)


ROWS = [pytest.param(row, id=row.name, marks=[pytest.mark.soak] if row.is_further else []) for row in TABLE]


@pytest.mark.parametrize("row", ROWS)
def test_a_fault_has_its_exit_code_culprit_counts_and_leaves_nothing(row: Row, outcomes: Outcomes) -> None:
    """And its blame: see the table."""
    outcome = outcomes.take(row)
    assert not (wrong := why_wrong(row, outcome)), f"{wrong}\n{outcome.finished.output}"
