"""What is written down when the target stalls or dies: who waits for what, what happened before, what its log says.

Taken once in a load, while it lasts: what hangs is gone a minute later. Of an Asterisk of somebody else we know our own
requests and its events; into one of ours we look: its console, its log, its threads. A debugger is attached only where
threads wait for locks already, since it stops the whole process for a while.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_ari_sla.watch.lock_waits import lock_waits, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytest_ari_sla.ari.endpoint import AriEndpoint

__all__ = ["Evidence", "Forensics", "OwnAsterisk"]

# The last one answers only in an Asterisk that was built with DEBUG_THREADS.
CONSOLE = ("core show channels", "bridge show all", "core show threads", "core show taskprocessors", "core show locks")
EVENTS_NS = 30_000_000_000
_SECTION_CHARACTERS = 100_000
_LOG_BYTES = 20_000
_CONSOLE_S = 5.0
_GDB = ("gdb", "-nx", "-batch", "-ex", "set pagination off", "-ex", "thread apply all bt 40")
_GDB_S = 40.0
_SAME_WAIT_S = 0.3
# More than the debugger and all console commands can take together (65 s).
_FINISH_S = 90.0


class Evidence(msgspec.Struct, frozen=True):
    """A file of evidence: its name, and its text."""

    name: str
    text: str


@dataclass(frozen=True)
class OwnAsterisk:
    """An Asterisk on this machine that this tool runs, so that we may look into it.

    Attributes
    ----------
    pid
        Its process.
    command
        How it was started.
    folder
        What it works in.
    """

    pid: int
    command: tuple[str, ...]
    folder: Path

    @classmethod
    def of(cls, pid: int) -> OwnAsterisk | None:
        """Return what is to be known of a running Asterisk beforehand; None where it is gone already."""
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().rstrip("\0").split("\0")
            return cls(pid, tuple(words), Path(f"/proc/{pid}/cwd").resolve(strict=True))
        except OSError:
            return None

    @property
    def is_alive(self) -> bool:
        """Whether it runs, and is not a zombie or stopped by a signal: a debugger would wake it."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state not in ("Z", "X", "T", "t")

    def console(self, command: str) -> str:
        """Return what Asterisk's own console prints."""
        words = [word for word in self.command if word != "-f"]
        return _output([*words, "-rx", command], _CONSOLE_S)

    def log_tail(self) -> str:
        """Return the end of its log, and of what it printed."""
        parts = []
        for name in ("log/messages.log", "output.txt"):
            with suppress(OSError):
                parts.append((self.folder / name).read_bytes()[-_LOG_BYTES:].decode(errors="replace"))
        return "\n".join(parts)

    def core_file(self) -> Path | None:
        """Return the core file that it left, if it did."""
        return next(iter(sorted(self.folder.glob("core*"))), None)


class Forensics:
    """Takes the evidence once; an error in that is written down, and changes nothing else.

    Parameters
    ----------
    endpoint
        The target's ARI, whose password must not be in any file.
    pending
        Returns the requests under way: method and path, and for how long, in ns.
    events
        Returns when each event of late came, on the monotonic clock in ns, and what it was.
    asterisk
        The target, where we may look into it.

    Attributes
    ----------
    when_stopped
        Is told when a debugger begins to stop the target (True), and when it lets it go on (False).
    evidence
        The files, once they are there.
    """

    def __init__(
        self,
        endpoint: AriEndpoint,
        pending: Callable[[], Sequence[tuple[str, int]]],
        events: Callable[[], Iterable[tuple[int, str]]],
        asterisk: OwnAsterisk | None,
    ) -> None:
        self.when_stopped: Callable[[bool], None] = lambda is_stopped: None
        # As a password may get into a log: plain, or in an Authorization header (RFC 7617).
        token = base64.b64encode(f"{endpoint.user}:{endpoint.password}".encode()).decode()
        self._secrets = [secret for secret in (token, endpoint.password) if secret]
        self._pending, self._events, self._asterisk = pending, events, asterisk
        self._task: asyncio.Task[None] | None = None
        self.evidence: tuple[Evidence, ...] = ()

    def begin(self, what: str) -> None:
        """Begin to take the evidence of what has just been noticed; the first time counts."""
        if self._task is None:
            now_ns = time.monotonic_ns()
            # Now, not in the task: what hangs may be answered a moment later.
            ours = [
                ("Requests under way, the oldest first", requests_text(self._pending())),
                ("Events of the last 30 s", events_text(self._events(), now_ns)),
            ]
            self._task = asyncio.create_task(self._take(what, ours), name="forensics")

    async def finish(self) -> None:
        """Wait until the evidence is taken, where it is being taken."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_FINISH_S)

    async def _take(self, what: str, ours: list[tuple[str, str]]) -> None:
        loop = asyncio.get_running_loop()

        def tell(is_stopped: bool) -> None:
            # `look_into` works in a thread, and what is told belongs to the loop.
            loop.call_soon_threadsafe(self.when_stopped, is_stopped)

        theirs: list[tuple[str, str]] = []
        if self._asterisk is not None:
            try:
                theirs = await asyncio.to_thread(look_into, self._asterisk, tell)
            except Exception as error:  # it looks into a process that may be dying
                theirs = [("Not looked into", f"{type(error).__name__}: {error}")]
        self.evidence = (Evidence("forensics.txt", report_text(what, [*ours, *theirs], self._secrets)),)


def requests_text(pending: Sequence[tuple[str, int]]) -> str:
    """Return the requests under way as lines, the oldest first."""
    ordered = sorted(pending, key=lambda request: -request[1])
    return "\n".join(f"{age_ns / 1e9:8.3f} s  {request}" for request, age_ns in ordered) or "none"


def events_text(events: Iterable[tuple[int, str]], now_ns: int) -> str:
    """Return the events of the last 30 s as lines, in order, each with how long ago it came."""
    recent = [(at_ns, what) for at_ns, what in events if now_ns - at_ns <= EVENTS_NS]
    return "\n".join(f"{(at_ns - now_ns) / 1e9:+8.3f} s  {what}" for at_ns, what in recent) or "none"


def report_text(what: str, sections: Iterable[tuple[str, str]], secrets: Sequence[str]) -> str:
    """Return the whole file: bounded section by section, without secrets."""
    lines = [what, ""]
    for title, text in sections:
        shown = text.strip("\n")
        if len(shown) > _SECTION_CHARACTERS:
            shown = f"{shown[:_SECTION_CHARACTERS]}\n… and {len(shown) - _SECTION_CHARACTERS:,} characters more"
        lines += [f"=== {title} ===", shown, ""]
    # At the very end, so that no section can be forgotten: consoles and logs print what they like.
    whole = "\n".join(lines)
    for secret in secrets:
        whole = whole.replace(secret, "…")
    return whole


def look_into(asterisk: OwnAsterisk, tell: Callable[[bool], None]) -> list[tuple[str, str]]:
    """Return what an Asterisk of ours shows of itself: locks and stacks first, since they pass.

    Parameters
    ----------
    asterisk
        Where to look.
    tell
        Is told when a debugger stops it, and when no longer.
    """
    sections = []
    if asterisk.is_alive:
        waits = lock_waits(asterisk.pid)
        # Threads of a busy Asterisk wait for locks all the time; only one that lasts counts as a hang.
        time.sleep(_SAME_WAIT_S)
        lasting = sorted(set(waits) & set(lock_waits(asterisk.pid)))
        sections.append(("Threads that wait for locks", "\n".join(told(lasting)) or "none"))
        if lasting:
            tell(True)
            sections.append(("Stacks of all threads", _stacks(["-p", str(asterisk.pid)])))
            tell(False)
        sections += [(f"asterisk -rx '{command}'", asterisk.console(command)) for command in CONSOLE]
    elif (core := asterisk.core_file()) is not None:
        sections.append(("Stacks in the core file", _stacks([asterisk.command[0], str(core)])))
    sections.append(("End of the log", asterisk.log_tail()))
    return sections


def _stacks(where: Sequence[str]) -> str:
    if shutil.which("gdb") is None:
        return "not known: there is no gdb on this machine"
    return _output([*_GDB, *where], _GDB_S)


def _output(command: Sequence[str], timeout_s: float) -> str:
    """Return what a command prints, or why it does not."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {timeout_s:g} s"
    except OSError as error:
        return f"it could not be asked: {error.strerror}"
    return done.stdout
