"""Whether an Asterisk and this machine can carry a load, judged from numbers before the first call is made.

Nothing here asks anybody: what is known comes in, findings go out. ``preflight`` does the asking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_ari_sla.ari.media_needs import RTP
from pytest_ari_sla.errors import OpenFilesLimit, PortsExhausted, SlaError, TargetIncomplete, TargetTooSmall
from pytest_ari_sla.metrics.units import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_ari_sla.ari.media_needs import MediaNeeds

__all__ = [
    "Demand",
    "Finding",
    "Machine",
    "TargetCapacity",
    "judge_machine",
    "judge_target",
    "own_files",
    "parse_port_ranges",
    "rtp_pairs",
]

PortRange = tuple[int, int]

Finding = SlaError | str
"""What a check found: an error to raise, or a note, which does not keep a load from starting; one sentence each."""

# Measured on 22.10.1: descriptors of an ExternalMedia channel in a bridge, with RTP; and what Asterisk opens anyway.
_FILES_PER_CHANNEL = 4
_TARGET_FILES_BESIDES = 100
# The interpreter, its libraries, captured output, pipes to other processes.
_OWN_FILES_BESIDES = 100
# Asterisk 16 to 22 crash when their RTP ports run out, and ports of a call that ended are free only a while later.
_RTP_RESERVE_RATIO = 0.05
_RTP_RESERVE_PAIRS = 8
# 5,461 small packets: what 100 calls on one socket receive in a second.
_WANTED_RECEIVE_BUFFER_BYTES = 4 << 20
# What a small datagram takes of a receive buffer, measured: 212,992 bytes hold 277 of them.
_BUFFER_BYTES_PER_PACKET = 768
_NEEDED_MODULES = ("res_ari_channels", "res_ari_events", "res_stasis", "app_stasis")


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a load needs at its peak.

    Attributes
    ----------
    calls
        Calls at a time, over the whole fleet.
    channels
        Channels that these calls have at Asterisk.
    media
        How many of them each way of media has.
    http_sessions
        Connections to ARI's HTTP server, over the whole fleet.
    port_pairs
        RTP port pairs that all processes of this machine lease.
    open_files
        Sockets and files of the process on this machine that needs most.
    """

    calls: int
    channels: int
    media: Mapping[MediaNeeds, int]
    http_sessions: int
    port_pairs: int
    open_files: int

    @property
    def rtp_channels(self) -> int:
        """Channels that take RTP ports."""
        return sum(channels for needs, channels in self.media.items() if needs.rtp_ports)


@dataclass(frozen=True, kw_only=True)
class TargetCapacity:
    """What is known about an Asterisk's limits; None for what it did not tell.

    Attributes
    ----------
    version
        Its version; empty where it is not known.
    modules
        Names of its running modules, without ``.so``.
    active_channels
        Channels that it has already.
    session_limit
        ``sessionlimit`` in http.conf.
    rtp_ports
        ``rtpstart`` and ``rtpend`` in rtp.conf.
    max_calls, max_files
        ``maxcalls`` and ``maxfiles`` in asterisk.conf; None also where they are not set.
    """

    version: str = ""
    modules: frozenset[str] | None = None
    active_channels: int = 0
    session_limit: int | None = None
    rtp_ports: PortRange | None = None
    max_calls: int | None = None
    max_files: int | None = None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The limits of the machine that this process runs on.

    Attributes
    ----------
    open_files
        The highest limit of open files that this process can give itself.
    kernel_ports
        First and last port that the kernel gives out by itself (``ip_local_port_range``).
    reserved_ports
        Ranges that it leaves out (``ip_local_reserved_ports``).
    receive_buffer_bytes
        The largest receive buffer that a socket of this process can have.
    """

    open_files: int
    kernel_ports: PortRange
    reserved_ports: Sequence[PortRange]
    receive_buffer_bytes: int


def judge_target(demand: Demand, capacity: TargetCapacity) -> list[Finding]:
    """Return what keeps an Asterisk from carrying a load, and what could not be checked."""
    return [
        *_judge_modules(demand, capacity),
        *_judge_rtp_ports(demand, capacity),
        *_judge_sessions(demand, capacity),
        *_judge_channels(demand, capacity),
        *_judge_target_files(demand, capacity),
    ]


def judge_machine(demand: Demand, machine: Machine, leased_ports: PortRange) -> list[Finding]:
    """Return what keeps this machine from generating a load, and what may disturb it.

    Parameters
    ----------
    demand
        What the load needs.
    machine
        The machine's limits.
    leased_ports
        First and last port of ``--ari-rtp-ports``.
    """
    return [
        *_judge_own_files(demand, machine),
        *_judge_leased_ports(demand, leased_ports),
        *_judge_kernel_ports(machine, leased_ports),
        *_judge_receive_buffer(machine),
    ]


def own_files(demand: Demand) -> int:
    """Return how many files a process of ours may have to open: those of the load, and those that are open anyway."""
    return demand.open_files + _OWN_FILES_BESIDES


def rtp_pairs(ports: PortRange) -> int:
    """Return how many RTP/RTCP pairs (even port, next odd port) a range of ports holds."""
    low, high = ports
    # RFC 3550, section 11: RTP on an even port, its RTCP on the next one.
    return max(0, (high + 1) // 2 - (low + 1) // 2)


def parse_port_ranges(text: str) -> tuple[PortRange, ...]:
    """Read a list of ports as the kernel writes it: ``5060,20000-20010``."""
    parts = [part.partition("-") for part in text.strip().split(",") if part]
    return tuple((int(low), int(high or low)) for low, _, high in parts)


def _judge_modules(demand: Demand, capacity: TargetCapacity) -> Iterator[Finding]:
    if capacity.modules is None:
        yield _unchecked("whether its modules are complete", "GET /asterisk/modules gave no list")
        return
    this = f", and this is {capacity.version}" if capacity.version else ""
    for needs in demand.media or (RTP,):
        missing = [name for name in (*needs.modules, *_NEEDED_MODULES) if name not in capacity.modules]
        if missing:
            yield TargetIncomplete(
                f"Asterisk does not run {_listed(missing)}, so it has no {needs.channels}; "
                f"load {'it' if len(missing) == 1 else 'them'} in modules.conf (Asterisk has them since "
                f"{needs.since}{this})"
            )


def _judge_rtp_ports(demand: Demand, capacity: TargetCapacity) -> Iterator[Finding]:
    if demand.media and not demand.rtp_channels:
        return
    if capacity.rtp_ports is None:
        yield _unchecked("its range of RTP ports", "rtpstart and rtpend in rtp.conf: Asterisk crashes at their end")
        return
    low, high = capacity.rtp_ports
    pairs = rtp_pairs(capacity.rtp_ports)
    reserve = max(_RTP_RESERVE_PAIRS, round(demand.rtp_channels * _RTP_RESERVE_RATIO))
    # Whether channels that are there have RTP is not known: all count, since one too few crashes Asterisk.
    wanted = demand.rtp_channels + capacity.active_channels + reserve
    if wanted > pairs:
        yield TargetTooSmall(
            f"{_need(demand)} {wanted} pairs of RTP ports at Asterisk ({demand.rtp_channels} for the load, "
            f"{capacity.active_channels} for channels that are there, {reserve} in reserve, because Asterisk crashes "
            f"when they run out), and its range {low}-{high} holds {pairs}; widen rtpstart and rtpend in rtp.conf"
        )


def _judge_sessions(demand: Demand, capacity: TargetCapacity) -> Iterator[Finding]:
    if capacity.session_limit is None:
        yield _unchecked("its limit of HTTP connections", "sessionlimit in http.conf: 100 by default")
    elif demand.http_sessions > capacity.session_limit:
        yield TargetTooSmall(
            f"{_need(demand)} {demand.http_sessions} connections to ARI at a time{_handshakes(demand)}, and "
            f"Asterisk takes {capacity.session_limit}; raise sessionlimit in http.conf"
        )


def _handshakes(demand: Demand) -> str:
    """Return that some connections are those of media, until they are up."""
    return " (handshakes of WebSocket media included)" if any(needs.has_handshakes for needs in demand.media) else ""


def _judge_channels(demand: Demand, capacity: TargetCapacity) -> Iterator[Finding]:
    wanted = demand.channels + capacity.active_channels
    if capacity.max_calls is not None and wanted > capacity.max_calls:
        yield TargetTooSmall(
            f"{_need(demand)} {demand.channels} channels at Asterisk besides the {capacity.active_channels} "
            f"that are there, and it takes {capacity.max_calls}; raise maxcalls in asterisk.conf"
        )


def _judge_target_files(demand: Demand, capacity: TargetCapacity) -> Iterator[Finding]:
    channels = demand.channels + capacity.active_channels
    connections = sum(needs.connections * channels for needs, channels in demand.media.items())
    wanted = _FILES_PER_CHANNEL * channels + connections + demand.http_sessions + _TARGET_FILES_BESIDES
    if capacity.max_files is not None and wanted > capacity.max_files:
        yield TargetTooSmall(
            f"{_need(demand)} Asterisk to open about {wanted} files and sockets, and it may open "
            f"{capacity.max_files}; raise maxfiles in asterisk.conf"
        )


def _judge_own_files(demand: Demand, machine: Machine) -> Iterator[Finding]:
    wanted = own_files(demand)
    if wanted > machine.open_files:
        yield OpenFilesLimit(
            f"{_need(demand)} {wanted} open files and sockets in one process, and this machine allows "
            f"{machine.open_files}; raise the hard limit (ulimit -Hn, LimitNOFILE) or use more workers (-n)"
        )


def _judge_leased_ports(demand: Demand, leased_ports: PortRange) -> Iterator[Finding]:
    pairs = rtp_pairs(leased_ports)
    if demand.port_pairs > pairs:
        yield PortsExhausted(
            f"{_need(demand)} {demand.port_pairs} pairs of RTP ports on this machine, and "
            f"{leased_ports[0]}-{leased_ports[1]} holds {pairs}; widen it with --ari-rtp-ports LOW-HIGH",
            leased=0,
            resting=0,
        )


def _judge_kernel_ports(machine: Machine, leased_ports: PortRange) -> Iterator[Finding]:
    low = max(leased_ports[0], machine.kernel_ports[0])
    high = min(leased_ports[1], machine.kernel_ports[1])
    exposed = max(0, high - low + 1) - _covered((low, high), machine.reserved_ports)
    if exposed > 0:
        yield (
            f"the kernel gives out {exposed} of the RTP ports {leased_ports[0]}-{leased_ports[1]} by itself "
            f"(net.ipv4.ip_local_port_range is {machine.kernel_ports[0]}-{machine.kernel_ports[1]}); choose others by "
            f"--ari-rtp-ports, or reserve them: sysctl -w net.ipv4.ip_local_reserved_ports={low}-{high}"
        )


def _judge_receive_buffer(machine: Machine) -> Iterator[Finding]:
    if machine.receive_buffer_bytes < _WANTED_RECEIVE_BUFFER_BYTES:
        packets = machine.receive_buffer_bytes // _BUFFER_BYTES_PER_PACKET
        yield (
            f"a socket can hold {machine.receive_buffer_bytes} bytes here, about {packets} packets, and "
            f"{_WANTED_RECEIVE_BUFFER_BYTES} are wanted, so that a short stall loses none; "
            f"raise the limit: sysctl -w net.core.rmem_max={_WANTED_RECEIVE_BUFFER_BYTES}"
        )


def _covered(ports: PortRange, ranges: Iterable[PortRange]) -> int:
    """Return how many ports of a range are in other ranges, which do not overlap each other."""
    low, high = ports
    return sum(max(0, min(high, last) - max(low, first) + 1) for first, last in ranges)


def _unchecked(what: str, where: str) -> str:
    return f"Asterisk did not tell {what} ({where}), so it could not be checked against the load"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _need(demand: Demand) -> str:
    return counted(demand.calls, "call needs", "calls need")
