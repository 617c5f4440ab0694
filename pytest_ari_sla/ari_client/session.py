"""A session with one Asterisk: its requests, its events, and the promise to leave nothing behind."""

from __future__ import annotations

import asyncio
import time
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from pytest_ari_sla.ari.endpoint import AriEndpoint, parse_ari_url
from pytest_ari_sla.ari.messages import Event, UnknownEvent
from pytest_ari_sla.ari.resources import timestamp_ns
from pytest_ari_sla.ari_client.event_stream.events import EventStream
from pytest_ari_sla.ari_client.notes import Notes
from pytest_ari_sla.ari_client.observer import AriNote, AriObserver, SilentObserver
from pytest_ari_sla.ari_client.queries import AriQueries
from pytest_ari_sla.ari_client.removal.cleanup import CleanupReport, clean_up
from pytest_ari_sla.ari_client.removal.ownership import IdSource, Kind, Ledger
from pytest_ari_sla.ari_client.requests import AriClient
from pytest_ari_sla.ari_client.tls import tls_towards
from pytest_ari_sla.ari_client.verbs.commands import AriCommands
from pytest_ari_sla.ari_client.verbs.creation import AriCreation
from pytest_ari_sla.ari_client.verbs.external_media import AriExternalMedia
from pytest_ari_sla.ari_client.verbs.websocket_clients import WebSocketClients
from pytest_ari_sla.ari_client.watches import Watches
from pytest_ari_sla.errors import SlaError
from pytest_ari_sla.settings import TRUST_SYSTEM, TlsTrust

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

    from pytest_ari_sla.ari_client.watch import ChannelWatch
    from pytest_ari_sla.clock import Clock

__all__ = ["AriSession"]

P = ParamSpec("P")
Answer = TypeVar("Answer")

#: Pause between the two sweeps at the end: usually, and where requests without an answer may still be carried out.
GRACE_S = 0.1

#: Of the ten seconds that a container has between SIGTERM and SIGKILL; what is left then is the guard's to remove.
HURRIED_REQUEST_S = 1.0
HURRIED_CLEANUP_S = 2.0
GRACE_AFTER_UNCERTAIN_S = 2.0


def _verb(
    part: str, verb: Callable[Concatenate[Any, P], Coroutine[Any, Any, Answer]]
) -> Callable[Concatenate[AriSession, P], Coroutine[Any, Any, Answer]]:
    """Return a method of the session that the part of it with this name carries out.

    A plug-in calls ``call.ari.answer(…)`` and need not know whose it is; being methods of the class, they are there for
    `create_autospec` and for editors too.
    """

    @wraps(verb)
    async def method(session: AriSession, /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        return await verb(getattr(session, part), *args, **kwargs)

    return method


class AriSession:
    """A session with one Asterisk; an asynchronous context manager.

    Entering it checks the address and the credentials, opens the event WebSocket (which registers the application) and
    warms the connections up. Leaving it removes everything that was made through it, whatever happened.

    Parameters
    ----------
    url
        ``http(s)://[user[:password]@]host[:port][/ari]``.
    user, password
        Credentials; they win over those in the URL if the user is not empty.
    app
        Name of the Stasis application; every program needs one of its own.
    id_prefix
        Begins every id made by `new_id`: a-z, 0-9 and ``-``, different for every process of every run.
    trust
        Which certificate of Asterisk is believed.
    media_host
        Where Asterisk takes media, instead of the address that it announces: behind NAT that one leads nowhere.
    max_in_flight
        How many requests may be under way at once.
    request_timeout_s
        For one attempt of one request.
    restore_timeout_s
        How long the event WebSocket may stay broken before everything that waits for events is given up.
    cleanup_timeout_s
        For all of the cleaning up at the end.
    clock, observer
        Who tells the time, and who hears of every request and event.
    realtime
        Whether events may be read under SCHED_FIFO, so that their times do not depend on how busy the machine is.
    is_gone
        Tells whether Asterisk's process is known to have ended, with all that was made in it.

    Attributes
    ----------
    tls
        How its certificate is checked, for others that ask the same Asterisk.
    cleanup
        What the end found; None before.
    when_lost
        Is called when no event will come any more, with the reason.
    """

    def __init__(
        self,
        url: str,
        user: str = "",
        password: str = "",
        *,
        app: str,
        id_prefix: str,
        trust: TlsTrust = TRUST_SYSTEM,
        media_host: str | None = None,
        max_in_flight: int = 16,
        request_timeout_s: float = 10.0,
        restore_timeout_s: float = 30.0,
        cleanup_timeout_s: float = 20.0,
        clock: Clock = time,
        observer: AriObserver | None = None,
        realtime: bool = True,
        is_gone: Callable[[], bool] = lambda: False,
    ) -> None:
        endpoint = parse_ari_url(url)
        self.endpoint = AriEndpoint(endpoint.base_url, user, password) if user else endpoint
        self.app = app
        self.when_lost: Callable[[SlaError], None] = lambda reason: None
        self.cleanup: CleanupReport | None = None
        self._notes = Notes(clock)
        self._unreadable = 0
        self._started_at = ""
        self._cleanup_timeout_s = cleanup_timeout_s
        self._clock = clock
        self._is_gone = is_gone
        self._observer = observer or SilentObserver()
        self._ids = IdSource(id_prefix)
        self._ledger = Ledger()
        self._closing: asyncio.Task[CleanupReport] | None = None
        self.tls = tls_towards(self.endpoint, trust)
        self.client = AriClient(
            self.endpoint,
            tls=self.tls,
            max_in_flight=max_in_flight,
            request_timeout_s=request_timeout_s,
            clock=clock,
            observer=self._observer,
            note=self.on_note,
        )
        self._stream = EventStream(
            self.endpoint, app, self, tls=self.tls, clock=clock, restore_timeout_s=restore_timeout_s, realtime=realtime
        )
        self._queries = AriQueries(self.client, app)
        self._watches = Watches(self._queries, self._ledger, self._notes)
        self._websocket_clients = WebSocketClients(self.client, self._ids.prefix)
        self._creation = AriCreation(self.client, app, self._stream, self._ledger, self._watches)
        self._media = AriExternalMedia(self.client, self._creation, self._websocket_clients, media_host)
        self._commands = AriCommands(self.client, self._ledger, self._watches)

    def __repr__(self) -> str:
        return f"<AriSession {self.endpoint.base_url} app={self.app!r}>"

    # --- verbs ---

    info = _verb("_queries", AriQueries.info)
    ping = _verb("_queries", AriQueries.ping)
    request = _verb("_queries", AriQueries.request)
    application = _verb("_queries", AriQueries.application)
    get_variable = _verb("_queries", AriQueries.get_variable)
    channels = _verb("_queries", AriQueries.channels)
    bridges = _verb("_queries", AriQueries.bridges)
    channel = _verb("_queries", AriQueries.channel)
    bridge = _verb("_queries", AriQueries.bridge)
    rtp_statistics = _verb("_queries", AriQueries.rtp_statistics)

    originate = _verb("_creation", AriCreation.originate)
    create = _verb("_creation", AriCreation.create)
    snoop = _verb("_creation", AriCreation.snoop)
    play = _verb("_creation", AriCreation.play)
    record = _verb("_creation", AriCreation.record)
    create_bridge = _verb("_creation", AriCreation.create_bridge)

    external_media = _verb("_media", AriExternalMedia.external_media)
    check_websocket_clients = _verb("_media", AriExternalMedia.check_websocket_clients)

    dial = _verb("_commands", AriCommands.dial)
    answer = _verb("_commands", AriCommands.answer)
    hangup = _verb("_commands", AriCommands.hangup)
    ring = _verb("_commands", AriCommands.ring)
    stop_ringing = _verb("_commands", AriCommands.stop_ringing)
    hold = _verb("_commands", AriCommands.hold)
    unhold = _verb("_commands", AriCommands.unhold)
    mute = _verb("_commands", AriCommands.mute)
    unmute = _verb("_commands", AriCommands.unmute)
    send_dtmf = _verb("_commands", AriCommands.send_dtmf)
    set_variable = _verb("_commands", AriCommands.set_variable)
    continue_in_dialplan = _verb("_commands", AriCommands.continue_in_dialplan)
    add_to_bridge = _verb("_commands", AriCommands.add_to_bridge)
    remove_from_bridge = _verb("_commands", AriCommands.remove_from_bridge)
    destroy_bridge = _verb("_commands", AriCommands.destroy_bridge)

    # --- life ---

    async def __aenter__(self) -> Self:
        """Connect; see the class.

        Raises
        ------
        AriUnreachable, TlsFailed, AriAuthenticationFailed, NotAnAsterisk, AriTimeout
            It is not possible, and why.
        """
        await self.client.open()
        try:
            self._started_at = (await self.info()).status.startup_time  # first, because its errors tell most
            await self._stream.open()
            await self.client.warm_up()
        except BaseException:  # __aexit__ is not called where this fails, or is cancelled
            await self._disconnect()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            self.hurry()
        await self.aclose()

    def hurry(self) -> None:
        """Let every request from now on, and the cleaning up, take little time: the process may be killed soon."""
        self.client.hurry(HURRIED_REQUEST_S)
        self._cleanup_timeout_s = min(self._cleanup_timeout_s, HURRIED_CLEANUP_S)

    async def aclose(self) -> CleanupReport:
        """Remove everything that was made through the session, and disconnect; a second call returns the same report.

        Takes no longer than the clean-up time-out and is carried through also when this is cancelled.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="ARI clean-up")
        return await _carry_through(self._closing)

    async def _close(self) -> CleanupReport:
        # An id that was given out can have been used by `request`, which writes nothing down.
        if not self._ids.was_asked and not any(self._ledger.owned(kind) for kind in Kind):
            await self._disconnect()
            self.cleanup = CleanupReport()
            return self.cleanup
        # In a hurry, what Asterisk carries out late is left to the guard.
        is_hurried = self._cleanup_timeout_s <= HURRIED_CLEANUP_S
        grace_s = GRACE_AFTER_UNCERTAIN_S if self.client.uncertain and not is_hurried else GRACE_S
        self._watches.expect_hangups()  # or each channel that we remove counts as lost
        report = await clean_up(
            self.client,
            self._ledger,
            self._ids.prefix,
            timeout_s=self._cleanup_timeout_s,
            grace_s=grace_s,
            is_gone=self._is_gone,
        )
        if report.leaked or report.unknown:
            self.on_note("clean-up", report.words())
        if not report.problem and not self._is_gone():
            await self._websocket_clients.remove(self.on_note)
        await self._disconnect()
        self.cleanup = report
        return report

    async def _disconnect(self) -> None:
        await self._stream.close()
        await self.client.close()

    # --- ids and watches ---

    def new_id(self, kind: str, parent: str = "") -> str:
        """Return an id for something new; see `IdSource.new_id`."""
        return self._ids.new_id(kind, parent)

    def made_for(self, parent: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the channels and the bridges whose ids begin with ``parent`` and that are not known to be gone."""
        return self._ledger.owned(Kind.CHANNEL, parent), self._ledger.owned(Kind.BRIDGE, parent)

    def some_channel(self) -> str:
        """Return the id of a channel of ours that exists; empty where there is none."""
        return self._watches.some_channel()

    def watch(self, channel_id: str) -> ChannelWatch:
        """Return the watch over a channel; made at the first call, which may come before the channel is asked for."""
        return self._watches.over(channel_id)

    async def reconcile(self) -> None:
        """Ask Asterisk for all channels, and apply what it says about ours; SlaError: it cannot be asked."""
        await self._watches.reconcile()

    async def find_out(self, watch: ChannelWatch) -> None:
        """Ask Asterisk about a channel whose events do not come, and apply what it says."""
        await self._watches.find_out(watch)

    @property
    def notes(self) -> list[AriNote]:
        """What a report should mention: disconnects, missed events, lost channels, repeated requests."""
        return self._notes.all()

    @property
    def notes_left_out(self) -> int:
        """How many notes of still other words there were."""
        return self._notes.left_out

    @property
    def hears(self) -> bool:
        """Whether events are heard now."""
        return self._stream.is_open

    @property
    def unexpected_events(self) -> int:
        """Events out of order, and events that could not be read: metric ``ari.unexpected_events``."""
        return self._unreadable + self._watches.out_of_order

    # --- called by the event stream ---

    def on_event(self, event: Event, received_ns: int, uncertainty_ns: int) -> None:
        """Deliver an event to its channels' watches."""
        happened_ns = timestamp_ns(event.timestamp)
        received_at_ns = self._clock.time_ns() - (self._clock.monotonic_ns() - received_ns)
        lag_ns = None if happened_ns is None else received_at_ns - happened_ns
        self._observer.on_event(event, received_ns, lag_ns, uncertainty_ns=uncertainty_ns)
        if isinstance(event, UnknownEvent) and event.problem:
            self._unreadable += 1
        self._watches.deliver(event, received_ns, uncertainty_ns)

    def on_note(self, kind: str, reason: str) -> None:
        """Take a note."""
        self._notes.take(kind, reason)

    async def on_restored(self) -> None:
        """Find out what became of our channels while no events came, and whether Asterisk was restarted."""
        try:
            await self.reconcile()
            started_at = (await self.info()).status.startup_time
        except SlaError as failure:
            self.on_note("missed-event", f"what happened during the gap could not be asked: {failure}")
            return
        if started_at != self._started_at:
            self.on_note("restarted", f"Asterisk was restarted ({started_at}): all calls that it had are gone")
            self._started_at = started_at

    def on_lost(self, error: SlaError) -> None:
        """Let everything that waits for events know that none will come."""
        self.when_lost(error)
        self._watches.broken(error)


async def _carry_through(work: asyncio.Task[CleanupReport]) -> CleanupReport:
    """Wait for a task's result even if the waiting is cancelled, then let the cancellation go on."""
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError as interruption:
            cancelled = interruption
    if cancelled is not None:
        raise cancelled
    return work.result()
