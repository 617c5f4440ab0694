"""Several transports in one load: some legs of each call travel by one, some by another.

A probe that left by one may come back by the other: all readers look frames up in one log of all legs.
"""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.media.frame_send_log import Departures, FrameSendLog, LastSent
from pytest_ari_sla.media.transport import FaultyTransport, FrameReader, RtcpTransport, TransportHealth
from pytest_ari_sla.metrics.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.ari.resources import ExternalMedia
    from pytest_ari_sla.capture.kept_packets import CapturedStream, KeptPackets
    from pytest_ari_sla.media.call_media import MediaPlan
    from pytest_ari_sla.media.peer_faults import PeerFault
    from pytest_ari_sla.media.transport import LegEndpoint, MediaSite, MediaTransport, OpenTransport
    from pytest_ari_sla.rtp.packet_batch import PacketBatch
    from pytest_ari_sla.rtp.rtcp import ReceivedReport
    from pytest_ari_sla.rtp.rtcp_record import RtcpRecord

__all__ = ["JoinedMedia", "JoinedReader", "JoinedSendLog", "JoinedTransport"]


class JoinedMedia:
    """Transports of one load.

    Parameters
    ----------
    transports
        All of them.
    of_place
        For each leg of a call: which of them it travels by.
    """

    def __init__(self, transports: Sequence[MediaTransport], of_place: Sequence[int]) -> None:
        self.transports = transports
        self.of_place = of_place
        self.name = " + ".join(transport.name for transport in transports)
        self.needs = transports[0].needs

    def by_place(self) -> list[MediaTransport]:
        """Return the transport of each leg of a call."""
        return [self.transports[number] for number in self.of_place]

    def port_pairs(self, legs: int) -> int:
        """Return how many port pairs of this machine so many legs need, if they are spread as those of a call."""
        places = len(self.of_place)
        shares = [-(-legs * self.of_place.count(number) // places) for number in range(len(self.transports))]
        return sum(one.port_pairs(share) for one, share in zip(self.transports, shares, strict=True) if share)

    def open(self, plan: MediaPlan, site: MediaSite) -> JoinedTransport:
        """Return the media of a load, which opens when it is entered."""
        return JoinedTransport(self, plan, site)


class JoinedSendLog(FrameSendLog):
    """What is known of the frames of all legs, whichever transport carries them.

    Parameters
    ----------
    owner
        (legs,) intp. Which of the parts has each leg.
    """

    def __init__(self, owner: NDArray[np.intp]) -> None:
        self._owner = owner
        self.parts: Sequence[FrameSendLog] = ()

    def _of_all(self, ask: Callable[[FrameSendLog], NDArray[np.generic]]) -> NDArray[np.generic]:
        """Return an array over all legs, each part's own of its legs."""
        answers = [ask(part) for part in self.parts]
        return np.choose(self._owner, answers)

    def _of_these(self, legs: NDArray[np.int32], ask: Callable[..., NDArray[np.generic]]) -> NDArray[np.generic]:
        """Return an array over these legs; ``ask`` takes a part and a mask of its legs among them."""
        owner = self._owner[legs]
        answers = [(owner == number, part) for number, part in enumerate(self.parts)]
        found = [(mine, ask(part, mine)) for mine, part in answers]
        result = np.zeros(len(legs), found[0][1].dtype)
        for mine, answer in found:
            result[mine] = answer
        return result

    def sent(self) -> NDArray[np.int64]:
        """(legs,) Frames that each leg really sent, so far."""
        return self._of_all(lambda part: part.sent()).astype(np.int64)

    def due(self) -> NDArray[np.int64]:
        """(legs,) Frames that each leg's schedule has called for, so far."""
        return self._of_all(lambda part: part.due()).astype(np.int64)

    def settled(self, now_ns: int | NDArray[np.int64], age_ns: int) -> NDArray[np.int64]:
        """(legs,) Number of frames of each leg that were due at least ``age_ns`` before ``now_ns``."""
        return self._of_all(lambda part: part.settled(now_ns, age_ns)).astype(np.int64)

    def closed(self) -> NDArray[np.bool_]:
        """(legs,) Whether a leg is ending."""
        return self._of_all(lambda part: part.closed()).astype(bool)

    def audio_start_ns(self) -> NDArray[np.int64]:
        """(legs,) When frame 0 of each leg was due; 0 for legs that have not begun."""
        return self._of_all(lambda part: part.audio_start_ns()).astype(np.int64)

    def was_sent(self, legs: NDArray[np.int32], probes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether these frames were really sent."""
        return self._of_these(legs, lambda part, mine: part.was_sent(legs[mine], probes[mine])).astype(bool)

    def due_ns(self, legs: NDArray[np.int32], probes: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) When these frames were due, ns since the Unix epoch."""
        return self._of_these(legs, lambda part, mine: part.due_ns(legs[mine], probes[mine])).astype(np.int64)

    def times_of(
        self, legs: NDArray[np.int32], stamps: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Look probes up by what they carry; see :meth:`FrameSendLog.times_of`."""
        owner = self._owner[legs]  # of -1, any: no part knows such a leg
        numbers, sent_ns, due_ns = np.full(len(legs), -1, np.int64), *np.zeros((2, len(legs)), np.int64)
        for place, part in enumerate(self.parts):
            mine = owner == place
            if mine.any():
                numbers[mine], sent_ns[mine], due_ns[mine] = part.times_of(legs[mine], stamps[mine])
        return numbers, sent_ns, due_ns

    def sent_by(self, legs: list[int]) -> NDArray[np.int64]:
        """(n,) Frames that these legs really sent, so far."""
        return self.sent()[legs]

    def due_by(self, legs: list[int]) -> NDArray[np.int64]:
        """(n,) Frames that these legs' schedule has called for, so far."""
        return self.due()[legs]

    def close(self, legs: NDArray[np.int32]) -> None:
        """Note that these legs are ending: nothing more comes for them."""
        for number, part in enumerate(self.parts):
            part.close(legs[self._owner[legs] == number])

    def withdraw(self, legs: Sequence[int], first: NDArray[np.int64]) -> None:
        """Let these legs' frames from number ``first`` ((n,)) on count as never due: their call had been ended."""
        chosen = np.asarray(legs, np.int32)
        for number, part in enumerate(self.parts):
            mine = self._owner[chosen] == number
            part.withdraw(chosen[mine].tolist(), first[mine])

    def hide(self, legs: NDArray[np.int32]) -> None:
        """Let the counts of these legs be 0, whatever is known of them."""
        for number, part in enumerate(self.parts):
            part.hide(legs[self._owner[legs] == number])

    def last_sent(self, leg: int, most: int) -> LastSent:
        """Return what became of a leg's last frames, up to so many."""
        part: FrameSendLog = self.parts[int(self._owner[leg])]
        return part.last_sent(leg, most)

    def departures(self, until_ns: int) -> Departures:
        """Return what became of every frame that was due since the last time and before ``until_ns``."""
        found = [part.departures(until_ns) for part in self.parts]
        return Departures(np.concatenate([one.late_ns for one in found]), sum(one.not_sent for one in found))


class JoinedReader(FrameReader):
    """Reads what has come by all transports: frames of one leg come by one of them, so their order stays.

    Parameters
    ----------
    parts
        The readers.
    """

    def __init__(self, parts: Sequence[FrameReader]) -> None:
        self._parts = parts

    def look(self, *, to_the_end: bool = False) -> None:
        """Fix how far :meth:`batches` may read."""
        for part in self._parts:
            part.look(to_the_end=to_the_end)

    def knows(self, moment_ns: int) -> bool:
        """Whether all that arrived before a time is there, read or not."""
        return all(part.knows(moment_ns) for part in self._parts)

    def batches(self, before_ns: int) -> Iterator[PacketBatch]:
        """Yield what arrived before ``before_ns``."""
        for part in self._parts:
            yield from part.batches(before_ns)

    def read_until(self, before_ns: int) -> int:
        """Return a time, at most ``before_ns``: what arrived before it has been read."""
        return min(part.read_until(before_ns) for part in self._parts)


class JoinedTransport(AbstractAsyncContextManager["JoinedTransport"]):
    """The media of one load over several transports."""

    def __init__(self, media: JoinedMedia, plan: MediaPlan, site: MediaSite) -> None:
        self._of_place = media.of_place
        owner = np.resize(np.array(media.of_place, np.intp), plan.legs)
        self.send_log = JoinedSendLog(owner)
        shared = replace(plan, log_of_all=self.send_log)
        self._opening = [transport.open(shared, site) for transport in media.transports]
        self._parts: list[OpenTransport] = []

    async def __aenter__(self) -> JoinedTransport:
        async with AsyncExitStack() as stack:
            self._parts = [await stack.enter_async_context(part) for part in self._opening]
            self._opened = stack.pop_all()
        # Only now: readers were given the log before there were any parts.
        self.send_log.parts = [part.send_log for part in self._parts]
        self.reader = JoinedReader([part.reader for part in self._parts])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    def _part(self, leg: int) -> OpenTransport:
        return self._parts[self._of_place[leg % len(self._of_place)]]

    def take_leg(self, leg: int) -> LegEndpoint:
        """Reserve an endpoint for a leg."""
        return self._part(leg).take_leg(leg)

    def take_faulty_leg(self, leg: int, fault: PeerFault | None) -> LegEndpoint:
        """Do so for a leg whose peer misbehaves, if its transport's can."""
        part = self._part(leg)
        return part.take_faulty_leg(leg, fault) if isinstance(part, FaultyTransport) else part.take_leg(leg)

    def remote_of(self, endpoint: LegEndpoint, media: ExternalMedia) -> object:
        """Return where the leg's frames go, by what Asterisk answered to the offer."""
        return self._part(endpoint.leg).remote_of(endpoint, media)

    def start(self, endpoint: LegEndpoint, remote: object, frames: int) -> None:
        """Send so many frames from now on, and take what comes from there as this leg's."""
        self._part(endpoint.leg).start(endpoint, remote, frames)

    def voice_began_ns(self, endpoint: LegEndpoint) -> int:
        """Return when a leg began to say what it was last told to play; 0 where it was told nothing yet."""
        return self._part(endpoint.leg).voice_began_ns(endpoint)

    def play(self, endpoint: LegEndpoint, voice: int) -> None:
        """Let a leg say another of the load's voices from its next frame on, from its beginning."""
        self._part(endpoint.leg).play(endpoint, voice)

    async def stop(self, endpoint: LegEndpoint) -> None:
        """Send nothing more for a leg; return when that is certain."""
        await self._part(endpoint.leg).stop(endpoint)

    def ignore(self, endpoint: LegEndpoint) -> None:
        """Take nothing more as this leg's."""
        self._part(endpoint.leg).ignore(endpoint)

    async def give_back(self, endpoints: Sequence[LegEndpoint]) -> None:
        """Let endpoints be reserved again."""
        for part in self._parts:
            mine = [endpoint for endpoint in endpoints if self._part(endpoint.leg) is part]
            if mine:
                await part.give_back(mine)

    def captured(self, endpoint: LegEndpoint, kept: KeptPackets) -> Sequence[CapturedStream]:
        """Return what a leg has sent and received, as streams that can be written."""
        return self._part(endpoint.leg).captured(endpoint, kept)

    # --- all of them ---

    @property
    def probe_window(self) -> int:
        """How many probes of a leg are awaited."""
        return min(part.probe_window for part in self._parts)  # as far as all of them remember

    def now_ns(self) -> int:
        """Return the time by which frames are dated; all parts have the same."""
        return self._parts[0].now_ns()

    def exchange_reports(self) -> Sequence[ReceivedReport]:
        """Return what peers have reported since the last time."""
        return [report for part in self._parts for report in part.exchange_reports()]

    def rtcp_record(self, endpoint: LegEndpoint) -> RtcpRecord | None:
        """Return what a leg and its peer have told each other; None where its transport has no RTCP."""
        part = self._part(endpoint.leg)
        return part.rtcp_record(endpoint) if isinstance(part, RtcpTransport) else None

    def health(self) -> TransportHealth:
        """Return what is known of the work of all."""
        parts = [part.health() for part in self._parts]
        return TransportHealth(
            cpu_ns=sum(part.cpu_ns for part in parts),
            # The same clock: each loop sees each of its steps.
            clock_steps=max(part.clock_steps for part in parts),
            stalls=sum(part.stalls for part in parts),
            stalled_ns=sum(part.stalled_ns for part in parts),
            receive_drops=sum(part.receive_drops for part in parts),
            foreign=sum(part.foreign for part in parts),
            malformed=sum(part.malformed for part in parts),
            strangers=sum((Counter(part.strangers) for part in parts), Counter()),
            more=Snapshot.sum_of(Snapshot(part.more) for part in parts),
        )

    def frames_received(self) -> int:
        """Return how many frames came, from anywhere, and were measured."""
        return sum(part.frames_received() for part in self._parts)

    @property
    def has_realtime_priority(self) -> bool:
        """Whether frames are moved under SCHED_FIFO, all of them."""
        return all(part.has_realtime_priority for part in self._parts)

    @property
    def receive_buffer_bytes(self) -> int:
        """What the kernel granted to each socket for datagrams; 0 where there is none."""
        return max(part.receive_buffer_bytes for part in self._parts)

    @property
    def pid(self) -> int:
        """Process id of what moves the frames of each call's first leg."""
        return self._part(0).pid

    def ensure_alive(self) -> None:
        """Find out whether what moves frames ended by itself.

        Raises
        ------
        MediaLoopFailed
            One of them did.
        """
        for part in self._parts:
            part.ensure_alive()

    def stall(self, duration_ns: int) -> None:
        """Stand still for a while, all of them."""
        for part in self._parts:
            part.stall(duration_ns)
