"""Checks before the first call: asks Asterisk and this machine for their limits, refuses a load that breaks them."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_ari_sla.ari.resources import Record
from pytest_ari_sla.errors import AriRequestFailed, SlaError
from pytest_ari_sla.media.measuring.calibration import receive_buffer_bytes
from pytest_ari_sla.targets.checks.preflight_rules import (
    Demand,
    Finding,
    Machine,
    TargetCapacity,
    judge_machine,
    judge_target,
    own_files,
    parse_port_ranges,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_ari_sla.ari_client.session import AriSession
    from pytest_ari_sla.targets.target import Target

__all__ = ["check_machine", "check_target", "read_machine", "read_target"]

# What Asterisk 16 to 22 use where their configuration says nothing.
_DEFAULT_SESSION_LIMIT = 100
_DEFAULT_RTP_PORTS = (5000, 31_000)
# A channel that is never dialled; unlike an ExternalMedia channel it takes none of the RTP ports in question.
_ASKING_ENDPOINT = "Local/s@default"
_NET = Path("/proc/sys/net")
_IANA_DYNAMIC_PORTS = "49152 65535"


class _Module(Record, frozen=True):
    """An entry of ``GET /asterisk/modules``."""

    name: str
    status: str = ""


async def check_target(session: AriSession, target: Target, demand: Demand) -> list[str]:
    """Check that an Asterisk can carry a load; return notes on what could not be checked.

    Raises
    ------
    TargetIncomplete
        If it has no ExternalMedia of the kind that the load needs.
    TargetTooSmall
        If a limit of its configuration does not admit the load.
    """
    notes = _notes_or_raise(judge_target(demand, await read_target(session, target)))
    if any(needs.websocket_client for needs in demand.media):
        await session.check_websocket_clients()
    return notes


def check_machine(demand: Demand, leased_ports: tuple[int, int]) -> list[str]:
    """Check that this machine can generate a load, and raise this process's limit of open files as far as it needs.

    Returns
    -------
    Notes on what may disturb the load.

    Raises
    ------
    OpenFilesLimit, PortsExhausted
        If it cannot.
    """
    machine = read_machine()
    notes = _notes_or_raise(judge_machine(demand, machine, leased_ports))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = own_files(demand)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return notes


async def read_target(session: AriSession, target: Target) -> TargetCapacity:
    """Ask an Asterisk for its limits; what the target is known to have is not asked for.

    ARI shows no configuration, but the dialplan function AST_CONFIG reads it, and ARI evaluates functions on a channel;
    where func_config is loaded, a channel is made for a moment.
    """
    modules = await _modules(session)
    session_limit, rtp_ports = target.session_limit, target.rtp_ports
    can_read = modules is None or "func_config" in modules
    # Counted before we make a channel to ask by, which would count itself.
    active_channels = len(await session.channels())
    if can_read and (session_limit is None or rtp_ports is None):
        read_limit, read_ports = await _configured_limits(session)
        session_limit = read_limit if session_limit is None else session_limit
        rtp_ports = read_ports if rtp_ports is None else rtp_ports
    info = await session.info()
    return TargetCapacity(
        version=info.version,
        modules=modules,
        active_channels=active_channels,
        session_limit=session_limit,
        rtp_ports=rtp_ports,
        max_calls=info.config.max_channels,
        max_files=info.config.max_open_files,
    )


def read_machine() -> Machine:
    """Read this machine's limits."""
    low, high = _read("ipv4/ip_local_port_range", _IANA_DYNAMIC_PORTS).split()
    return Machine(
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        kernel_ports=(int(low), int(high)),
        reserved_ports=parse_port_ranges(_read("ipv4/ip_local_reserved_ports", "")),
        receive_buffer_bytes=receive_buffer_bytes(),
    )


async def _modules(session: AriSession) -> frozenset[str] | None:
    """Return the names of the running modules; None where ARI refuses to list them."""
    try:
        modules = await session.client.fetch(list[_Module], "GET", "/asterisk/modules")
    except AriRequestFailed:
        return None
    return frozenset(module.name.removesuffix(".so") for module in modules if module.status == "Running")


async def _configured_limits(session: AriSession) -> tuple[int | None, tuple[int, int] | None]:
    """Read ``sessionlimit`` and the range of RTP ports; None for what cannot be read."""
    channel_id = session.new_id("channel")
    try:
        await session.create(channel_id, _ASKING_ENDPOINT)
    except AriRequestFailed:
        return None, None
    try:
        # ARI answers, so this is set: where not even it can be read, "not set" would mean nothing.
        if await _setting(session, channel_id, "http.conf", "enabled") is None:
            return None, None
        limit = await _setting(session, channel_id, "http.conf", "sessionlimit")
        low = await _setting(session, channel_id, "rtp.conf", "rtpstart")
        high = await _setting(session, channel_id, "rtp.conf", "rtpend")
    finally:
        await session.hangup(channel_id)
        await session.watch(channel_id).destroyed()
    ports = (_number(low, _DEFAULT_RTP_PORTS[0]), _number(high, _DEFAULT_RTP_PORTS[1]))
    return _number(limit, _DEFAULT_SESSION_LIMIT), ports


async def _setting(session: AriSession, channel_id: str, file: str, name: str) -> str | None:
    """Return a setting of a file's general section; None where it is not set (ARI then answers 500)."""
    try:
        return await session.get_variable(channel_id, f"AST_CONFIG({file},general,{name})")
    except AriRequestFailed:
        return None


def _number(text: str | None, default: int) -> int:
    """Return a setting as Asterisk reads it: its default where it is not set or no number."""
    return int(text) if text is not None and text.strip().isdecimal() else default


def _read(name: str, default: str) -> str:
    """Return a setting of the network; the default where the system has no such file."""
    path = _NET / name
    return path.read_text() if path.exists() else default


def _notes_or_raise(findings: Iterable[Finding]) -> list[str]:
    """Return the notes; raise the problems as one error: the first one, saying them all."""
    findings = list(findings)
    errors = [finding for finding in findings if isinstance(finding, SlaError)]
    if errors:
        errors[0].args = ("\n".join(str(error) for error in errors),)
        raise errors[0]
    return [str(note) for note in findings]
