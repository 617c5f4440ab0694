"""The role of a session that does everything itself: makes the load, judges it, and writes the report."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.ari.media_needs import RTP
from pytest_ari_sla.ari_client.session import AriSession
from pytest_ari_sla.capture.kept_packets import parse_policy
from pytest_ari_sla.children.guarding import Protection, protect
from pytest_ari_sla.children.wards import RemoveResources
from pytest_ari_sla.errors import SlaError, error_of
from pytest_ari_sla.far_end.echo_process import EchoServerProcess
from pytest_ari_sla.far_end.relay_client import RelayProcess, RelayWorker
from pytest_ari_sla.judging.regression import Baseline
from pytest_ari_sla.judging.thresholds import MARKER, SourcedThreshold, thresholds_of
from pytest_ari_sla.judging.worst_calls import ranked_by
from pytest_ari_sla.load.run import REQUESTS_IN_FLIGHT, LoadRun
from pytest_ari_sla.load.tools import LoadTools
from pytest_ari_sla.load.voices import echo_media
from pytest_ari_sla.media.call_media import MediaPlan
from pytest_ari_sla.media.caller_worker import CallerWorker
from pytest_ari_sla.media.transport import MediaSite
from pytest_ari_sla.session.media_addresses import MediaAddresses, media_addresses
from pytest_ari_sla.session.target_source import TargetSource
from pytest_ari_sla.settings import DEFAULT_TRANSPORT
from pytest_ari_sla.sla.verdict import Rules
from pytest_ari_sla.targets.preflight import check_machine, check_target
from pytest_ari_sla.targets.preflight_rules import Demand
from pytest_ari_sla.udp.port_leases import DEFAULT_RTP_PORTS, PortManager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pytest_ari_sla.judging.standing import Told
    from pytest_ari_sla.load.call import RelayControl
    from pytest_ari_sla.load.outcome import LoadOutcome
    from pytest_ari_sla.load.plan import LoadPlan
    from pytest_ari_sla.load.run import LoadProgress
    from pytest_ari_sla.session.load_job import LoadJob
    from pytest_ari_sla.session.registry import Registry
    from pytest_ari_sla.session.supervisor import Supervisor
    from pytest_ari_sla.settings import Settings
    from pytest_ari_sla.targets.target import Target
    from pytest_ari_sla.udp.datagrams import Address

__all__ = ["Standalone"]

_THRESHOLDS: pytest.StashKey[tuple[tuple[pytest.Mark, ...], list[SourcedThreshold]]] = pytest.StashKey()


class Standalone:
    """One process, one shard.

    Parameters
    ----------
    settings, registry
        What the user asked for, and what plug-ins registered.

    Attributes
    ----------
    run_id
        Unique among runs; begins every id at Asterisk.
    started
        When the session began.
    shard, shards
        Which part of each load is ours, from 1.
    judges
        Whether it is us who judge the last load.
    supervisor
        Who looks after running loads; None: somebody else does.
    interrupted
        Whether the session was told to end, and may not have had the time to clean up.
    rules, baseline
        What loads are judged by, besides their thresholds.
    """

    shard = 1
    shards = 1
    judges = True

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self.settings = settings
        self.registry = registry
        self.run_id = secrets.token_hex(3)
        self.started = datetime.now(UTC)
        self.rules = Rules(pacing_error_s=settings.pacing_limit_s)
        self.baseline = Baseline.from_settings(settings)
        self.supervisor: Supervisor | None = None
        self.interrupted = False
        self._targets = TargetSource(settings)
        self._stack = ExitStack()
        self._ports: PortManager | None = None
        self._echo: EchoServerProcess | None = None
        self._relay: RelayProcess | None = None
        self._sessions = 0
        self._protection: Protection | None = None

    # --- what loads and fixtures are made of ---

    def target(self) -> Target:
        """Return the target, started if need be; SlaError says why there is none."""
        return self._targets.get()

    def ports(self) -> PortManager:
        """Return the session's port manager."""
        if self._ports is None:
            low, high = self.settings.rtp_ports or DEFAULT_RTP_PORTS
            self._ports = self._stack.enter_context(PortManager(low, high, host=self.media().bound))
        return self._ports

    def media(self) -> MediaAddresses:
        """Return where media ends."""
        return media_addresses(self.settings, self._own_address)

    def _own_address(self) -> str:
        """Return the address of this machine that the target sees."""
        return self.target().media_host

    def echo_address(self) -> Address:
        """Return the address of the echo server: the user's, or one that is started now."""
        if self.settings.echo is not None:
            return self.settings.echo
        if self._echo is None:
            self._echo = self._stack.enter_context(
                EchoServerProcess(host=self.media().local, realtime=self.settings.realtime)
            )
        return self._echo.address

    def thresholds_of(self, item: pytest.Item) -> list[SourcedThreshold]:
        """Return what a test has to keep: read at collection, and again where a fixture has added a marker since."""
        marks = tuple(item.iter_markers(MARKER))
        known = item.stash.get(_THRESHOLDS, None)
        if known is None or known[0] != marks:
            known = item.stash[_THRESHOLDS] = (marks, thresholds_of(item, self.settings, self.registry.catalogue))
        return known[1]

    def ari_session(self) -> AriSession:
        """Return a new ARI session with an application of its own, not opened yet."""
        endpoint, identity = self.target().endpoint, self._new_id()
        return AriSession(
            endpoint.base_url,
            endpoint.user,
            endpoint.password,
            app=identity,
            id_prefix=identity,
            ca_file=self.settings.ari_ca_file,
            verify=not self.settings.ari_insecure,
            media_host=self.media().asterisk,
        )

    def caller(self, legs: int, codec_name: str) -> CallerWorker:
        """Return a caller of so many echoed legs, not started yet."""
        codec = self.registry.codec(codec_name)
        packet_time_ms = codec.packet_times_ms[0]
        plan = MediaPlan(legs, echo_media(codec, packet_time_ms), packet_time_ms, realtime=self.settings.realtime)
        trackers = self.registry.trackers.values()
        transport, site = self.registry.transport(DEFAULT_TRANSPORT), MediaSite(self.media().announced, self.ports())
        return CallerWorker(plan, transport, site, trackers, self.registry.owners)

    def _new_id(self) -> str:
        """Return what begins the ids of one ARI session at Asterisk; different for every one, on every shard."""
        if self._protection is None:
            self._protection = self._protect_target()
        self._sessions += 1
        return f"{self.id_prefix}{self._sessions:04d}"

    def _protect_target(self) -> Protection | None:
        """Have what we make at somebody else's Asterisk removed if we cannot; one of ours ends with us."""
        target, settings = self.target(), self.settings
        if target.kind != "external":
            return None
        return protect(
            RemoveResources(
                url=target.url,
                user=target.user,
                password=target.password,
                prefix=self.id_prefix,
                ca_file=settings.ari_ca_file,
                verify=not settings.ari_insecure,
            )
        )

    @property
    def id_prefix(self) -> str:
        """What begins all our ids at Asterisk."""
        return f"sla-{self.run_id}-001-"

    # --- one load ---

    async def make(self, job: LoadJob) -> LoadOutcome:
        """Make a load and return what came of it, over all shards."""
        if crash := self.target_crash():
            raise crash
        job.run = LoadRun(job.plan, self._tools(), lambda progress: self._take_progress(job, progress))
        try:
            outcome = await job.run.run(lambda: self.begin_together(job))
        except SlaError:
            job.raise_problem()
            if crash := self.target_crash():
                raise crash from None  # whatever went wrong, it did so because the target died
            raise
        finally:
            if self.supervisor is not None:
                self.supervisor.end(job.test, job.number)
        if job.run.broken_by is not None:
            job.take_over(self.target_crash() or job.run.broken_by)
        return await self.merge(job, replace(outcome, notes=(*outcome.notes, *job.notes)))

    def _take_progress(self, job: LoadJob, progress: LoadProgress) -> None:
        """Look after our own processes first: what they no longer return is not lost on the network."""
        for process in (self._echo, self._relay):
            if process is not None:
                process.ensure_alive()
        self.progress(job, progress)

    def cut_off(self, job: LoadJob, why: str) -> LoadOutcome | None:
        """Return what was measured of a load that did not come to its end; None if it never began."""
        outcome = None if job.run is None else job.run.so_far(why)
        return None if outcome is None else replace(outcome, notes=(*outcome.notes, *job.notes))

    def _tools(self) -> LoadTools:
        return LoadTools(
            endpoint=self.target().endpoint,
            site=MediaSite(self.media().announced, self.ports()),
            trackers=list(self.registry.trackers.values()),
            owners=self.registry.owners,
            open_relay=self._open_relay,
            preflight=self._preflight,
            echo_extension=self.settings.echo_extension,
            id_prefix=self._new_id(),
            listener=self.registry.hook_calls,
            ca_file=self.settings.ari_ca_file,
            verify=not self.settings.ari_insecure,
            asterisk_media=self.media().asterisk,
            capture=parse_policy(self.settings.capture),
            ranked_by={name: metric.better for name, metric in ranked_by(self.registry.catalogue).items()},
        )

    def relay_process(self, echo: Address) -> RelayProcess:
        """Return a relay to an echo server, not started yet."""
        ports, media = self.ports(), self.media()
        return RelayProcess(
            echo,
            media.bound,
            (ports.low, ports.high),
            announced=media.announced,
            realtime=self.settings.realtime,
        )

    @asynccontextmanager
    async def _open_relay(self) -> AsyncIterator[RelayControl]:
        if self.settings.relay is not None:
            async with await RelayWorker.at(self.settings.relay) as worker:
                yield worker
            return
        with self.relay_process(self.echo_address()) as process:
            self._relay = process
            try:
                async with await process.connect() as worker:
                    yield worker
            finally:
                self._relay = None

    async def _preflight(self, ari: AriSession, plan: LoadPlan) -> list[str]:
        """Check that target and machine can carry a load of this size."""
        calls = plan.profile.peak_calls()
        legs = len(plan.topology.heard_leg) + plan.topology.relay_legs
        own_pairs = plan.transport.port_pairs(calls * legs) + 1
        heard, needs = calls * len(plan.topology.heard_leg), plan.transport.needs
        # No more calls are being set up at a time than requests are in flight.
        handshakes = REQUESTS_IN_FLIGHT if needs.has_handshakes else 0
        demand = Demand(
            calls=calls,
            channels=calls * legs,
            # The relay takes RTP, whatever the legs take.
            media=Counter({needs: heard}) + Counter({RTP: calls * plan.topology.relay_legs}),
            http_sessions=(REQUESTS_IN_FLIGHT + 1 + handshakes) * plan.shards,
            port_pairs=own_pairs,
            open_files=2 * own_pairs + needs.connections * heard + 200,
        )
        ports = self.ports()
        notes = check_machine(demand, (ports.low, ports.high))
        if self.target().kind == "simulator":
            return notes  # it has none of Asterisk's limits
        return notes + await check_target(ari, self.target(), demand)

    async def begin_together(self, job: LoadJob) -> None:
        """Wait until all shards are ready; alone, at once."""
        if self.supervisor is not None:
            self.supervisor.begin(job.test, job.number, job.describe())

    async def merge(self, job: LoadJob, outcome: LoadOutcome) -> LoadOutcome:
        """Return the outcome over all shards; alone, ours."""
        return outcome

    def progress(self, job: LoadJob, progress: LoadProgress) -> None:
        """Show a load's progress, and end it early where that is due."""
        if self.supervisor is not None:
            self.supervisor.hear(job.test, job.number, self.shard, progress.at_ns, progress.calls_up, progress.recent)
            for ending in self.supervisor.look():
                if ending.culprit:
                    job.target_died(error_of(ending.culprit, ending.reason))
                else:
                    job.end_early(ending.reason)

    def hand_over(self, nodeid: str, told: Told) -> None:
        """Tell whoever writes the reports of a test that pytest makes no report of; alone, that is known already."""

    def target_crash(self) -> SlaError | None:
        """Return how the target has ended by itself, if it was started here, and has."""
        return self._targets.crash()

    # --- the end ---

    def seconds_since_start(self) -> float:
        """Return how long the session has lasted."""
        return time.time() - self.started.timestamp()

    def close(self) -> None:
        """Stop everything that the session started."""
        self._stack.close()
        self._targets.close()
        if self._protection is not None and not self.interrupted:
            self._protection.release()  # else the guard looks once more: there may have been no time to clean up
        if self.supervisor is not None:
            self.supervisor.close()
