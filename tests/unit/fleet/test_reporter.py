from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from pytest_ari_sla.fleet.reporter import Reporter
from pytest_ari_sla.judging.judged_tests import JudgedTests

if TYPE_CHECKING:
    from pytest_ari_sla.fleet.controlling.controller import Controller


@pytest.mark.parametrize("left", [[], ["channels of a worker that died may be left at http://pbx/ari"]])
def test_what_dead_workers_left_is_told_also_where_no_load_was_judged(left: list[str]) -> None:
    """Each thing once, in a line of its own."""
    written: list[str] = []
    terminal = SimpleNamespace(section=lambda title: None, write=lambda text, **options: written.append(text))
    reporter = Reporter(
        cast("pytest.Config", SimpleNamespace()), JudgedTests(), cast("Controller", SimpleNamespace(left=left))
    )
    for _ in range(2):
        reporter.pytest_terminal_summary(cast("pytest.TerminalReporter", terminal))
    assert "".join(written) == "".join(f"{line}\n" for line in left)
