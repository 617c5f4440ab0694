from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.errors import AriUnreachable
from pytest_ari_sla.session import target_source
from pytest_ari_sla.session.target_source import TargetSource, check_reachable
from pytest_ari_sla.settings import Settings
from pytest_ari_sla.targets.target import Target
from tests.unit.ari_client.ari_server import PASSWORD, USER, FakeAri

if TYPE_CHECKING:
    from typing import Self

STARTED = Target(kind="private", url="http://127.0.0.1:9/ari", user=USER, password=PASSWORD, media_host="127.0.0.1")


def test_a_target_that_was_started_and_does_not_answer_is_not_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test of a session asks for it; what was started first runs on until the session's end."""
    running: list[Starting] = []

    class Starting:
        target = STARTED

        def __init__(self, *arguments: object, **options: object) -> None: ...

        def __enter__(self) -> Self:
            running.append(self)
            return self

        def __exit__(self, *exception: object) -> None:
            running.remove(self)

    monkeypatch.setattr(target_source, "PrivateAsterisk", Starting)
    source = TargetSource(Settings(asterisk="/somewhere"))
    for _ in range(2):
        with pytest.raises(AriUnreachable):
            source.get()
    assert len(running) == 1
    source.close()
    assert not running


async def test_two_sessions_that_look_at_one_asterisk_use_applications_of_their_own() -> None:
    """Asterisk gives an application's events to whoever connected last, and tells the other ApplicationReplaced."""
    async with FakeAri() as server:
        target = Target(kind="external", url=f"{server.url}/ari", user=USER, password=PASSWORD, media_host="127.0.0.1")
        for _ in range(2):
            await check_reachable(target, Settings())
        names = {query["app"] for _, _, query in server.requests if "app" in query}
    assert len(names) == 2
    assert all(name.startswith("ari-sla-") for name in names)
