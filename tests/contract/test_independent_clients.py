"""ARI clients that others wrote work on the simulator as they do on Asterisk, without change."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.contract.raw_ari import RawAri

_PROGRAMS = Path(__file__).with_name("clients")


@pytest.mark.parametrize("name", ["ari_client", "aioari", "asyncari"])
async def test_a_client_bridges_two_calls(raw_ari: RawAri, name: str) -> None:
    """It connects, is told of calls, puts them into a bridge, is told so, and cleans up.

    In a process of its own: what it warns of or leaves open is its own affair.
    """
    endpoint = raw_ari.endpoint
    command = [sys.executable, str(_PROGRAMS / f"with_{name}.py"), endpoint.base_url, endpoint.user, endpoint.password]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    output, errors = await asyncio.wait_for(process.communicate(), 30)
    lines = output.decode().splitlines()
    first, second = (lines[number].split()[1] for number in (0, 2)) if len(lines) > 2 else ("", "")
    assert process.returncode == 0, errors.decode()
    assert lines == [
        f"StasisStart {first}",
        f"ChannelEnteredBridge {first}",
        f"StasisStart {second}",
        f"ChannelEnteredBridge {second}",
        f"bridge {first} {second}",
    ]
