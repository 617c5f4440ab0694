"""A loop that may open no more files: whoever connects waits, nobody else suffers, and it is told as ours."""

from __future__ import annotations

import resource
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.unit.stream_media.peers import OtherSide, caller_on, establish
from tests.unit.stream_media.test_transport import until

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def no_more_files(pid: int) -> Iterator[None]:
    """Keep another process from opening anything."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    open_now = [int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(set(range(max(open_now) + 2)) - set(open_now)), before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


async def test_a_connection_that_finds_no_open_file_is_taken_as_soon_as_there_is_one() -> None:
    """Meanwhile it is not tried in every slot, and a call that has its connection goes on."""
    async with OtherSide("audiosocket").serving() as far, caller_on(far, 2) as caller:
        first, remote = await establish(far, caller)
        caller.start_leg(first, remote, 10_000)
        await until(caller, "loss.received")  # by now the process has opened all that it ever needs
        began_s = time.monotonic()
        with no_more_files(caller.media_pid):
            second, remote = await establish(far, caller)
            tries = await until(caller, "harness.out_of_files")
            assert tries <= 2 + time.monotonic() - began_s  # one a second, not one a slot
            await until(caller, "loss.received", await until(caller, "loss.received") + 10)
        await caller.stop_leg(first)
        await caller.retire_legs([first])
        before = caller.snapshot().count("loss.received")
        caller.start_leg(second, remote, 10_000)
        await until(caller, "loss.received", before + 10)
        await caller.stop_leg(second)
        await caller.retire_legs([second])
    assert caller.snapshot().count("harness.malformed_packets") == 0
