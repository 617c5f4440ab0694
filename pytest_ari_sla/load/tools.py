"""What loads are made with."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_ari_sla.capture.kept_packets import NO_CAPTURE, CapturePolicy
from pytest_ari_sla.media.measuring.measurer import Measurer
from pytest_ari_sla.settings import TRUST_SYSTEM, TlsTrust
from pytest_ari_sla.signalling.sip_account import NO_ACCOUNT, SipAccount

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from pytest_ari_sla.ari_client.session import AriSession
    from pytest_ari_sla.clock import Clock
    from pytest_ari_sla.hookspecs.tracker import Tracker
    from pytest_ari_sla.load.calls.call_tools import CallListener, RelayControl
    from pytest_ari_sla.load.meters.host_share import HostShare
    from pytest_ari_sla.load.planning.plan import LoadPlan
    from pytest_ari_sla.media.transport import MediaSite
    from pytest_ari_sla.watch.leak_audit import LeakAudit

__all__ = ["LoadTools"]


@dataclass(frozen=True, eq=False)
class LoadTools:
    """What loads are made with, by every load of a session.

    Attributes
    ----------
    endpoint
        Where ARI is.
    site
        Where media ends on this machine.
    trackers, owners
        Prototypes, and the plug-in that each came from, by its name.
    open_relay
        Connects to the relay, for topologies that use one.
    preflight
        Checks, before the first call, that target and machine can carry a load; returns notes.
    echo_extension
        Context and extension of the dialplan that runs ``Echo()``.
    id_prefix
        Begins every id at Asterisk; different for every run and shard.
    listener
        Who is told of each call.
    trust
        How the certificate of an ``https`` target is checked.
    asterisk_media
        Where Asterisk takes media; None: where it says itself.
    capture, ranked_by
        Whose packets are kept as evidence, and by which figures calls are compared for that; see
        :class:`~pytest_ari_sla.load.calls.capture_candidates.CaptureCandidates`.
    host_share
        Begins to read what we take from the target's machine; None where that is another one.
    sip
        Where the target's SIP is, and who we are there.
    is_target_gone
        Tells whether the target's process, on this machine, has ended.
    leak_audit
        Looks whether the target keeps what calls made it take; None where its process is not ours to look into.
    clock
        The time.
    make_measurer
        Makes what runs the trackers: see :class:`~pytest_ari_sla.media.caller_worker.CallerWorker`.
    """

    endpoint: AriEndpoint
    site: MediaSite
    trackers: Sequence[Tracker]
    owners: Mapping[str, str]
    open_relay: Callable[[], AbstractAsyncContextManager[RelayControl]]
    preflight: Callable[[AriSession, LoadPlan], Awaitable[list[str]]]
    echo_extension: tuple[str, str]
    id_prefix: str
    listener: CallListener
    trust: TlsTrust = TRUST_SYSTEM
    asterisk_media: str | None = None
    capture: CapturePolicy = NO_CAPTURE
    ranked_by: Mapping[str, str] = field(default_factory=dict)
    host_share: Callable[[], HostShare] | None = None
    sip: SipAccount = NO_ACCOUNT
    forensics: bool = False
    asterisk_pid: int | None = None
    is_target_gone: Callable[[], bool] = lambda: False
    leak_audit: LeakAudit | None = None
    clock: Clock = time
    make_measurer: Callable[..., Measurer] = Measurer
