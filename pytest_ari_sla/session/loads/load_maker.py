"""Makes the loads of one process: preflight, the calls, and what came of them over all processes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from pytest_ari_sla.ari.media_needs import RTP, SIP
from pytest_ari_sla.capture.kept_packets import parse_policy
from pytest_ari_sla.errors import SlaError, UsageError
from pytest_ari_sla.judging.records.worst_calls import ranked_by
from pytest_ari_sla.judging.regression import Baseline
from pytest_ari_sla.judging.thresholds import MARKER, SourcedThreshold, thresholds_of
from pytest_ari_sla.load.calibration import calibrating_tools
from pytest_ari_sla.load.load_builder import REQUESTS_IN_FLIGHT
from pytest_ari_sla.load.meters.host_share import HostShare, SystemTimes
from pytest_ari_sla.load.planning.transports import carriers
from pytest_ari_sla.load.run import LoadRun
from pytest_ari_sla.load.tools import LoadTools
from pytest_ari_sla.session.loads.equipment import Equipment
from pytest_ari_sla.signalling.sip_account import SipAccount
from pytest_ari_sla.sla.baseline import too_short
from pytest_ari_sla.sla.verdict import Rules
from pytest_ari_sla.targets.checks.preflight import check_machine, check_target
from pytest_ari_sla.targets.checks.preflight_rules import Demand
from pytest_ari_sla.targets.target import is_on_this_machine
from pytest_ari_sla.watch.holdings import server_at
from pytest_ari_sla.watch.leak_audit import LeakAudit
from pytest_ari_sla.watch.rtp_questions import SESSIONS
from pytest_ari_sla.watch.target_process import TargetProcess
from pytest_ari_sla.watch.target_watch import CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_ari_sla.ari.media_needs import MediaNeeds
    from pytest_ari_sla.ari_client.session import AriSession
    from pytest_ari_sla.load.planning.plan import LoadPlan
    from pytest_ari_sla.load.results.outcome import LoadOutcome
    from pytest_ari_sla.load.run import LoadProgress
    from pytest_ari_sla.session.loads.coordination import Coordination
    from pytest_ari_sla.session.loads.load_job import LoadJob
    from pytest_ari_sla.session.plugins.registry import Registry
    from pytest_ari_sla.session.reports.run_facts import RunFacts
    from pytest_ari_sla.settings import Settings
    from pytest_ari_sla.targets.target import Target

__all__ = ["LoadMaker"]

_THRESHOLDS: pytest.StashKey[tuple[tuple[pytest.Mark, ...], list[SourcedThreshold]]] = pytest.StashKey()


class LoadMaker:
    """Makes loads, alone or as one shard of a fleet.

    Parameters
    ----------
    settings, registry
        What the user asked for, and what plug-ins registered.
    coordination
        How this process's part of each load goes together with those of others.

    Attributes
    ----------
    equipment
        What loads and tests use besides the target.
    interrupted
        Whether the session was told to end, and may not have had the time to clean up.
    rules, baseline
        What loads are judged by, besides their thresholds.
    capture
        Which calls' packets are kept as evidence.
    other
        Who makes the same loads on the target that is compared against; None where there is none.
    """

    def __init__(self, settings: Settings, registry: Registry, coordination: Coordination) -> None:
        self.settings = settings
        self.registry = registry
        self.coordination = coordination
        self.equipment = Equipment(settings, registry, coordination)
        self.rules = Rules(pacing_error_s=settings.pacing_limit_s)
        self.baseline = Baseline.from_settings(settings)
        self.capture = parse_policy(settings.capture)
        self.interrupted = False
        self._audits: dict[str, LeakAudit | None] = {}
        there = coordination.other
        self.other = None if there is None else LoadMaker(there.facts.settings, registry, there)

    @property
    def facts(self) -> RunFacts:
        """What reports say of the run."""
        return self.coordination.facts

    def target(self) -> Target:
        """Return the target, started if need be; SlaError says why there is none."""
        return self.facts.target()

    def find_targets(self) -> None:
        """Start or look up the target, and the one that is compared against; SlaError says why there is none."""
        self.target()
        if self.other is not None:
            self.other.target()

    def thresholds_of(self, item: pytest.Item) -> list[SourcedThreshold]:
        """Return what a test has to keep: read at collection, and again where a fixture has added a marker since."""
        marks = tuple(item.iter_markers(MARKER))
        known = item.stash.get(_THRESHOLDS, None)
        if known is None or known[0] != marks:
            known = item.stash[_THRESHOLDS] = (marks, thresholds_of(item, self.settings, self.registry.catalogue))
        return known[1]

    async def make(self, job: LoadJob) -> LoadOutcome:
        """Make our part of a load and return what came of it, over all processes."""
        if crash := self.coordination.target_crash():  # between two loads nobody looks
            raise crash
        turns = 1 if self.baseline is not None else 2 if self.other is not None else 0
        if turns and (note := too_short(turns * job.plan.profile.duration_ns)):
            job.notes.append(note)
        with self.coordination.in_load(job):
            outcome = await self._run(job)
            return await self.coordination.merge(job, outcome)

    async def _run(self, job: LoadJob) -> LoadOutcome:
        tools = calibrating_tools(self._tools()) if job.is_calibration else self._tools()
        job.run = LoadRun(job.plan, tools, lambda progress: self._take_progress(job, progress))
        try:
            outcome = await job.run.run(lambda: self.coordination.begin_together(job))
        except SlaError:
            job.raise_problem()  # that a shard or the target was lost says more
            if crash := self.coordination.target_crash():
                raise crash from None  # whatever went wrong, it did so because the target died
            raise
        if job.run.broken_by is not None:
            job.take_over(self.coordination.target_crash() or job.run.broken_by)
        elif job.run.found is not None:
            job.problem = job.problem or job.run.found
        return _with_notes(outcome, job)

    def _take_progress(self, job: LoadJob, progress: LoadProgress) -> None:
        self.equipment.ensure_alive()
        self.coordination.progress(job, progress)

    def cut_off(self, job: LoadJob, why: str) -> LoadOutcome | None:
        """Return what was measured of a load that did not come to its end; None if it never began."""
        outcome = None if job.run is None else job.run.so_far(why)
        return None if outcome is None else self.coordination.merge_cut_off(job, _with_notes(outcome, job))

    def _tools(self) -> LoadTools:
        settings, registry, equipment = self.settings, self.registry, self.equipment
        return LoadTools(
            endpoint=self.target().endpoint,
            site=equipment.site(),
            trackers=list(registry.trackers.values()),
            owners=registry.owners,
            open_relay=equipment.open_relay,
            preflight=self._preflight,
            echo_extension=settings.echo_extension,
            id_prefix=equipment.new_id(),
            listener=registry.hook_calls,
            trust=settings.ari_trust,
            asterisk_media=equipment.media().asterisk,
            capture=self.capture,
            ranked_by={name: metric.better for name, metric in ranked_by(registry.catalogue).items()},
            sip=self._sip_account(),
            forensics=settings.forensics,
            asterisk_pid=self._own_asterisk(),
            is_target_gone=self._is_target_gone(),
            leak_audit=self._leak_audit(),
            host_share=self._share_host if is_on_this_machine(urlsplit(self.target().url).hostname or "") else None,
        )

    def _sip_account(self) -> SipAccount:
        """Return where the target's SIP is; the account of ARI is SIP's as well where this tool runs the target."""
        target = self.target()
        is_ours = target.sip_port is not None
        host = target.endpoint.host
        return SipAccount(host, target.sip_port, *((target.user, target.password) if is_ours else ("", "")))

    def _own_asterisk(self) -> int | None:
        """Return the process of the Asterisk that this tool runs on this machine; None where it is another one."""
        target = self.target()
        is_ours = target.kind == "private" and is_on_this_machine(urlsplit(target.url).hostname or "")
        return target.pid if is_ours else None

    def _is_target_gone(self) -> Callable[[], bool]:
        """Return what tells whether the target's process has ended, where it is one of this machine."""
        target = self.target()
        if not is_on_this_machine(urlsplit(target.url).hostname or ""):
            return lambda: False
        pid = server_at(target.endpoint.port) if target.kind == "external" else target.pid
        process = None if pid is None else TargetProcess.of(pid)
        return lambda: process is not None and process.has_ended

    def _leak_audit(self) -> LeakAudit | None:
        """Return the audit of the target's process; None where it is a simulator, or not on this machine."""
        target, own = self.target(), self._own_asterisk()
        name = f"{target.url} {own}"  # one that was started anew is another process: what it keeps begins at nothing
        if name not in self._audits:
            is_here = target.kind == "external" and is_on_this_machine(target.endpoint.host)
            pid = own if own is not None or not is_here else server_at(target.endpoint.port)
            self._audits[name] = None if pid is None else LeakAudit(pid, target.endpoint, is_ours=own is not None)
        return self._audits[name]

    def _share_host(self) -> HostShare:
        """Begin to read what we take from the machine that the target runs on as well."""
        return HostShare(SystemTimes(self.coordination.root_pid, self.target().pid))

    async def _preflight(self, ari: AriSession, plan: LoadPlan) -> list[str]:
        """Check that target and machine can carry a load of this size."""
        calls = plan.profile.peak_calls()
        legs = len(plan.topology.heard_leg) + plan.topology.relay_legs
        own_pairs = plan.transport.port_pairs(calls * legs) + 1
        media = Counter(carrier.needs for carrier in carriers(plan.transport, len(plan.topology.heard_leg)))
        if plan.calls_by_sip:
            media = self._check_sip(media)
        connections = sum(needs.connections * heard for needs, heard in media.items())
        # No more calls are being set up at a time than requests are in flight.
        handshakes = REQUESTS_IN_FLIGHT if any(needs.has_handshakes for needs in media) else 0
        media[RTP] += plan.topology.relay_legs  # the relay takes RTP, whatever the legs take
        asking = SESSIONS if plan.calls_by_sip else 0
        demand = Demand(
            calls=calls,
            channels=calls * legs,
            media={needs: calls * channels for needs, channels in (+media).items()},  # `+` leaves out what is 0
            # + 1: the event WebSocket.
            http_sessions=(REQUESTS_IN_FLIGHT + 1 + handshakes + asking) * plan.shards + CONNECTIONS,
            port_pairs=own_pairs,
            open_files=2 * own_pairs + connections * calls + 200,
        )
        ports = self.equipment.ports()
        notes = check_machine(demand, (ports.low, ports.high))
        if self.target().kind == "simulator":
            return notes  # it has none of Asterisk's limits
        return notes + await check_target(ari, self.target(), demand)

    def _check_sip(self, media: Counter[MediaNeeds]) -> Counter[MediaNeeds]:
        """Return what legs by SIP need instead of what ExternalMedia does.

        Raises
        ------
        UsageError
            Nobody takes SIP, or media does not travel as SIP describes it.
        """
        if self.target().kind == "simulator":
            raise UsageError('via="sip": the simulator has no SIP; run this on an Asterisk (--asterisk, --ari-url)')
        if set(media) != {RTP}:
            raise UsageError(f'via="sip": media goes by RTP then, and not by {", ".join(one.media for one in media)}')
        return Counter({SIP: media[RTP]})

    def close(self) -> None:
        """Stop everything that the session started."""
        if self.other is not None:
            self.other.interrupted = self.interrupted
            self.other.close()
        self.equipment.close()
        self.coordination.close()
        if not self.interrupted:
            self.equipment.release()  # else the guard looks once more: there may have been no time to clean up


def _with_notes(outcome: LoadOutcome, job: LoadJob) -> LoadOutcome:
    return replace(outcome, notes=(*outcome.notes, *job.notes))
