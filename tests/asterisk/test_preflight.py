from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.ari.media_needs import AUDIOSOCKET, RTP, WEBSOCKET
from pytest_ari_sla.ari_client.session import AriSession
from pytest_ari_sla.errors import TargetIncomplete, TargetTooSmall
from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
from pytest_ari_sla.targets.checks.preflight import check_target, read_target
from pytest_ari_sla.targets.checks.preflight_rules import Demand, TargetCapacity
from pytest_ari_sla.targets.external import external_target

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_ari_sla.ari.media_needs import MediaNeeds
    from pytest_ari_sla.targets.target import Target

TEN_CALLS = Demand(calls=10, channels=10, media={RTP: 10}, http_sessions=17, port_pairs=1, open_files=30)


def stranger(asterisk: PrivateAsterisk) -> Target:
    """Return an Asterisk of ours as a target of which nothing is known but its address."""
    return external_target(asterisk.url, user=asterisk.user, password=asterisk.password)


async def check(asterisk: PrivateAsterisk, demand: Demand) -> list[str]:
    """Check an Asterisk as an external target."""
    target = stranger(asterisk)
    async with AriSession(target.url, target.user, target.password, app="preflight", id_prefix="pre1") as session:
        return await check_target(session, target, demand)


async def read(asterisk: PrivateAsterisk) -> TargetCapacity:
    """Read the limits of an Asterisk as an external target; no channel remains."""
    target = stranger(asterisk)
    async with AriSession(target.url, target.user, target.password, app="preflight", id_prefix="pre2") as session:
        capacity = await read_target(session, target)
        async with asyncio.timeout(5):  # Asterisk ends the other half of a Local channel a moment after ours
            while await session.channels():
                await asyncio.sleep(0.01)
        return capacity


async def test_the_limits_of_a_stranger_are_read_over_ari(asterisk: PrivateAsterisk) -> None:
    """Session limit and RTP ports come from Asterisk's own configuration; the channel that asked is gone."""
    capacity = await read(asterisk)
    assert capacity.session_limit == asterisk.session_limit
    assert capacity.rtp_ports == asterisk.rtp_ports
    assert capacity.max_files is not None
    assert capacity.modules is not None
    assert {"chan_rtp", "res_ari_channels"} <= capacity.modules


async def test_a_load_that_fits_gives_no_notes(asterisk: PrivateAsterisk) -> None:
    """Everything could be checked, and all is well."""
    assert await check(asterisk, TEN_CALLS) == []


async def test_a_configuration_without_limits_has_asterisks_defaults(asterisk_folder: Path) -> None:
    """What is not set is not unknown: Asterisk then uses 100 sessions and the ports 5000-31000."""
    files = {"rtp.conf": "[general]\n"}
    with PrivateAsterisk(asterisk_folder, files=files) as asterisk:
        assert (await read(asterisk)).rtp_ports == (5000, 31_000)


async def test_an_rtp_range_that_is_too_small_is_refused_before_it_crashes_asterisk(asterisk_folder: Path) -> None:
    """The sentence holds what is needed, what there is, and where to change it; Asterisk still runs."""
    with PrivateAsterisk(asterisk_folder, rtp_ports=(10_000, 10_031)) as asterisk:
        with pytest.raises(TargetTooSmall, match=r"10 calls need 18 pairs .* 10000-10031 holds 16; widen .*rtp\.conf"):
            await check(asterisk, TEN_CALLS)
        assert asterisk.alive
        assert await check(asterisk, replace(TEN_CALLS, calls=8, media={RTP: 8})) == []


async def test_too_few_sessions_are_refused(asterisk: PrivateAsterisk) -> None:
    """A fleet that opens more connections than sessionlimit admits would be refused in mid-run."""
    demand = replace(TEN_CALLS, http_sessions=asterisk.session_limit + 1)
    with pytest.raises(TargetTooSmall, match=r"4097 connections .* takes 4096; raise sessionlimit in http\.conf"):
        await check(asterisk, demand)


async def test_an_asterisk_without_external_media_is_told_as_such(asterisk_folder: Path) -> None:
    """Without chan_rtp every call would fail with an internal error of Asterisk."""
    with PrivateAsterisk(asterisk_folder, without_modules=["chan_rtp"]) as asterisk:
        with pytest.raises(TargetIncomplete, match=r"does not run chan_rtp, .* modules\.conf"):
            await check(asterisk, TEN_CALLS)


@pytest.mark.parametrize("needs", [AUDIOSOCKET, WEBSOCKET])
async def test_media_that_asterisk_22_has_gives_no_notes(asterisk22: PrivateAsterisk, needs: MediaNeeds) -> None:
    """Modules are there, and sections of websocket_client.conf can be written."""
    assert await check(asterisk22, replace(TEN_CALLS, media={needs: 10})) == []


@pytest.mark.parametrize(("needs", "since"), [(AUDIOSOCKET, "18"), (WEBSOCKET, r"20\.16 and 22\.6")])
async def test_media_that_asterisk_16_lacks_is_told_in_one_sentence(
    asterisk16: PrivateAsterisk, needs: MediaNeeds, since: str
) -> None:
    """It has RTP only: not a call is made."""
    with pytest.raises(
        TargetIncomplete, match=rf"load them in modules\.conf .* since {since}, and this is 16\."
    ) as told:
        await check(asterisk16, replace(TEN_CALLS, media={needs: 10}))
    assert "\n" not in str(told.value)


async def test_an_asterisk_that_takes_no_sections_over_ari_is_told_what_to_write(asterisk_folder: Path) -> None:
    """Only 22 has WebSocket media; 16 is refused for its modules before that is asked."""
    with PrivateAsterisk(asterisk_folder, files={"sorcery.conf": ""}) as asterisk:
        with pytest.raises(TargetIncomplete, match=r"add to sorcery\.conf|does not run chan_websocket"):
            await check(asterisk, replace(TEN_CALLS, media={WEBSOCKET: 10}))


async def test_limits_that_cannot_be_read_are_notes(asterisk_folder: Path) -> None:
    """Without func_config Asterisk does not tell them; the load may go on."""
    with PrivateAsterisk(asterisk_folder, without_modules=["func_config"]) as asterisk:
        notes = await check(asterisk, TEN_CALLS)
    assert [note for note in notes if "could not be checked" in note] == notes
    assert len(notes) == 2
