"""Faults that end Asterisk."""

import asyncio

import pytest

GONE_S, CORE_S = 3.0, 15.0


async def end_of(pbx, answers):
    """Return how Asterisk ended; empty where it still runs.

    One that left a request unanswered may be writing its core file, which takes its time on a busy machine.
    """
    for _ in range(int((CORE_S if 0 in answers else GONE_S) / 0.1)):
        if pbx.has_ended:
            break
        await asyncio.sleep(0.1)
    return pbx.has_ended


@pytest.mark.asterisk_bug("asterisk#1757", "running out of RTP ports ends it", known_in="16.28, 22.9, 22.10.1")
async def test_running_out_of_rtp_ports(asterisk_bug):
    """Twenty ports are good for ten channels; the eleventh must be refused, and no more."""
    async with asterisk_bug.victim(rtp_ports=(10_000, 10_019)) as pbx:
        asterisk_bug.tries = 1
        answers = [(await pbx.external_media(pbx.new_id())).status for _ in range(12)]
        assert answers[:9] == [200] * 9
        if end := await end_of(pbx, answers):
            asterisk_bug.found(f"with ports for ten channels, the {answers.count(200) + 1}th was its last: {end}")


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        pytest.param(
            "/bridges/{bridge}/variable",
            {"value": "x"},
            marks=pytest.mark.asterisk_bug(
                "bridge-variable", "a variable of a bridge that is set without its name ends it", known_in="22.10.1"
            ),
        ),
        pytest.param(
            "/bridges/{bridge}/record",
            {"name": "anything"},
            marks=pytest.mark.asterisk_bug(
                "bridge-record", "a recording of a bridge without a format ends it", known_in="22.10.1"
            ),
        ),
        pytest.param(
            "/channels/{channel}/move",
            {},
            marks=pytest.mark.asterisk_bug(
                "channel-move", "a channel that is moved to no application ends it", known_in="16.28, 22.10.1"
            ),
        ),
    ],
    ids=["variable", "record", "move"],
)
async def test_a_request_without_what_it_must_have(asterisk_bug, path, parameters):
    """It must be answered 400."""
    async with asterisk_bug.victim() as pbx:
        asterisk_bug.tries = 1
        channel, bridge = pbx.new_id(), pbx.new_id("bridge")
        await pbx.external_media(channel)
        await pbx.event("StasisStart", channel)
        await pbx.request("POST", f"/bridges/{bridge}", type="mixing")
        await pbx.request("POST", f"/bridges/{bridge}/addChannel", channel=channel)
        answer = await pbx.request("POST", path.format(channel=channel, bridge=bridge), **parameters)
        if end := await end_of(pbx, [answer.status]):
            asterisk_bug.found(f"POST {path} without it was answered {answer.status or 'not at all'}: {end}")
