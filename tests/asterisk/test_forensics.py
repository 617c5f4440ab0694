"""What is kept of an Asterisk whose channels are stuck: half an AudioSocket header locks them, on a private one."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.asterisk.conftest import provisioned_folder
from tests.sessions.session import Session

if TYPE_CHECKING:
    from pathlib import Path

SCENARIO = """
async def test_stall(load):
    '''Calls, some of whose peers send half a header.'''
    await load(calls=6, duration="10s", transport="audiosocket", peer_faults={"partial_frame": "50%"})
"""


@pytest.mark.timeout(240)
def test_a_stall_names_the_lock_its_owner_and_who_waits(tmp_path: Path) -> None:
    """While it lasts: both threads, their stacks where there is a debugger, the console, the log."""
    session = Session(tmp_path)
    session.write("test_stall.py", SCENARIO)
    done = session.start("--asterisk", str(provisioned_folder("22"))).finish(timeout_s=200)
    assert done.exit_code == 1, done.output
    scenario = done.scenarios["test_stall"]
    assert "Requests that need a channel" in scenario["reason"], done.output
    (path,) = scenario["evidence"]
    text = (tmp_path / "report" / path).read_text()
    found = re.search(r"lock 0x[0-9a-f]+, held by thread (\d+): threads? (\d+)", text)
    assert found is not None, text
    if shutil.which("gdb") is not None:
        assert all(f"(LWP {thread} " in text for thread in found.groups())
    assert "GET /channels/" in text.partition("=== Events")[0]
    assert "StasisStart" in text
    assert "AudioSocket/" in text.partition("core show channels")[2]
    assert "modules will be loaded" in text
    assert f'href="./{path}"' in (tmp_path / "report" / "report.html").read_text()
