from __future__ import annotations

import resource
from dataclasses import replace

import pytest

from pytest_ari_sla.ari.media_needs import RTP
from pytest_ari_sla.errors import OpenFilesLimit
from pytest_ari_sla.targets.checks import preflight
from pytest_ari_sla.targets.checks.preflight import check_machine, read_machine
from pytest_ari_sla.targets.checks.preflight_rules import Demand, Machine

DEMAND = Demand(calls=10, channels=10, media={RTP: 10}, http_sessions=17, port_pairs=4, open_files=50)
LEASED = (20_480, 20_487)


def test_this_machine_is_read() -> None:
    """Its limits are plausible, whatever they are."""
    machine = read_machine()
    assert machine.open_files > 0
    assert 0 < machine.kernel_ports[0] <= machine.kernel_ports[1] <= 65_535
    assert machine.receive_buffer_bytes > 1000


def test_a_system_without_proc_has_the_usual_ports(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """Those of IANA for dynamic use."""
    monkeypatch.setattr(preflight, "_NET", tmp_path)
    machine = read_machine()
    assert machine.kernel_ports == (49_152, 65_535)
    assert machine.reserved_ports == ()


def test_problems_are_raised_together_and_notes_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who must change three settings hears of all three at once."""
    small = Machine(open_files=20, kernel_ports=(32_768, 60_999), reserved_ports=(), receive_buffer_bytes=200_000)
    monkeypatch.setattr(preflight, "read_machine", lambda: small)
    with pytest.raises(OpenFilesLimit, match=r"open files and sockets[^\n]*\n[^\n]*pairs of RTP ports") as caught:
        check_machine(replace(DEMAND, port_pairs=100), LEASED)
    assert len(str(caught.value).splitlines()) == 2
    monkeypatch.setattr(preflight, "read_machine", lambda: replace(small, open_files=20_000))
    (note,) = check_machine(DEMAND, LEASED)
    assert "rmem_max" in note


@pytest.mark.parametrize(("soft", "expected"), [(120, [(150, 1000)]), (150, []), (1000, [])])
def test_the_limit_of_open_files_is_raised_as_far_as_needed(
    monkeypatch: pytest.MonkeyPatch, soft: int, expected: list[tuple[int, int]]
) -> None:
    """What the user may allow us without being asked is not a problem to report; more than needed is not taken."""
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft, 1000))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, values: limits.append(values))
    check_machine(DEMAND, LEASED)
    assert limits == expected
