"""A bench for the driver: a caller, an ARI, a topology and a listener that do as a test says."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from pytest_ari_sla.ari.call_state import ChannelState
from pytest_ari_sla.capture.kept_packets import parse_policy
from pytest_ari_sla.errors import AriTimeout
from pytest_ari_sla.load.calls.call import CallLeg
from pytest_ari_sla.load.calls.call_driver import CallDriver
from pytest_ari_sla.load.calls.call_table import CallTable
from pytest_ari_sla.load.calls.call_tools import CallTools
from pytest_ari_sla.load.calls.capture_candidates import CaptureCandidates
from pytest_ari_sla.load.meters.control_meter import ControlMeter
from pytest_ari_sla.load.planning.profile import PlannedCall
from pytest_ari_sla.media.call_media import CallMedia
from pytest_ari_sla.media.measuring.measurer import LegReport
from pytest_ari_sla.rtp_media.transport import RtpEndpoint

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.load.results.outcome import CallOutcome

MS = 1_000_000
PACKET_NS = 20 * MS
REMOTE: Address = ("127.0.0.1", 4000)


def plain_report(first_arrival_ns: int, first_due_ns: int) -> LegReport:
    """Report on a leg of one packet."""
    return LegReport(first_arrival_ns, first_due_ns, sent=1, received=1, values={}, delay_course=[])


@dataclass
class Watch:
    """What is known of a channel."""

    channel_id: str
    is_lost: bool = False
    state: ChannelState = ChannelState.IN_STASIS
    cause: int = 0
    cause_text: str = ""
    stays: bool = False

    async def asked_for(self) -> None:
        """It is."""

    async def destroyed(self, timeout_s: float) -> None:
        """Wait until it is gone, or say that it stays."""
        if self.stays:
            raise AriTimeout(f"channel {self.channel_id} still exists")


class Ari:
    """An ARI where hanging up works, unless a channel is told to stay."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self.parents: dict[str, str] = {}
        self.watches: dict[str, Watch] = {}
        self.hung_up: list[str] = []
        self.asked = 0
        self.hurried = False
        self.problem: Exception | None = None
        self.on_hangup: Callable[[], None] = lambda: None
        self.gone: set[str] = set()

    def hurry(self) -> None:
        """Take note."""
        self.hurried = True

    def new_id(self, kind: str, parent: str = "") -> str:
        """Return the next id."""
        identity = f"{kind}-{next(self._numbers)}"
        self.parents[identity] = parent
        return identity

    def made_for(self, parent: str) -> tuple[list[str], list[str]]:
        """Return the channels and bridges of a call."""
        return [identity for identity, maker in self.parents.items() if maker == parent], []

    def watch(self, channel_id: str) -> Watch:
        """Return what is known of a channel."""
        return self.watches.setdefault(channel_id, Watch(channel_id))

    async def reconcile(self) -> None:
        """Ask for all channels."""
        self.asked += 1
        if self.problem is not None:
            raise self.problem

    async def find_out(self, watch: Watch) -> None:
        """Ask for one channel."""
        if self.problem is not None:
            raise self.problem
        watch.is_lost = watch.channel_id in self.gone

    async def hangup(self, channel_id: str) -> bool:
        """Hang up."""
        self.hung_up.append(channel_id)
        self.on_hangup()
        return True


@dataclass
class Caller:
    """A caller whose packets are sent and back in no time, unless told otherwise."""

    free_calls: int = 10
    ends: bool = True
    missing: int = 0
    reports: dict[int, LegReport] = field(default_factory=dict)
    error: Exception | None = None
    started: list[tuple[int, Address, int]] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    retired: list[int] = field(default_factory=list)
    silent: set[int] = field(default_factory=set)
    ended_by_other: list[int] = field(default_factory=list)
    fault: str = ""
    lived: list[int] = field(default_factory=list)
    vouched: list[int] = field(default_factory=list)

    def now_ns(self) -> int:
        """Return the time that media is dated by."""
        return time.time_ns()

    def take_call(self) -> list[RtpEndpoint]:
        """Give out the next two endpoints."""
        self.free_calls -= 1
        first = 2 * (10 - self.free_calls) - 1
        return [RtpEndpoint(leg, 0, 0, ("127.0.0.1", 5000)) for leg in (first, first + 1)]

    def fault_of(self, endpoints: Sequence[RtpEndpoint]) -> str:
        """Return how the peer of a call misbehaves: none does, unless a test says so."""
        return self.fault if endpoints else ""

    def start_leg(self, endpoint: RtpEndpoint, remote: Address, packets: int) -> None:
        """Note it."""
        self.started.append((endpoint.leg, remote, packets))

    def have_ended(self, endpoints: Sequence[RtpEndpoint], packets: int) -> bool:
        """Tell whether all was sent."""
        return self.ends

    def outstanding(self, endpoints: Sequence[RtpEndpoint]) -> int:
        """Tell how many packets are on their way."""
        return self.missing

    async def stop_leg(self, endpoint: RtpEndpoint) -> None:
        """Note it, or fail."""
        if self.error:
            raise self.error
        self.stopped.append(endpoint.leg)

    def silent_legs(self, packets: int) -> set[int]:
        """Tell on which legs nothing comes back any more."""
        return self.silent

    def vouch(self, endpoints: Sequence[RtpEndpoint], until_ns: int) -> None:
        """Note it."""
        self.vouched += [endpoint.leg for endpoint in endpoints]

    async def retire_legs(
        self, endpoints: Sequence[RtpEndpoint], *, ended_by_other: bool, lived: bool
    ) -> list[LegReport]:
        """Give the endpoints back."""
        self.lived += [endpoint.leg for endpoint in endpoints if lived]
        self.ended_by_other += [endpoint.leg for endpoint in endpoints if ended_by_other]
        self.retired += [endpoint.leg for endpoint in endpoints]
        self.free_calls += len(endpoints) // 2
        plain = plain_report(time.time_ns(), time.time_ns())
        return [self.reports.get(endpoint.leg, plain) for endpoint in endpoints]


class Topology:
    """Calls of two legs, which come up unless one is told otherwise."""

    name = "test"
    heard_leg = (1, 0)
    relay_legs = 0

    def __init__(self) -> None:
        self.errors: list[Exception | None] = []
        self.waits: asyncio.Event | None = None

    async def establish(self, call: Any) -> None:
        """Make two legs, or half a call and an error."""
        error = self.errors.pop(0) if self.errors else None
        for endpoint in call.endpoints[: 1 if error else 2]:
            channel = call.ari.new_id("channel", call.id)
            call.follow(channel)
            call.legs.append(CallLeg(channel, REMOTE, endpoint))
        if self.waits is not None:
            await self.waits.wait()
        if error:
            raise error


class Listener:
    """Is told of calls."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def call_started(self, call: Any) -> None:
        """Note it."""
        self.told.append((call.id, "started"))

    def call_ended(self, call: CallOutcome) -> None:
        """Note it."""
        self.told.append((call.id, call.state))

    def remarks(self) -> list[str]:
        """Have none."""
        return []


class Bench:
    """A driver and all that it works with."""

    def __init__(self) -> None:
        self.ari, self.caller, self.topology = Ari(), Caller(), Topology()
        self.meter, self.table, self.listener = ControlMeter(), CallTable(), Listener()
        stand_ins: dict[str, Any] = {"ari": self.ari, "caller": self.caller}
        tools = CallTools(
            **stand_ins,
            meter=self.meter,
            relay=None,
            media=CallMedia((1, 0), ()),
            echo_extension=("default", "echo"),
            clock=time,
            began_ns=time.monotonic_ns(),
            listener=self.listener,
            higher_is_better={"grade"},
        )
        candidates = CaptureCandidates(parse_policy("off"))
        self.driver = CallDriver(tools, self.topology, self.table, PACKET_NS, 1, candidates)

    def counts(self) -> dict[str, int]:
        """Return the totals that are not 0."""
        totals = self.table.snapshot()
        return {name.removeprefix("calls."): totals.count(name) for name in totals if totals.count(name)}


def calls(number: int, *, start_ns: int = 0, packets: int = 5) -> list[PlannedCall]:
    """Plan calls that all begin at one time."""
    return [PlannedCall(start_ns, index, packets * PACKET_NS, "hold") for index in range(number)]
