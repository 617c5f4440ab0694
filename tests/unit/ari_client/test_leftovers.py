from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.ari.endpoint import AriEndpoint
from pytest_ari_sla.ari.leftovers import Leftover, presence_of, run_of, runs_present
from pytest_ari_sla.ari_client.removal.leftovers import sweep_dead_runs
from pytest_ari_sla.ari_client.removal.sweep import Sweeper
from pytest_ari_sla.ari_client.tls import tls_context
from pytest_ari_sla.errors import AriAuthenticationFailed, AriTimeout, AriUnreachable, NotAnAsterisk, SlaError
from pytest_ari_sla.settings import TRUST_SYSTEM
from tests.unit.ari_client.ari_server import PASSWORD, USER, FakeAri, cut, hang, html_404

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_ari_sla.ari_client.removal.ownership import Kind
    from tests.unit.ari_client.ari_server import Interference

DEAD = Leftover("/channels", "sla-aaaaaa-001-0001.c0000001.")
LIVE = Leftover("/channels", "sla-bbbbbb-002-0003.c0000001.")
BRIDGE = Leftover("/bridges", "sla-aaaaaa-001-0001.b0000003.")
STRANGER = Leftover("/channels", "1700000000.1")


class FakeSweeper(Sweeper):
    """Lists what it is given; an application may come up at a later look only."""

    def __init__(self, *looks: list[str], keeps: bool = False) -> None:
        super().__init__(AriEndpoint("http://127.0.0.1:1/ari"), tls_context(TRUST_SYSTEM))
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


def test_the_call_id_of_a_caller_by_sip_tells_its_run() -> None:
    """Asterisk gives such a channel an id of its own."""
    called = Leftover("/channels", "1700000000.2", "sla-0fe3a1-001-0001.c0000001.9f3b@192.0.2.1")
    assert called.run == "sla-0fe3a1"
    assert called.is_of("sla-0fe3a1-001-")
    assert not called.is_of("sla-0fe3a1-002-")
    assert Leftover("/channels", "1700000000.3", "9f3b@192.0.2.1").run is None


def test_a_run_lives_while_one_of_its_processes_listens() -> None:
    """The application that has channels says nothing: Asterisk keeps that of a dead one."""
    listed = ["sla-aaaaaa-001-0001", presence_of("sla-bbbbbb-002-0003"), "other"]
    assert runs_present(listed) == {"sla-bbbbbb"}


def test_only_what_dead_runs_left_is_removed() -> None:
    """A run whose event stream was broken at the first look is alive as well."""
    sweeper = FakeSweeper([], [presence_of("sla-bbbbbb-001-0001")], [])
    told = sweep_dead_runs(sweeper, only=None, dry_run=False, pause=no_pause)
    assert [run.sentence for run in told] == [
        "sla-aaaaaa is dead: 1 channel removed",
        "sla-bbbbbb lives: 1 channel left alone",
    ]
    assert sweeper.things == [LIVE, STRANGER]


def test_a_dry_run_removes_nothing() -> None:
    """It says what it would."""
    sweeper = FakeSweeper([])
    told = sweep_dead_runs(sweeper, only=None, dry_run=True, pause=no_pause)
    assert told[0].sentence == "sla-aaaaaa is dead: 1 channel would be removed"
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


def many(count: int) -> list[Leftover]:
    """Return so many channels of a dead run, and a bridge."""
    return [*(DEAD._replace(identity=f"{DEAD.identity}{number}") for number in range(count)), BRIDGE]


def test_what_is_counted_is_named_as_one_says_it() -> None:
    """Several channels, one bridge."""
    sweeper = FakeSweeper([])
    sweeper.things = many(3)
    (told,) = sweep_dead_runs(sweeper, only=None, dry_run=True, pause=no_pause)
    assert told.sentence == "sla-aaaaaa is dead: 3 channels, 1 bridge would be removed"


async def failing(url: str, password: str = PASSWORD, timeout_s: float = 5.0) -> SlaError:
    """Sweep where that cannot be done, and return the error."""
    sweeper = Sweeper(AriEndpoint(url, USER, password), tls_context(TRUST_SYSTEM), timeout_s)
    with pytest.raises(SlaError) as caught:
        await asyncio.to_thread(sweep_dead_runs, sweeper, only=None, dry_run=False, pause=no_pause)
    assert PASSWORD not in str(caught.value)
    return caught.value


async def test_where_nothing_listens_is_named(unused_tcp_port: int) -> None:
    """With what to check."""
    error = await failing(f"http://127.0.0.1:{unused_tcp_port}/ari")
    assert isinstance(error, AriUnreachable)
    assert f"127.0.0.1:{unused_tcp_port} refused the connection; is Asterisk running" in str(error)


async def test_a_host_that_does_not_exist_is_named() -> None:
    """The top-level domain "invalid" never exists (RFC 6761)."""
    assert "'pbx.invalid' of the ARI URL cannot be resolved" in str(await failing("http://pbx.invalid:8088/ari"))


async def test_a_wrong_password_is_asterisks_refusal_and_no_matter_of_the_network(fake_ari: FakeAri) -> None:
    """The options to look at are those of the command."""
    error = await failing(fake_ari.url + "/ari", "wrong")
    assert isinstance(error, AriAuthenticationFailed)
    assert "refused GET /channels for user" in str(error)
    assert "--ari-user and --ari-password-file" in str(error)


@pytest.mark.parametrize(
    ("act", "expected", "words"),
    [
        (html_404, NotAnAsterisk, "answered 404 without ARI's own message"),
        (hang, AriTimeout, "within 0.5 s; Asterisk is overloaded or hangs"),
        (cut, AriUnreachable, "closed the connection without answering GET /channels"),
    ],
)
async def test_whatever_else_answers_is_named_as_in_a_load(
    fake_ari: FakeAri, act: Interference, expected: type[SlaError], words: str
) -> None:
    """One tree of errors for both."""
    fake_ari.interfere = act
    error = await failing(fake_ari.url + "/ari", timeout_s=0.5)
    assert isinstance(error, expected)
    assert words in str(error)


async def test_http_where_https_is_expected_says_so(fake_ari: FakeAri) -> None:
    """Not the handshake's own words."""
    error = await failing(fake_ari.url.replace("http:", "https:") + "/ari")
    assert "does not speak TLS; use http://" in str(error)
