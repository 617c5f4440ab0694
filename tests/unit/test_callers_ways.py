"""How a caller may come, as a test says it."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.testing.topology_contract import RecordingCall
from pytest_ari_sla.topologies import caller
from pytest_ari_sla.topologies.caller import Caller


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"via": "fax"}, "a caller comes by local or sip or external_media"),
        ({"to": "700"}, "expected EXTENSION@CONTEXT"),
        ({"calibrate": "echo"}, "calibrate='echo' is not an extension"),
        ({"via": "sip", "calibrate": "echo@a b"}, "is not somebody to call by SIP"),
        ({"via": "sip", "to": "700@a b"}, "is not somebody to call by SIP"),
        ({"via": "sip", "variables": {"A": "1"}}, "headers="),
        ({"sip_user": "100"}, "a caller by local has none"),
        ({"headers": {"X-A": "1"}}, "a caller by local has none"),
        ({"via": "external_media", "caller_id": "100"}, "shows none"),
        ({"via": "sip", "caller_id": "a <b"}, "is shown as"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], words: str) -> None:
    """Before anything is called."""
    with pytest.raises(UsageError, match=words):
        Caller(**options)


def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is optional."""
    monkeypatch.setattr(caller, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install \"pytest-ari-sla\[sip\]\""):
        Caller(via="sip")


async def test_a_caller_by_sip_is_called_and_never_continued() -> None:
    """Its password is in no representation of it."""
    call, by_sip = RecordingCall(), Caller(to="700", via="sip", sip_user="100", sip_password="secret")
    await by_sip.establish(call)
    assert (len(call.legs), list(call.continued.values())) == (1, [("sip", "700", 1)])
    assert "secret" not in repr(by_sip)
