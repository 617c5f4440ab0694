"""What ``ari-sla doctor`` says of this machine: what it can tell, what it can carry, and what it allows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_ari_sla.media.measuring.calibration import calibrate
from pytest_ari_sla.media.measuring.capacity import BUSY_RATIO, PacedRun
from pytest_ari_sla.session.machine.cores import usable_cores
from pytest_ari_sla.session.machine.paced_run import find_capacity
from pytest_ari_sla.targets.checks.preflight import read_machine
from pytest_ari_sla.udp.pacing_timer import may_use_realtime

if TYPE_CHECKING:
    from pytest_ari_sla.media.measuring.calibration import Calibration
    from pytest_ari_sla.targets.checks.preflight_rules import Machine

__all__ = ["describe", "examine"]

_US_PER_S = 1e6


async def examine() -> list[tuple[str, str]]:
    """Measure this machine, for half a minute; return names and values."""
    cores = usable_cores()
    return describe(calibrate(), read_machine(), cores, await find_capacity(cores), realtime=may_use_realtime())


def describe(
    measured: Calibration, machine: Machine, cores: float, carried: PacedRun, *, realtime: bool
) -> list[tuple[str, str]]:
    """Return names and values, as a person reads them."""
    options = measured.options
    return [
        ("clock floor", f"{measured.clock_floor.percentile(50)} ns between two readings (p50)"),
        ("loopback floor", f"{measured.loopback.percentile(50) / 1e3:.1f} µs for one packet, one way (p50)"),
        ("cores", _cores(cores)),
        ("calls", _calls(carried, min(1.0, cores))),
        ("back end", measured.backend),
        ("kernel time stamps", "yes" if options.kernel_time else "NO: delays include our own reading"),
        ("receive buffer", f"{options.buffer_bytes:,} bytes granted"),
        ("real-time priority", "allowed" if realtime else "not allowed (root or CAP_SYS_NICE)"),
        ("open files", f"{machine.open_files:,} at most"),
        ("ports of the kernel", f"{machine.kernel_ports[0]}-{machine.kernel_ports[1]}"),
    ]


def _cores(cores: float) -> str:
    present = os.cpu_count() or 1
    return f"{cores:g}" if cores >= present else f"{cores:g} of {present}, by CPU quota or affinity"


def _calls(carried: PacedRun, share: float) -> str:
    if carried.problem:
        return f"fewer than {carried.calls:,} on one core: {carried.problem}"
    cost_us = (carried.loop_ratio + carried.measuring_ratio) / carried.calls * _US_PER_S
    return (
        f"{carried.calls:,} two-way calls at 20 ms were held by one worker: moving packets took "
        f"{carried.loop_ratio:.0%} of a core, measuring them {carried.measuring_ratio:.0%} "
        f"({cost_us:.0f} µs for each second of a call). {_why_not_more(carried, share)}"
    )


def _why_not_more(carried: PacedRun, share: float) -> str:
    if carried.why_not_more:
        return f"More were not held just now, a quiet machine may: {carried.why_not_more}"
    return f"More would keep one of them busy for over {BUSY_RATIO * share:.0%}, of which the tool warns"
