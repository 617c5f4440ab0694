"""Ends of channels: reasons and causes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.raw_ari import RawAri

_REASONS = [
    ("normal", 16, "Normal Clearing"),
    ("busy", 17, "User busy"),
    ("timeout", 18, "No user responding"),
    ("no_answer", 19, "User alerting, no answer"),
    ("rejected", 21, "Call Rejected"),
    ("answered_elsewhere", 26, "Answered elsewhere"),
    ("number_incomplete", 28, "Invalid number format"),
    ("normal_unspecified", 31, "Normal, unspecified"),
    ("congestion", 34, "Circuit/channel congestion"),
    ("failure", 38, "Network out of order"),
    ("codec_mismatch", 58, "Bearer capability not available"),
    ("interworking", 127, "Interworking, unspecified"),
    ("unallocated", 1, "Unallocated (unassigned) number"),
]


@pytest.mark.parametrize(("reason", "cause", "text"), _REASONS)
async def test_a_reason_becomes_a_cause(
    raw_ari: RawAri, new_id: Callable[[str], str], reason: str, cause: int, text: str
) -> None:
    """DELETE with a reason ends the channel with the cause that belongs to it."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    assert (await raw_ari.delete(f"/channels/{channel}", reason=reason)).status == 204
    ended = await log.wait_for("ChannelDestroyed", channel)
    assert (ended["cause"], ended["cause_txt"]) == (cause, text)


async def test_an_unknown_reason_is_refused(raw_ari: RawAri, new_id: Callable[[str], str]) -> None:
    """The channel lives on when the reason is none."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    what = "hangup reason" if raw_ari.major > 16 else "hangup"
    refused = await raw_ari.delete(f"/channels/{channel}", reason="bogus")
    assert refused.error == (400, f"Invalid reason for {what} provided")
    assert (await raw_ari.get(f"/channels/{channel}")).status == 200


@pytest.mark.parametrize(("code", "cause", "text"), [("17", 17, "User busy"), ("999", 999, "Unknown")])
async def test_a_reason_code_is_the_cause(
    raw_ari: RawAri, new_id: Callable[[str], str], code: str, cause: int, text: str
) -> None:
    """Asterisk 22 takes any number as cause; 16 does not know the parameter and ends the channel normally."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    assert (await raw_ari.delete(f"/channels/{channel}", reason_code=code)).status == 204
    ended = await log.wait_for("ChannelDestroyed", channel)
    expected = (cause, text) if raw_ari.major > 16 else (16, "Normal Clearing")
    assert (ended["cause"], ended["cause_txt"]) == expected


async def test_a_reason_code_that_is_no_number(raw_ari: RawAri, new_id: Callable[[str], str]) -> None:
    """Asterisk 22 refuses it; 16 does not look at it."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    reply = await raw_ari.delete(f"/channels/{channel}", reason_code="bogus")
    if raw_ari.major > 16:
        assert reply.error == (400, "Invalid reason for hangup reason code provided")
    else:
        assert reply.status == 204


async def test_deleting_twice_answers_404(raw_ari: RawAri, new_id: Callable[[str], str]) -> None:
    """What is gone is not found."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    await raw_ari.delete(f"/channels/{channel}")
    await log.wait_for("ChannelDestroyed", channel)
    assert (await raw_ari.delete(f"/channels/{channel}")).error == (404, "Channel not found")
