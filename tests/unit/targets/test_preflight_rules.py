from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.ari.media_needs import AUDIOSOCKET, RTP, WEBSOCKET, WEBSOCKET_SERVER
from pytest_ari_sla.errors import OpenFilesLimit, PortsExhausted, SlaError, TargetIncomplete, TargetTooSmall
from pytest_ari_sla.targets.checks.preflight_rules import (
    Demand,
    Machine,
    TargetCapacity,
    judge_machine,
    judge_target,
    own_files,
    parse_port_ranges,
    rtp_pairs,
)

if TYPE_CHECKING:
    from pytest_ari_sla.ari.media_needs import MediaNeeds
    from pytest_ari_sla.targets.checks.preflight_rules import Finding

MODULES = frozenset({"chan_rtp", "res_rtp_asterisk", "res_ari_channels", "res_ari_events", "res_stasis", "app_stasis"})
DEMAND = Demand(calls=100, channels=200, media={RTP: 200}, http_sessions=17, port_pairs=4, open_files=50)
# 210 pairs: 200 for the load and 5 %, at least 8, in reserve.
CAPACITY = TargetCapacity(modules=MODULES, session_limit=17, rtp_ports=(10_000, 10_419), max_calls=200, max_files=917)
MACHINE = Machine(open_files=150, kernel_ports=(32_768, 60_999), reserved_ports=(), receive_buffer_bytes=8 << 20)
LEASED = (20_480, 20_487)


def only(findings: list[Finding]) -> Finding:
    """Return the one finding."""
    (finding,) = findings
    return finding


def test_limits_that_are_just_met_give_no_finding() -> None:
    """All limits of these tests sit exactly at the demand."""
    assert judge_target(DEMAND, CAPACITY) == []
    assert judge_machine(DEMAND, MACHINE, LEASED) == []


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        (
            {"rtp_ports": (10_000, 10_417)},
            TargetTooSmall,
            r"100 calls need 210 pairs of RTP ports .*\(200 for the load, 0 .* there, 10 in reserve.*holds 209; widen",
        ),
        ({"session_limit": 16}, TargetTooSmall, "need 17 connections .* takes 16; raise sessionlimit"),
        ({"max_calls": 199}, TargetTooSmall, "need 200 channels .* it takes 199; raise maxcalls"),
        ({"max_files": 916}, TargetTooSmall, "open about 917 files .* may open 916; raise maxfiles"),
        ({"modules": MODULES - {"chan_rtp"}}, TargetIncomplete, "does not run chan_rtp, .*load it in modules.conf"),
        (
            {"modules": MODULES - {"chan_rtp", "res_rtp_asterisk", "app_stasis"}},
            TargetIncomplete,
            "does not run chan_rtp, res_rtp_asterisk and app_stasis, .*load them",
        ),
    ],
)
def test_a_limit_of_asterisk_one_too_low_is_a_problem_with_numbers_and_remedy(
    change: dict[str, Any], error: type[SlaError], sentence: str
) -> None:
    """One sentence each, naming the setting to change."""
    with pytest.raises(error, match=sentence):
        raise_only(judge_target(DEMAND, replace(CAPACITY, **change)))


@pytest.mark.parametrize(
    ("change", "leased", "error", "sentence"),
    [
        ({"open_files": 149}, LEASED, OpenFilesLimit, "need 150 open files .* allows 149; raise the hard limit"),
        ({}, (20_480, 20_485), PortsExhausted, "need 4 pairs .* 20480-20485 holds 3; widen it with --ari-rtp-ports"),
    ],
)
def test_a_limit_of_this_machine_one_too_low_is_a_problem_with_numbers_and_remedy(
    change: dict[str, Any], leased: tuple[int, int], error: type[SlaError], sentence: str
) -> None:
    """The harness is at fault then, not Asterisk."""
    with pytest.raises(error, match=sentence):
        raise_only(judge_machine(DEMAND, replace(MACHINE, **change), leased))


def raise_only(findings: list[Finding]) -> None:
    """Raise the one finding."""
    finding = only(findings)
    assert isinstance(finding, SlaError)
    assert "\n" not in str(finding)
    raise finding


@pytest.mark.parametrize(
    ("needs", "modules", "sentence"),
    [
        (
            AUDIOSOCKET,
            MODULES,
            r"not run chan_audiosocket and res_audiosocket, .* with AudioSocket; load .*since 18, and this is 16\.28",
        ),
        (
            WEBSOCKET,
            MODULES | {"res_http_websocket"},
            r"not run chan_websocket and res_websocket_client, .* with WebSocket; .*since 20\.16 and 22\.6, and",
        ),
    ],
)
def test_an_asterisk_that_lacks_a_way_of_media_is_told_from_when_on_they_have_it(
    needs: MediaNeeds, modules: frozenset[str], sentence: str
) -> None:
    """16 has RTP only; a newer one loads what modules.conf says."""
    demand = replace(DEMAND, media={needs: 200})
    with pytest.raises(TargetIncomplete, match=sentence):
        raise_only(judge_target(demand, replace(CAPACITY, modules=modules, version="16.28.0", max_files=None)))


@pytest.mark.parametrize("needs", [AUDIOSOCKET, WEBSOCKET, WEBSOCKET_SERVER])
def test_media_over_tcp_needs_no_rtp_ports_but_files(needs: MediaNeeds) -> None:
    """One connection for each channel."""
    capacity = replace(CAPACITY, modules=MODULES | set(needs.modules), rtp_ports=None, max_files=1117)
    demand = replace(DEMAND, media={needs: 200})
    assert judge_target(demand, capacity) == []
    with pytest.raises(TargetTooSmall, match=r"open about 1117 files .* may open 1116; raise maxfiles"):
        raise_only(judge_target(demand, replace(capacity, max_files=1116)))


def test_legs_of_two_kinds_need_both() -> None:
    """An RTP leg and a WebSocket leg in each call."""
    demand = replace(DEMAND, media={RTP: 100, WEBSOCKET: 100})
    capacity = replace(CAPACITY, modules=MODULES | set(WEBSOCKET.modules), max_files=None)
    assert judge_target(demand, replace(capacity, rtp_ports=(10_000, 10_215))) == []
    with pytest.raises(TargetTooSmall, match=r"need 108 pairs .*\(100 for the load"):
        raise_only(judge_target(demand, replace(capacity, rtp_ports=(10_000, 10_213))))


def test_handshakes_of_media_are_named_where_sessions_are_too_few() -> None:
    """They end with the handshake, so that only those that go on at a time count."""
    demand = replace(DEMAND, media={WEBSOCKET_SERVER: 200}, http_sessions=33)
    capacity = replace(CAPACITY, modules=MODULES | set(WEBSOCKET.modules), session_limit=32, max_files=None)
    with pytest.raises(TargetTooSmall, match=r"need 33 connections .* \(handshakes of WebSocket media included\)"):
        raise_only(judge_target(demand, capacity))


def test_channels_that_are_there_count_against_the_limits() -> None:
    """Somebody else's calls take ports too."""
    findings = judge_target(DEMAND, replace(CAPACITY, active_channels=1))
    assert {type(finding) for finding in findings} == {TargetTooSmall}
    assert len(findings) == 3  # RTP ports, calls, files


def test_few_channels_still_keep_a_reserve_of_ports() -> None:
    """A twentieth of one channel is none, but Asterisk gives ports back late."""
    demand = replace(DEMAND, calls=1, channels=1, media={RTP: 1})
    assert judge_target(demand, replace(CAPACITY, rtp_ports=(10_000, 10_017))) == []
    assert judge_target(demand, replace(CAPACITY, rtp_ports=(10_000, 10_016))) != []


def test_what_asterisk_does_not_tell_is_a_note() -> None:
    """A limit of asterisk.conf that is not told is not set, and no note."""
    findings = judge_target(DEMAND, TargetCapacity())
    assert all(isinstance(finding, str) and "could not be checked" in finding for finding in findings)
    assert len(findings) == 3  # modules, RTP ports, sessions


@pytest.mark.parametrize(
    ("leased", "reserved", "exposed"),
    [
        ((32_760, 32_767), (), 0),
        ((32_761, 32_768), (), 1),
        ((32_768, 32_867), (), 100),
        ((60_990, 61_010), (), 10),
        ((32_768, 32_867), ((32_768, 32_800), (32_801, 32_860)), 7),
        ((32_768, 32_867), ((20_000, 40_000),), 0),
    ],
)
def test_ports_that_the_kernel_gives_out_are_a_note_unless_reserved(
    leased: tuple[int, int], reserved: tuple[tuple[int, int], ...], exposed: int
) -> None:
    """The note says how many, and both ways out."""
    findings = judge_machine(replace(DEMAND, port_pairs=1), replace(MACHINE, reserved_ports=reserved), leased)
    if exposed == 0:
        assert findings == []
    else:
        note = only(findings)
        assert isinstance(note, str)
        assert f"gives out {exposed} of the RTP ports" in note
        assert "ip_local_reserved_ports=" in note


def test_a_small_receive_buffer_is_a_note_in_packets() -> None:
    """The default of Linux holds 277 small packets."""
    note = only(judge_machine(DEMAND, replace(MACHINE, receive_buffer_bytes=212_992), LEASED))
    assert isinstance(note, str)
    assert "212992 bytes here, about 277 packets" in note
    assert "sysctl -w net.core.rmem_max=4194304" in note


@given(low=st.integers(1, 200), length=st.integers(0, 50))
def test_pairs_are_even_ports_whose_neighbour_is_in_the_range(low: int, length: int) -> None:
    """The formula agrees with counting."""
    high = low + length
    assert rtp_pairs((low, high)) == sum(1 for port in range(low, high) if port % 2 == 0)


def test_the_kernels_lists_of_ports_are_read() -> None:
    """Single ports and ranges, or nothing."""
    assert parse_port_ranges("\n") == ()
    assert parse_port_ranges("5060,20000-20010\n") == ((5060, 5060), (20_000, 20_010))


def test_a_process_has_files_open_besides_those_of_the_load() -> None:
    """The interpreter and its pipes."""
    assert own_files(DEMAND) > DEMAND.open_files
