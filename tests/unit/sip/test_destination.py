"""Whom a caller calls by SIP."""

from __future__ import annotations

import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.sip.destination import SipDestination, parse_destination


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("700", SipDestination("700")),
        ("bot@pbx", SipDestination("bot", "pbx")),
        ("sip:700@pbx.example:5080;transport=tcp", SipDestination("700", "pbx.example", 5080, "tcp")),
        ("+49301@192.0.2.1:5060", SipDestination("+49301", "192.0.2.1", 5060)),
    ],
)
def test_a_destination_is_read(text: str, expected: SipDestination) -> None:
    """As far as it is told."""
    assert parse_destination(text) == expected


@pytest.mark.parametrize(
    "text", ["", "sip:", "700@", "a b@pbx", "700@pbx:70000", "700@pbx:0", "sips:700@pbx", "7@p\r\nX: y"]
)
def test_what_is_not_one_is_refused(text: str) -> None:
    """Line breaks above all: they would be headers of our own."""
    with pytest.raises(UsageError, match="is not somebody to call by SIP"):
        parse_destination(text)
