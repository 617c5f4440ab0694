"""The bot as a process of its own, for tests that call it, and what its log says of each call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_ari_sla.ari.endpoint import AriEndpoint

__all__ = ["BotProcess", "Conversation"]

READY_S = 60.0


class Conversation:
    """What the bot says of one call; times in ns since the Unix epoch."""

    def __init__(self, events: Sequence[tuple[str, int]]) -> None:
        self.events = events

    @property
    def states(self) -> list[str]:
        """In which state the caller came in."""
        return [what for what, _ in self.events if what.startswith("state ")]

    @property
    def keys(self) -> str:
        """Which keys it was told of, by Asterisk and not by sound."""
        return "".join(what[-1] for what, _ in self.events if what.startswith("key "))

    @property
    def greeting_ns(self) -> tuple[int, int]:
        """From its answer until it spoke, at least and at most: Asterisk answered between its request and the reply."""
        return self._first("began") - self._first("answered"), self._first("began") - self._first("answering")

    @property
    def turns_ns(self) -> list[int]:
        """From each end of the caller's speech until it spoke."""
        return self._gaps("caller_ended", "began")

    @property
    def barge_ins_ns(self) -> list[int]:
        """From each beginning of the caller's speech over its own until it was silent."""
        return self._gaps("caller_began", "interrupted")

    @property
    def clipped_ns(self) -> list[int]:
        """How much of the beginning of each thing that the caller said was not sent back."""
        return self._gaps("caller_began", "began")

    def _first(self, name: str) -> int:
        return next(at_ns for what, at_ns in self.events if what == name)

    def _gaps(self, begin: str, end: str) -> list[int]:
        gaps, since_ns = [], None
        for what, at_ns in self.events:
            if what == begin:
                since_ns = at_ns
            elif what == end and since_ns is not None:
                gaps.append(at_ns - since_ns)
                since_ns = None
        return gaps


class BotProcess:
    """``ari-sla bot``, from when it has subscribed until the end of the ``with`` block."""

    def __init__(self, ari: AriEndpoint, folder: Path, *options: str) -> None:
        self._ari = ari
        self._log = folder / "bot.jsonl"
        # Not on the command line, where others can read them, and where a password may look like an option.
        self._environment = {"ARI_URL": ari.base_url, "ARI_USER": ari.user, "ARI_PASSWORD": ari.password}
        self._command = [
            *(sys.executable, "-c", "import sys; from pytest_ari_sla.cli import main; sys.exit(main())"),
            *("bot", "--log", str(self._log), *options),
        ]

    def __enter__(self) -> BotProcess:
        self.process = subprocess.Popen(self._command, env={**os.environ, **self._environment})
        deadline_s = time.monotonic() + READY_S
        while not (self._log.exists() and "subscribed" in self._log.read_text()):
            if time.monotonic() > deadline_s or self.process.poll() is not None:
                self.process.kill()
                raise AssertionError("the bot did not subscribe")
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
        # What a bot that leaks or crashes has left would be found by whoever uses the Asterisk next.
        for kind in ("channels", "bridges"):
            for left in json.loads(self._ask("GET", f"/{kind}")):
                if left["id"].startswith("bot-"):
                    self._ask("DELETE", f"/{kind}/{left['id']}")

    def _ask(self, method: str, path: str) -> bytes:
        wanted = urllib.request.Request(self._ari.base_url + path, method=method)
        wanted.add_header("Authorization", self._ari.authorization)
        try:
            with urllib.request.urlopen(wanted) as answer:
                body: bytes = answer.read()
                return body
        except urllib.error.HTTPError as refused:
            if refused.code != 404:  # it may have gone by itself
                raise
            return b""

    def conversations(self) -> dict[str, Conversation]:
        """Return what it says of each call, by the call's id."""
        events: dict[str, list[tuple[str, int]]] = defaultdict(list)
        calls: dict[str, str] = {}
        for line in self._log.read_text().splitlines():
            event: dict[str, Any] = json.loads(line)
            channel, what = event["call"], event["what"]
            if channel:
                # sla-RUN.cNUMBER. is the call; what follows is the channel. By SIP, the call is the caller's name.
                name = what.removeprefix("caller ") if what.startswith("caller sla-") else channel
                calls.setdefault(channel, channel)
                if name.startswith("sla-"):
                    calls[channel] = ".".join(name.split(".")[:2]) + "."
                events[channel].append((what, event["at_ns"]))
        return {calls[channel]: Conversation(told) for channel, told in events.items()}
