from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from pytest_ari_sla.ari.endpoint import AriEndpoint
from pytest_ari_sla.watch import forensics
from pytest_ari_sla.watch.forensics import Forensics, OwnAsterisk, events_text, look_into, report_text, requests_text

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

S = 1_000_000_000
SECRET = "swordfish"


def test_requests_are_told_with_their_age_the_oldest_first() -> None:
    """That one may be the cause of the others."""
    text = requests_text([("GET /bridges/b", 2 * S), ("DELETE /channels/c", 7 * S + S // 2)])
    assert [line.split(maxsplit=2) for line in text.splitlines()] == [
        ["7.500", "s", "DELETE /channels/c"],
        ["2.000", "s", "GET /bridges/b"],
    ]
    assert requests_text([]) == "none"


def test_events_of_the_last_half_minute_are_told_in_order() -> None:
    """Each with how long ago it came."""
    text = events_text([(10 * S, "Old"), (50 * S, "StasisStart c1"), (69 * S, "StasisEnd c1")], 70 * S)
    assert [line.split(maxsplit=2) for line in text.splitlines()] == [
        ["-20.000", "s", "StasisStart c1"],
        ["-1.000", "s", "StasisEnd c1"],
    ]


def test_a_file_of_evidence_has_no_secret_and_an_end() -> None:
    """A log or a stack may hold the password, a console prints without end."""
    text = report_text("it hangs", [("Log", f"login with {SECRET}"), ("Console", "x" * 10**7)], [SECRET])
    assert SECRET not in text
    assert "login with …" in text
    assert len(text) < 200_000
    assert "characters more" in text


async def test_evidence_is_taken_once_and_of_what_was_noticed_first() -> None:
    """What follows from it would only cover it."""
    taken = Forensics(
        AriEndpoint("http://pbx/ari", "me", SECRET),
        lambda: [("POST /channels/externalMedia", 3 * S)],
        lambda: [(0, f"Basic {base64.b64encode(f'me:{SECRET}'.encode()).decode()}")],
        None,
    )
    taken.begin("channels are locked")
    taken.begin("everything is lost")
    await taken.finish()
    (file,) = taken.evidence
    assert file.text.startswith("channels are locked\n")
    assert "POST /channels/externalMedia" in file.text


async def test_what_goes_wrong_in_looking_is_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What we know ourselves is kept."""

    def look_into_nothing(asterisk: OwnAsterisk, tell: object) -> list[tuple[str, str]]:
        raise ValueError("its memory is gone")

    monkeypatch.setattr(forensics, "look_into", look_into_nothing)
    endpoint = AriEndpoint("http://pbx/ari", "me", SECRET)
    taken = Forensics(endpoint, lambda: [("GET /channels", S)], list, asterisk(tmp_path, os.getpid()))
    taken.begin("channels are locked")
    await taken.finish()
    (file,) = taken.evidence
    assert "GET /channels" in file.text
    assert "ValueError: its memory is gone" in file.text


def asterisk(folder: Path, pid: int) -> OwnAsterisk:
    """Return an Asterisk of ours, whose log says hello."""
    (folder / "log").mkdir()
    (folder / "log" / "messages.log").write_text("hello from the log\n")
    return OwnAsterisk(pid, ("true",), folder)


def test_a_dead_asterisk_is_told_by_its_log_and_its_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its console and its threads are gone."""
    dead = asterisk(tmp_path, 2**22 + 1)  # above the highest process id
    monkeypatch.setattr(forensics, "_output", lambda command, timeout_s: f"printed by {command[0]}")
    assert dict(look_into(dead, lambda is_stopped: None)) == {"End of the log": "hello from the log\n"}
    (tmp_path / "core.17").touch()
    monkeypatch.setattr("shutil.which", lambda program: program)
    assert dict(look_into(dead, lambda is_stopped: None))["Stacks in the core file"] == "printed by gdb"


def test_no_debugger_stops_an_asterisk_in_which_no_thread_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may only be slow, and would be slower."""
    monkeypatch.setattr(forensics, "_output", lambda command, timeout_s: f"printed by {command[0]}")
    monkeypatch.setattr(forensics, "lock_waits", lambda pid: [])
    stopped: list[bool] = []
    sections = dict(look_into(asterisk(tmp_path, os.getpid()), stopped.append))
    assert sections["Threads that wait for locks"] == "none"
    assert "printed by gdb" not in sections.values()
    assert stopped == []
    assert len([title for title in sections if title.startswith("asterisk -rx")]) == len(forensics.CONSOLE)
