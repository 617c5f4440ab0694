"""Text that comes over the network does no harm where a session shows it."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ElementTree
from typing import TYPE_CHECKING

from aiohttp import web

from pytest_ari_sla.peers.echo.echo_process import EchoServerProcess
from pytest_ari_sla.reporting.record.record_file import read_record
from tests.unit.ari_client.ari_server import PASSWORD, USER, FakeAri, refusal

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.sessions.session import Finished, Session

SCRIPT = "<script>alert(1)</script>"
ESCAPE = "\x1b]0;owned\x07\x1b[2J\x9b31m"
HOSTILE = f"{SCRIPT}{ESCAPE}]]>&'\"|`@everyone"
HUGE = "A" * 1_000_000

SCENARIO = f'''
    import pytest

    @pytest.mark.sla("calls.success_ratio >= 100%")
    @pytest.mark.parametrize("name", [{HOSTILE!r}])
    async def test_calls(load, name):
        """{SCRIPT} A load."""
        await load(calls=4, duration="2s")
'''


async def refuse_looking_around(request: web.Request) -> web.StreamResponse | None:
    """Refuse what is asked about the target itself, and with what words."""
    return refusal(500, HOSTILE) if request.path == "/ari/asterisk/modules" else None


class HostileAri(FakeAri):
    """An ARI that says the worst it can, wherever it says anything."""

    async def _info(self, _: web.Request) -> web.Response:
        return web.json_response({"system": {"version": HOSTILE, "entity_id": HUGE}})

    async def _make_channel(self, request: web.Request) -> web.Response:
        if not request.path.endswith("externalMedia"):
            return await super()._make_channel(request)
        made = self.seen("POST", request.path)
        if made == 2:
            return web.Response(
                status=500, body=f'{{"message": "{SCRIPT}\\u001b[2J'.encode() + b"\xff\xfe" + b"A" * 10**6
            )
        answer = await super()._make_channel(request)
        identity = request.query["channelId"]
        await self.tell("ChannelVarset", identity, variable=HOSTILE, value=HUGE)
        await self.tell(HOSTILE, identity)
        await self.tell("ChannelStateChange", identity, caller={"name": HOSTILE + HUGE, "number": "\ud800"})
        if made == 3:
            asyncio.get_running_loop().call_later(0.8, asyncio.ensure_future, self._hang_up_rudely(identity))
        return answer

    async def _verb(self, request: web.Request) -> web.Response:
        if request.match_info["verb"] == "continue":
            await self.tell("StasisEnd", request.match_info["id"])
        return await super()._verb(request)

    async def _hang_up_rudely(self, identity: str) -> None:
        await self.tell("StasisEnd", identity)
        await self.tell("ChannelDestroyed", identity, cause=16, cause_txt=HOSTILE + HUGE)
        self.channels.pop(identity, None)


async def run_against_hostile_ari(session: Session, *arguments: str) -> Finished:
    """Run the scenario; packets are echoed, but everything else is hostile."""
    session.write("test_hostile.py", SCENARIO)
    with EchoServerProcess() as echo:
        async with HostileAri() as ari:
            ari.interfere = refuse_looking_around
            ari.variables["UNICASTRTP_LOCAL_PORT"] = str(echo.address[1])
            running = session.start("--ari-url", ari.url, "--ari-user", USER, *arguments)
            return await asyncio.to_thread(running.finish)


def without_harm(text: str) -> bool:
    """Tell whether a text can be shown on a terminal: nothing but lines of printable characters."""
    return all(line.isprintable() for line in text.splitlines())


async def test_reports_console_and_junit_survive_a_hostile_target(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken SLA is all that comes of it: no markup, no escape sequence, no megabyte gets through."""
    monkeypatch.setenv("ARI_PASSWORD", PASSWORD)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    done = await run_against_hostile_ari(session, "--junitxml", "junit.xml", "--sla-capture", "all")
    assert done.exit_code == 1, done.output
    assert "INTERNALERROR" not in done.output
    assert without_harm(done.output)
    assert len(done.output) < 100_000
    assert len([line for line in done.output.splitlines() if line.startswith("::")]) == 1

    record = read_record(session.folder / "report")
    (scenario,) = record.scenarios
    assert {call.outcome for call in scenario.call_table} >= {"failed", "dropped"}, "both ways to fail were tried"
    assert any(SCRIPT in call.reason for call in scenario.call_table), "the text itself is told, for people"
    check_files(session.folder / "report")

    document = ElementTree.parse(session.folder / "junit.xml")
    texts = [text for element in document.iter() for text in (element.text, *element.attrib.values()) if text]
    assert all(without_harm(text) and len(text) < 20_000 for text in texts)


def check_files(folder: Path) -> None:
    """Look into all files of a report."""
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    assert max(sizes.values()) < 3_000_000, sizes
    for name in ("report.json", "summary.md", "calls.csv"):
        assert without_harm((folder / name).read_text(encoding="utf-8")), name
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert SCRIPT not in page
    assert "\x1b" not in page
    assert SCRIPT not in (folder / "summary.md").read_text(encoding="utf-8")
