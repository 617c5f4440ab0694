"""Every way in which a session can end, once; ``make soak`` does each ten times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.ends_table import ENDS, run_end

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_ari_sla.targets.private_asterisk import PrivateAsterisk

pytestmark = pytest.mark.timeout(180)  # a whole session, on whatever else the machine does


@pytest.mark.parametrize("name", ENDS)
def test_nothing_is_left_ten_seconds_after_the_end(asterisk22: PrivateAsterisk, tmp_path: Path, name: str) -> None:
    """No channel, bridge, process or lock on ports; a report where there was the time to write one."""
    end = ENDS[name]
    left = run_end(end, asterisk22, tmp_path)
    assert left.is_nothing, left
    assert left.code in end.codes
    assert left.report or not end.reported, (tmp_path / "output.txt").read_text()
