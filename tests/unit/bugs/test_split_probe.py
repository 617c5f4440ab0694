"""How long is waited for a stall, and which one counts."""

from __future__ import annotations

import pytest

from pytest_ari_sla.ari.endpoint import AriEndpoint
from pytest_ari_sla.bugs import split_probe
from pytest_ari_sla.bugs.split_probe import SplitProbe
from pytest_ari_sla.bugs.stall import Stall

SECOND_NS = 1_000_000_000


class Playing(SplitProbe):
    """A probe on which somebody looks each tenth of a second; a request hangs from ``hangs_s`` on for ``for_s``."""

    def __init__(self, hangs_s: float, for_s: float) -> None:
        self._at_ns = 0
        super().__init__(AriEndpoint("http://127.0.0.1:1/ari", "u", "p"), self._next_ns)
        self._hangs_ns, self._ends_ns = int(hangs_s * SECOND_NS), int((hangs_s + for_s) * SECOND_NS)

    def _next_ns(self) -> int:
        self._at_ns += SECOND_NS // 10
        hangs = self._hangs_ns <= self._at_ns < self._ends_ns
        self._asked_ns = self._hangs_ns if hangs else None
        if hangs and self._at_ns - self._hangs_ns >= SECOND_NS:
            self.worst = Stall(self._at_ns - self._hangs_ns, 1)
        return self._at_ns

    async def found(self) -> bool:
        """Whether a stall of three seconds is found that begins within ten."""
        return await self.stalled(within_s=10.0, at_least_s=3.0) is not None


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait."""
    monkeypatch.setattr(split_probe, "EVERY_S", 0.0)


@pytest.mark.parametrize(
    ("hangs_s", "for_s", "found"),
    [(2.0, 60.0, True), (9.5, 60.0, True), (2.0, 2.0, False), (12.0, 60.0, False), (9.9, 1.5, False)],
    ids=["lasts", "begins at the end and lasts", "a busy machine", "later", "busy at the end"],
)
async def test_a_stall_that_lasts_is_found_and_no_other(hangs_s: float, for_s: float, found: bool) -> None:
    """It is waited for where it has begun in time."""
    assert await Playing(hangs_s, for_s).found() is found
