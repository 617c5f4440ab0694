from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.ari.endpoint import AriEndpoint
from pytest_ari_sla.ari.leftovers import Leftover, presence_of, run_of, runs_present
from pytest_ari_sla.ari_client.leftovers import sweep_dead_runs
from pytest_ari_sla.ari_client.sweep import Sweeper
from pytest_ari_sla.ari_client.tls import tls_context
from pytest_ari_sla.errors import AriUnreachable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_ari_sla.ari_client.ownership import Kind

DEAD = Leftover("/channels", "sla-aaaaaa-001-0001.c0000001.")
LIVE = Leftover("/channels", "sla-bbbbbb-002-0003.c0000001.")
STRANGER = Leftover("/channels", "1700000000.1")


class FakeSweeper(Sweeper):
    """Lists what it is given; an application may come up at a later look only."""

    def __init__(self, *looks: list[str], keeps: bool = False) -> None:
        super().__init__(AriEndpoint("http://127.0.0.1:1/ari"), tls_context(None, verify=True))
        self.things = [DEAD, LIVE, STRANGER]
        self._looks = list(looks)
        self._keeps = keeps

    def found(self, kinds: Iterable[Kind] = ()) -> list[Leftover]:
        """Return what is there."""
        return list(self.things)

    def applications(self) -> list[str]:
        """Return the next look, or the last one again."""
        return self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]

    def remove(self, leftovers: Iterable[Leftover]) -> list[str]:
        """Remove, unless Asterisk refuses."""
        gone = list(leftovers)
        if not self._keeps:
            self.things = [thing for thing in self.things if thing not in gone]
        return []


def no_pause(_: float) -> None:
    """Wait for nothing."""


@pytest.mark.parametrize(
    ("identity", "run"),
    [
        ("sla-0fe3a1-001-0001.c0000001.", "sla-0fe3a1"),
        ("sla-0fe3a1-1000-10000.b0000001.", "sla-0fe3a1"),
        ("sla-0fe3a1-001-0001", None),
        ("sla-0fe3a1-001-0001x.c1", None),
        ("my-sla-0fe3a1-001-0001.c1", None),
        ("1700000000.1", None),
    ],
)
def test_an_id_tells_its_run(identity: str, run: str | None) -> None:
    """Ids of others are never taken for ours."""
    assert run_of(identity) == run


def test_a_run_lives_while_one_of_its_processes_listens() -> None:
    """The application that has channels says nothing: Asterisk keeps that of a dead one."""
    listed = ["sla-aaaaaa-001-0001", presence_of("sla-bbbbbb-002-0003"), "other"]
    assert runs_present(listed) == {"sla-bbbbbb"}


def test_only_what_dead_runs_left_is_removed() -> None:
    """A run whose event stream was broken at the first look is alive as well."""
    sweeper = FakeSweeper([], [presence_of("sla-bbbbbb-001-0001")], [])
    told = sweep_dead_runs(sweeper, only=None, dry_run=False, pause=no_pause)
    assert [run.sentence for run in told] == [
        "sla-aaaaaa is dead: 1 channels removed",
        "sla-bbbbbb lives: 1 channels left alone",
    ]
    assert sweeper.things == [LIVE, STRANGER]


def test_a_dry_run_removes_nothing() -> None:
    """It says what it would."""
    sweeper = FakeSweeper([])
    told = sweep_dead_runs(sweeper, only=None, dry_run=True, pause=no_pause)
    assert told[0].sentence == "sla-aaaaaa is dead: 1 channels would be removed"
    assert sweeper.things == [DEAD, LIVE, STRANGER]


def test_a_run_that_is_named_is_swept_though_it_seems_to_live() -> None:
    """The host that it ran on may have lost its power: Asterisk does not notice that for a long time."""
    sweeper = FakeSweeper([presence_of("sla-bbbbbb-002-0003")])
    sweep_dead_runs(sweeper, only="sla-bbbbbb", dry_run=False, pause=no_pause)
    assert sweeper.things == [DEAD, STRANGER]


def test_what_cannot_be_removed_is_told() -> None:
    """The command then ends with 1."""
    told = sweep_dead_runs(FakeSweeper([], keeps=True), only="sla-aaaaaa", dry_run=False, pause=no_pause)
    assert told[0].left == (DEAD.identity,)
    assert "could not be removed" in told[0].sentence


async def test_an_asterisk_that_does_not_answer_is_an_error() -> None:
    """One sentence."""
    sweeper = Sweeper(AriEndpoint("http://127.0.0.1:1/ari"), tls_context(None, verify=True))
    with pytest.raises(AriUnreachable, match="could not be asked"):
        await asyncio.to_thread(sweep_dead_runs, sweeper, only=None, dry_run=False, pause=no_pause)
