"""The loop of stream media, a process of its own: connections, and frames by schedule.

Every slot it sends what is due and reads what has come. The kernel stamps what it receives on TCP as well, by the last
byte that a read gives: a frame's time is the kernel's as long as frames are read one by one, and two that came within
one slot share the later one's.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from pytest_ari_sla.framing.conversations import AudioSocketServer, WebSocketClient, WebSocketServer
from pytest_ari_sla.media.loop.slot_loop import SlotLoop, run_loop
from pytest_ari_sla.rtp.send_schedule import first_slot
from pytest_ari_sla.stream_media.commands import (
    Command,
    ConnectLeg,
    ExpectLeg,
    ForgetLeg,
    Listen,
    PlayLeg,
    Stall,
    StartLeg,
    StopLeg,
)
from pytest_ari_sla.stream_media.loop.fault_script import FaultScript
from pytest_ari_sla.stream_media.loop.link import NOBODY, Link, LinkTable
from pytest_ari_sla.stream_media.loop.receiving import FrameReceiver
from pytest_ari_sla.stream_media.loop.send_group import GROUP_CAPACITY, SendGroup, kind_of
from pytest_ari_sla.stream_media.memory import StreamGauge, StreamLayout, StreamMemory
from pytest_ari_sla.udp.host_limits import is_limit, kept_from_connecting

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_ari_sla.framing.conversations import Conversation
    from pytest_ari_sla.media.peer_faults import PeerFault

__all__ = ["StreamLoop", "main"]

_PATIENCE_NS = 15_000_000_000
"""A connection that nobody knows, or whose leg has been forgotten, is closed after this time."""

_STRANGER_NS = 3_000_000_000
"""The same for one that has named itself: whoever is expected is so before it connects, but for an order on its way."""

_STATUS_SLOTS, _STATUS_SLOTS_PER_LEG = 1000, 5
"""GET_STATUS is asked once in so many slots, by each leg in another one; of many legs, less often: it costs as much as
ten frames."""

_LOOK_SLOTS = 1000
"""What nobody wants any more is looked for once in so many."""

_EVENTS = 1024
_READABLE, _WRITABLE = select.EPOLLIN, select.EPOLLOUT

_LINKS_PER_READ, _MOST_SLOTS_PER_READ = 300, 4
"""With more connections, what has come is read in every second, third or fourth slot only: together, frames cost less.
The kernel's stamps make times independent of it, but for two frames of one connection, which share the later one's."""

_ACCEPTED_PER_SLOT = 8
"""More would delay the next slot."""

_DRAINED_NS = int(StreamGauge.DRAINED_NS)


class StreamLoop(SlotLoop[SendGroup]):
    """Sends and receives until its command socket closes.

    Parameters
    ----------
    memory
        Shared with the measuring side.
    commands
        A datagram socket; its closing ends the loop.
    make_conversation
        What is spoken with whoever connects; its kind also tells what is spoken where we connect.
    """

    def __init__(
        self, memory: StreamMemory, commands: socket.socket, make_conversation: Callable[[], Conversation]
    ) -> None:
        super().__init__(memory, commands, Command)
        self._memory = memory
        self._streams = memory.streams.data
        self._make_conversation = make_conversation
        self._poll = select.epoll()
        self._listener: socket.socket | None = None
        self._listening = NOBODY
        self._is_resting = False
        self._links: dict[int, Link] = {}
        self._table = LinkTable(memory.layout.legs)
        self._link_of = self._table.of_leg
        self._expected: dict[str, ExpectLeg] = {}
        self._strangers: dict[str, Link] = {}
        self._sent_by: dict[int, tuple[SendGroup, StartLeg]] = {}
        self._idle: list[list[Link]] = [[] for _ in range(self._cycle)]
        self._receiver = FrameReceiver(memory, self._clock, self._links, self._table)
        self._scripts: list[FaultScript] = []

    def _has_work(self) -> bool:
        return self._listener is not None or bool(self._links)

    def _close(self) -> None:
        for link in self._links.values():
            link.close()
        if self._listener is not None:
            self._listener.close()
        self._poll.close()

    # --- slots ---

    def _after_sending(self, slot: int, phase: int) -> None:
        for link in self._idle[phase]:
            if link.is_ready:
                # Asterisk's thread polls for a header without an end, and holds the channel's lock (asterisk#2089).
                link.send(link.silence)
        if self._scripts:
            self._misbehave()
        if slot % (1 + min(len(self._links) // _LINKS_PER_READ, _MOST_SLOTS_PER_READ - 1)) == 0:
            self._receive()
        self._ask_for_status(slot)
        if slot % _LOOK_SLOTS == 0:
            self._look_around()
            if self._is_resting:
                self._poll.register(self._listening, _READABLE)
                self._is_resting = False

    def _forget(self, ended: list[int]) -> None:
        """Let legs whose streams have ended be silent."""
        for leg in ended:
            del self._sent_by[leg]
            self._let_rest(leg)

    def _let_rest(self, leg: int) -> None:
        link = self._link_of.get(leg)
        if link is not None and link.silence and link not in self._idle[link.slot]:
            self._idle[link.slot].append(link)

    # --- receiving ---

    def _receive(self) -> None:
        began_ns = self._clock.now_ns()
        # Not drained, and not dated as drained: TCP keeps what there is, and slows the sender down.
        if not self._receiver.has_room(_EVENTS):
            return
        events = self._poll.poll(0, _EVENTS)  # 0: looks, and never waits in a slot
        # By far the most are plain reads: only where something else has come is each one looked at.
        readable = [descriptor for descriptor, event in events if event == _READABLE]
        if len(readable) < len(events) or self._listening in readable:
            readable = self._take_others(events)
        if readable:
            for link in self._receiver.read(readable):
                self._hear(link)
        self._streams[_DRAINED_NS] = began_ns

    def _take_others(self, events: list[tuple[int, int]]) -> list[int]:
        """Do what is to be done besides reading; return the descriptors that can be read."""
        readable = []
        for descriptor, event in events:
            link = self._links.get(descriptor)
            if link is None:
                self._accept()
                continue
            if event & _WRITABLE:
                self._flush(link)
            if event & ~_WRITABLE:  # also EPOLLHUP and EPOLLERR: reading finds out what has happened
                readable.append(descriptor)
        return readable

    def _hear(self, link: Link) -> None:
        """Act on what a conversation has come to, other than frames."""
        conversation = link.conversation
        if conversation.is_open and not link.is_known and not conversation.ended:
            link.is_known = True
            self._identify(link)
        for text in conversation.texts:
            self._receiver.take_text(link, text)
        conversation.texts.clear()
        self._streams[StreamGauge.DIGITS] += len(conversation.digits)
        conversation.digits = ""
        self._flush(link)
        if conversation.ended or link.is_closed:
            self._drop(link)

    def _identify(self, link: Link) -> None:
        expected = self._expected.pop(link.conversation.key, None)
        if expected is None:
            # The order to expect it may be on its way: orders are carried out a few a slot.
            self._strangers[link.conversation.key] = link
            return
        link.silence = expected.silence
        self._attach(link, expected.leg, expected.slot)
        self._begin_fault(link, expected.fault)

    def _expect(self, expected: ExpectLeg) -> None:
        self._expected[expected.key] = expected
        link = self._strangers.pop(expected.key, None)
        if link is not None:
            self._identify(link)

    def _attach(self, link: Link, leg: int, slot: int) -> None:
        link.join(leg, slot)
        if link.leg in self._sent_by:
            link.hear()
        else:
            self._let_rest(link.leg)

    def _accept(self) -> None:
        assert self._listener is not None
        for _ in range(_ACCEPTED_PER_SLOT):
            try:
                tcp, _ = self._listener.accept()
            except OSError as error:
                # Of all others it is the peer's connection that failed, or there is none any more (accept(2)).
                if is_limit(error):
                    self._streams[StreamGauge.NO_FILES] += 1
                    self._poll.unregister(self._listening)  # or it would be tried again in each slot
                    self._is_resting = True
                return
            self._add(Link(tcp, self._make_conversation(), self._table))

    def _add(self, link: Link) -> None:
        self._links[link.descriptor] = link
        self._poll.register(link.descriptor, _READABLE)
        link.watched_for = _READABLE
        self._flush(link)

    def _flush(self, link: Link) -> None:
        if link.is_closed:
            return
        hears = 0 if link.is_deaf else _READABLE
        events = hears if link.flush() else hears | _WRITABLE
        # epoll_ctl only where it changes anything: this runs for every link that is heard
        if events != link.watched_for:
            self._poll.modify(link.descriptor, events)
            link.watched_for = events

    def _drop(self, link: Link) -> None:
        """Give a connection up: it has ended."""
        self._strangers = {key: other for key, other in self._strangers.items() if other is not link}
        self._receiver.count_faults(link)
        if link.leg != NOBODY:
            self._streams[StreamGauge.CLOSED] += 1
        if self._links.pop(link.descriptor, None) is not None:
            # Before it is closed: its number may be another connection's at once.
            self._poll.unregister(link.descriptor)
        if link in self._idle[link.slot]:
            self._idle[link.slot].remove(link)
        link.close()

    def _ask_for_status(self, slot: int) -> None:
        """Ask Asterisk after a leg's queue, where it is its turn; all have had it after a second, or more."""
        every = max(_STATUS_SLOTS, self._memory.layout.legs * _STATUS_SLOTS_PER_LEG)
        leg, rest = divmod(slot % every, _STATUS_SLOTS_PER_LEG)
        link = None if rest or leg not in self._sent_by else self._link_of.get(leg)
        if link is not None and isinstance(link.conversation, WebSocketServer | WebSocketClient):
            link.conversation.say(link.control.get_status())
            self._flush(link)

    def _look_around(self) -> None:
        """Close what nobody wants any more."""
        now_ns = time.monotonic_ns()
        for key, link in list(self._strangers.items()):
            if now_ns - link.since_ns > _STRANGER_NS:
                del self._strangers[key]
                self._streams[StreamGauge.FOREIGN] += 1
                link.conversation.close()
                self._flush(link)
                self._drop(link)
        for link in list(self._links.values()):
            if link.leg == NOBODY and now_ns - link.since_ns > _PATIENCE_NS:
                link.conversation.close()
                self._flush(link)
                self._drop(link)

    # --- commands ---

    def _carry_out(self, command: Command, handle: int | None) -> None:
        match command:
            case Listen():
                self._listener = socket.socket(fileno=handle)
                self._listener.setblocking(False)
                self._listening = self._listener.fileno()
                self._poll.register(self._listening, _READABLE)
            case ExpectLeg():
                self._expect(command)
            case ConnectLeg():
                self._connect(command)
            case StartLeg():
                self._start(command)
            case PlayLeg():
                if command.leg in self._sent_by:
                    self._play(command)
            case StopLeg(leg):
                self._stop(leg)
            case ForgetLeg(leg):
                self._forget_leg(leg)
            case Stall(duration_ns):
                time.sleep(duration_ns / 1e9)

    def _begin_fault(self, link: Link, fault: PeerFault | None) -> None:
        """Let a peer misbehave from now on; one that is measured, from the begin of its stream on."""
        if fault is not None and fault.is_measured and link.leg not in self._sent_by:
            link.fault = fault
        elif fault is not None:
            self._scripts.append(FaultScript(link, fault, time.monotonic_ns()))
            self._misbehave()

    def _misbehave(self) -> None:
        """Carry out what is due of the faults on purpose."""
        now_ns = time.monotonic_ns()
        going_on = []
        for script in self._scripts:
            if script.go_on(now_ns):
                going_on.append(script)
            link = script.link
            if link.wants_closing:
                self._drop(link)
            elif not link.is_closed:
                self._flush(link)
        self._scripts = going_on

    def _connect(self, command: ConnectLeg) -> None:
        try:
            tcp = socket.socket(socket.AF_INET6 if ":" in command.address else socket.AF_INET)
        except OSError:
            self._streams[StreamGauge.NO_FILES] += 1  # what else socket(2) can lack is room in the kernel
            return
        link = Link(tcp, WebSocketClient(command.target, command.authority), self._table)
        # Non-blocking: EINPROGRESS now, and epoll tells how it ended.
        error = tcp.connect_ex((command.address, command.port))
        if error and kept_from_connecting(OSError(error, ""), command.address) is not None:
            self._streams[StreamGauge.NO_FILES] += 1
            link.close()
            return
        link.is_known = True
        self._attach(link, command.leg, command.slot)
        self._add(link)
        self._begin_fault(link, command.fault)

    def _start(self, start: StartLeg) -> None:
        link = self._link_of.get(start.leg)
        turn = first_slot(self._next_slot, start.slot, self._cycle) // self._cycle
        self._memory.legs[start.leg] = (start.slot, turn, turn + start.packets, 0)
        self._enter(start, turn + start.packets)
        if link is not None:
            link.hear()
            link.frame_bytes, link.kind = start.frame_bytes, start.kind
            fault, link.fault = link.fault, None
            self._begin_fault(link, fault)
            if link in self._idle[link.slot]:
                self._idle[link.slot].remove(link)

    def _enter(self, start: StartLeg, end_turn: int) -> None:
        group = self._group_for(start)
        group.add(start, end_turn)
        self._sent_by[start.leg] = group, start

    def _group_for(self, start: StartLeg) -> SendGroup:
        # A leg may be started before its connection has come: it will be of the usual kind.
        like = self._link_of[start.leg].conversation if start.leg in self._link_of else self._make_conversation()
        header = like.frame_header(start.frame_bytes, start.kind)
        groups = self._groups[start.slot]
        kind = kind_of(start, header)
        for group in groups:
            if group.kind == kind and group.count < GROUP_CAPACITY:
                return group
        # Empty ones go when one is added: nothing else would take them out, and each has 128 rows.
        groups[:] = [group for group in groups if group.count]
        groups.append(SendGroup(self._memory, self._table, start, header, masked=like.masks_frames))
        return groups[-1]

    def _play(self, play: PlayLeg) -> None:
        """Move a leg to the group that says something else, from its next turn on."""
        group, start = self._sent_by[play.leg]
        next_turn = self._turns[start.slot]
        # Where all frames are alike it does not matter which comes first: all who say this can be one group.
        audio_turn = next_turn if play.frame_count > 1 else 0
        start = replace(start, frame_offset=play.frame_offset, frame_count=play.frame_count, audio_turn=audio_turn)
        self._memory.voice_turns[play.leg] = next_turn
        group.remove(play.leg)
        self._enter(start, int(self._memory.legs["end_turn"][play.leg]))

    def _stop(self, leg: int) -> None:
        if leg not in self._sent_by:  # its stream has ended by itself
            return
        record = self._memory.legs[leg]
        next_turn = self._turns[record["slot"]]
        self._sent_by.pop(leg)[0].remove(leg)
        # One that is stopped before its first turn has had no turns, not less than none.
        record["end_turn"] = max(next_turn, record["first_turn"])
        self._let_rest(leg)

    def _forget_leg(self, leg: int) -> None:
        """Give a leg's number back; its connection goes on, silent, until Asterisk closes it."""
        self._stop(leg)
        self._memory.legs[leg] = (0, 0, 0, 0)
        self._memory.voice_turns[leg] = 0
        self._expected = {key: expected for key, expected in self._expected.items() if expected.leg != leg}
        link = self._link_of.get(leg)
        if link is not None:
            link.leave()
            link.since_ns = time.monotonic_ns()  # its patience begins now


_CONVERSATIONS: dict[str, Callable[[], Conversation]] = {
    "audiosocket": AudioSocketServer,
    "websocket": WebSocketServer,
    "websocket-server": WebSocketServer,
}


def main(arguments: list[str]) -> None:
    """Run the loop on the memory and the command socket whose descriptors were inherited."""
    run_loop(
        arguments,
        StreamLayout,
        StreamMemory,
        lambda memory, commands: StreamLoop(memory, commands, _CONVERSATIONS[memory.layout.transport]),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
