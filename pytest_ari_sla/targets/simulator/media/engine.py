"""Media of the simulated PBX: legs that echo, pairs, mixing bridges, prompts. Told what to do, and what time it is."""

from __future__ import annotations

import contextlib
import socket
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.rtp.header import HEADER_BYTES
from pytest_ari_sla.targets.simulator.faults import Faults
from pytest_ari_sla.targets.simulator.media.formats import (
    FORMAT_NUMBERS,
    FRAME_SAMPLES,
    decode,
    encode,
    from_stream,
    is_linear,
    to_stream,
)
from pytest_ari_sla.targets.simulator.media.impairment import MediaFaults
from pytest_ari_sla.targets.simulator.media.legs import LegTable, Mode, Packets
from pytest_ari_sla.targets.simulator.media.mixer import Mixer
from pytest_ari_sla.targets.simulator.media.streams import LocalHalf
from pytest_ari_sla.udp.batched import DatagramMemory, make_receiver
from pytest_ari_sla.udp.datagrams import host_number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    from pytest_ari_sla.targets.simulator.media.streams import FrameLeg, StreamLeg

__all__ = ["FRAME_NS", "MediaEngine"]

FRAME_NS = 20_000_000
_ROWS = 1024
# More than a datagram that Ethernet carries in one piece (1,500 bytes), so that none of RTP is cut.
_WIDTH = 2048
_RAW_BYTES = 1000  # of a payload that has another format than samples, and comes as one frame
_BURST = 16  # datagrams taken from one socket at a time, so that a flood on one port does not starve the others
_STRANGERS = 4  # packets from an undeclared source that are dropped before it is taken for a new one
_NAMES = list(FORMAT_NUMBERS)
# A tone of 425 Hz, as prompts sound here: 160 samples hold 8.5 periods, so two packets make a whole number of them.
_TONE = (8000 * np.sin(2 * np.pi * 425 * np.arange(2 * FRAME_SAMPLES) / 8000)).astype(np.int16)


class MediaEngine:
    """All media of one simulator.

    Parameters
    ----------
    capacity
        Legs at a time.
    seed
        Start of SSRCs and sequence numbers.

    Attributes
    ----------
    sockets
        The socket of each open leg, by leg.
    told
        What happened to legs with connections since it was taken last: ``answer``, ``hang_up`` or ``ended``, and
        the leg.
    """

    def __init__(self, capacity: int, seed: int = 0) -> None:
        self.sockets: dict[int, socket.socket] = {}
        self.told: list[tuple[str, int]] = []
        self._streams: dict[int, FrameLeg] = {}
        self._is_stream = np.zeros(capacity, bool)
        self._over: set[int] = set()
        self._legs = LegTable(capacity, np.random.default_rng(seed))
        self._memory = DatagramMemory.allocate(_ROWS, _WIDTH)
        self._receiver = make_receiver(self._memory)
        self._datagrams = [memoryview(row) for row in self._memory.data]
        self._remotes: dict[int, tuple[str, int]] = {}
        self._received_by = np.zeros(_ROWS, np.int64)
        self._mixers: dict[str, Mixer] = {}
        self._mixer_of: dict[int, Mixer] = {}
        self._prompts: dict[int, tuple[str, int]] = {}
        self._strangers: dict[int, tuple[int, int, int]] = {}
        self._faults = MediaFaults()
        self._now_ns = 0

    # Commands

    def open(self, leg: int, handle: int, payload_format: str, host: str, port: int) -> None:
        """Let a leg begin on a bound socket (a file descriptor, which is ours from now on)."""
        self.sockets[leg] = socket.socket(fileno=handle)
        self._remotes[leg] = (host, port)
        self._legs.open(leg, payload_format, host_number(host), port)

    def open_stream(self, leg: int, stream: StreamLeg) -> None:
        """Let a leg begin whose media comes and goes by a connection."""
        self.sockets[leg] = stream.socket
        self._open_frames(leg, stream)
        self._look_at(leg)

    def open_local(self, near: int, far: int, payload_format: str) -> None:
        """Let two legs begin, each of which hears what the other one is to say."""
        self._open_frames(near, LocalHalf(payload_format, partial(self._route_if_open, far)))
        self._open_frames(far, LocalHalf(payload_format, partial(self._route_if_open, near)))

    def _open_frames(self, leg: int, frames: FrameLeg) -> None:
        self._streams[leg] = frames
        self._is_stream[leg] = True
        self._legs.open(leg, frames.format, 0, 0)

    def close(self, leg: int) -> None:
        """Let a leg end."""
        self.idle(leg)
        self._prompts.pop(leg, None)
        self._strangers.pop(leg, None)
        self._legs.mode[leg] = Mode.FREE
        stream = self._streams.pop(leg, None)
        self._is_stream[leg] = False
        self._over.discard(leg)
        if stream is not None:
            stream.close()
        if leg in self.sockets:
            self.sockets.pop(leg).close()

    def digit(self, leg: int, digit: str) -> None:
        """Send a digit; RTP of ExternalMedia carries none."""
        if (stream := self._streams.get(leg)) is not None:
            stream.digit(digit)

    def idle(self, leg: int) -> None:
        """Let a leg neither echo nor hear anybody."""
        peer = int(self._legs.peer[leg])
        # Its peer falls silent too, else it would feed a leg whose number is another channel's next.
        if peer >= 0:
            self._legs.mode[peer], self._legs.peer[peer] = Mode.IDLE, -1
        self._mixer_of.pop(leg, None)
        self._legs.mode[leg], self._legs.peer[leg] = Mode.IDLE, -1

    def echo(self, leg: int) -> None:
        """Let a leg send back what it receives."""
        self.idle(leg)
        self._legs.mode[leg] = Mode.ECHO

    def bridge(self, bridge: str, legs: Sequence[int]) -> None:
        """Join exactly these legs."""
        old = self._mixers.pop(bridge, None)
        for leg in legs:
            self.idle(leg)
        # As bridge_simple: between two legs of one format the payload passes byte for byte.
        if len(legs) == 2:
            self._legs.mode[list(legs)] = Mode.PAIR
            self._legs.peer[list(legs)] = list(reversed(legs))
        elif len(legs) > 2:
            mixer = self._mixers[bridge] = old or Mixer(legs)
            mixer.set_legs(legs)
            self._mixer_of.update(dict.fromkeys(legs, mixer))
            self._legs.mode[list(legs)] = Mode.MIX

    def mute(self, leg: int, incoming: bool, outgoing: bool) -> None:
        """Let nothing come in or go out, or do again."""
        self._legs.muted_in[leg], self._legs.muted_out[leg] = incoming, outgoing

    def play(self, leg: int, prompt: str) -> None:
        """Send a prompt: a tone, or silence where it has no name."""
        self._prompts[leg] = (prompt, 0)

    def stop_playing(self, leg: int) -> None:
        """End the prompt."""
        self._prompts.pop(leg, None)

    def set_faults(self, values: dict[str, Any]) -> None:
        """Let these faults be shown from now on."""
        self._faults.set_faults(Faults().with_values(values))

    # Packets

    @property
    def makes_packets(self) -> bool:
        """Whether :meth:`tick` has anything to do."""
        return bool(self._mixers or self._prompts or self._streams)

    def next_due_ns(self) -> int | None:
        """When a packet that was held back is to be sent, or a connection to be given up; None for never."""
        due = [self._faults.next_due_ns(), *(stream.give_up_at_ns() for stream in self._streams.values())]
        return min((one for one in due if one is not None), default=None)

    def receive(self, ready: Sequence[int], now_ns: int) -> None:
        """Take what waits at these legs, and pass it on."""
        self._now_ns = now_ns
        rows = 0
        for leg in ready:
            if leg not in self.sockets:
                continue
            if leg in self._streams:
                self._receive_stream(leg, now_ns)
                continue
            # The next burst might not fit into the memory.
            if rows + _BURST > _ROWS:
                self._pass_on(rows, now_ns)
                rows = 0
            count = self._receiver.receive(self.sockets[leg], rows, _BURST)
            self._received_by[rows : rows + count] = leg
            rows += count
        if rows:
            self._pass_on(rows, now_ns)

    def tick(self, now_ns: int) -> None:
        """Send what is made here, 20 ms of each: what waits in queues, mixing bridges, prompts."""
        self._now_ns = now_ns
        for leg, stream in self._streams.items():
            if leg not in self._over and (frame := stream.tick()) is not None:
                self._route(leg, frame)
            self._look_at(leg)
        for mixer in self._mixers.values():
            heard = mixer.mix()
            able = [row for row, leg in enumerate(mixer.legs) if self._is_able(leg)]
            legs = np.array([mixer.legs[row] for row in able], np.int64)
            self._send_made(legs, heard[able], np.zeros(len(legs), bool), now_ns)
        self._send_prompts(now_ns)

    def send_late(self, now_ns: int) -> None:
        """Send packets that were held back and are due."""
        for leg, datagram in self._faults.due(now_ns):
            if leg in self.sockets:
                self._memory.data[0, : len(datagram)] = np.frombuffer(datagram, np.uint8)
                self._memory.length[0] = len(datagram)
                self._send(np.zeros(1, np.int64), np.array([leg]))

    def expire(self, now_ns: int) -> None:
        """Give up connections that have begun something and did not go on."""
        for leg, stream in self._streams.items():
            due_ns = stream.give_up_at_ns()
            if due_ns is not None and due_ns <= now_ns:
                stream.ended = True
                self._look_at(leg)

    def _receive_stream(self, leg: int, now_ns: int) -> None:
        if leg in self._over:
            return
        for frame in self._streams[leg].read(now_ns):
            self._route(leg, frame)
        self._look_at(leg)

    def _look_at(self, leg: int) -> None:
        """Tell what a peer wants of its channel, and that it has ended, once."""
        stream = self._streams[leg]
        self.told += [(wish, leg) for wish in stream.wishes]
        stream.wishes.clear()
        if stream.ended and leg not in self._over:
            self._over.add(leg)
            self.told.append(("ended", leg))

    def _route_if_open(self, leg: int, frame: bytes) -> None:
        """Pass a frame on that the other half of a Local channel was to say."""
        if leg in self._streams:
            self._route(leg, frame)

    def _route(self, leg: int, frame: bytes) -> None:
        """Pass a frame that came in on to whoever hears its leg."""
        if self._legs.muted_in[leg]:
            return
        name, mode = self._streams[leg].format, self._legs.mode[leg]
        if mode == Mode.MIX and (samples := from_stream(name, frame)) is not None:
            self._mixer_of[leg].hear(leg, samples)
        elif mode == Mode.ECHO:
            self._say(leg, name, frame)
        elif mode == Mode.PAIR:
            self._say(int(self._legs.peer[leg]), name, frame)

    def _say(self, out: int, name: str, frame: bytes) -> None:
        """Send a frame to a leg: untouched where that has its format, in samples where not."""
        if self._legs.muted_out[out]:
            return
        target = self._streams.get(out)
        if target is not None and target.format == name:
            target.write(frame)
        elif target is None and self._format_of(out) == name and name != "slin":
            for first in range(0, len(frame), _RAW_BYTES):
                self._send_raw(out, frame[first : first + _RAW_BYTES])
        elif (samples := from_stream(name, frame)) is not None and self._is_able(out):
            for first in range(0, len(samples), FRAME_SAMPLES):
                part = samples[None, first : first + FRAME_SAMPLES]
                self._send_made(np.array([out]), part, np.zeros(1, bool), self._now_ns)

    def _send_raw(self, leg: int, payload: bytes) -> None:
        """Send one RTP packet of a leg with a payload as it is."""
        self._memory.data[0, HEADER_BYTES : HEADER_BYTES + len(payload)] = np.frombuffer(payload, np.uint8)
        self._memory.length[0] = HEADER_BYTES + len(payload)
        packets = Packets(self._memory.data[:1], self._memory.length[:1])
        self._legs.make_headers(packets, np.array([leg]), FRAME_SAMPLES, np.zeros(1, bool))
        self._dispatch(np.zeros(1, np.int64), np.array([leg]), self._now_ns)

    def _is_able(self, leg: int) -> bool:
        """Whether samples can be sent there."""
        return bool(self._is_stream[leg]) or is_linear(self._format_of(leg))

    def _to_stream(self, leg: int, samples: NDArray[np.int16]) -> None:
        stream = self._streams[leg]
        if (payload := to_stream(stream.format, samples)) is not None and not self._legs.muted_out[leg]:
            stream.write(payload)

    def _pass_on(self, rows: int, now_ns: int) -> None:
        """Rewrite and send the packets of the first rows of the memory."""
        legs = self._received_by[:rows]
        packets = Packets(self._memory.data[:rows], self._memory.length[:rows])
        formats = self._legs.received_formats(packets)
        kept = (formats != 255) & self._known_sources(legs, rows)
        self._to_mixers(kept & (self._legs.mode[legs] == Mode.MIX), legs, formats)
        pauses = self._legs.pauses(legs, now_ns) & (self._legs.mode[legs] == Mode.ECHO)
        out = self._legs.destinations(legs)
        # -1 (nobody hears it) would index the last leg: ``out >= 0`` takes such rows out again.
        chosen = np.flatnonzero(kept & (out >= 0) & ~self._is_stream[out])
        by_frames = [
            self._frame_of(int(row), int(formats[row]), int(out[row]))
            for row in np.flatnonzero(kept & (out >= 0) & self._is_stream[out])
        ]
        if translated := [row for row in chosen if formats[row] != self._legs.format[out[row]]]:
            failed = [row for row in translated if not self._translate(int(row), int(formats[row]), int(out[row]))]
            chosen = np.setdiff1d(chosen, failed)
        if len(chosen):
            self._legs.rewrite(packets, chosen, out[chosen], pauses[chosen])
            self._dispatch(chosen, out[chosen], now_ns)
        # What is said there may become packets again, in the memory that has now been sent.
        for frame in by_frames:
            self._say(*frame)

    def _frame_of(self, row: int, received: int, out: int) -> tuple[int, str, bytes]:
        """Return a received payload as a frame: who is to say it, its format, and a copy; ``slin`` turned round."""
        name = _NAMES[received]
        payload = self._memory.data[row, HEADER_BYTES : self._memory.length[row]]
        # L16 is big-endian in RTP (RFC 3551, 4.5.11), and slin little-endian on AudioSocket and WebSocket.
        return out, name, decode(name, payload).astype("<i2").tobytes() if name == "slin" else payload.tobytes()

    def _known_sources(self, legs: NDArray[np.int64], rows: int) -> NDArray[np.bool_]:
        """(n,) Whether each packet comes from where its leg sends to, or from who has been heard often enough."""
        host, port = self._memory.address["host"][:rows], self._memory.address["port"][:rows]
        known: NDArray[np.bool_] = (host == self._legs.host[legs]) & (port == self._legs.port[legs])
        for row in np.flatnonzero(~known):
            known[row] = self._learn(int(legs[row]), int(host[row]), int(port[row]))
        return known

    def _learn(self, leg: int, host: int, port: int) -> bool:
        """Count a packet from an undeclared source; return whether it is taken."""
        old_host, old_port, count = self._strangers.get(leg, (host, port, 0))
        count = count + 1 if (old_host, old_port) == (host, port) else 1
        self._strangers[leg] = (host, port, count)
        return count > _STRANGERS

    def _to_mixers(self, chosen: NDArray[np.bool_], legs: NDArray[np.int64], formats: NDArray[np.uint8]) -> None:
        for row in np.flatnonzero(chosen):
            leg, name = int(legs[row]), _NAMES[formats[row]]
            if is_linear(name) and not self._legs.muted_in[leg]:
                payload = self._memory.data[row, HEADER_BYTES : self._memory.length[row]]
                self._mixer_of[leg].hear(leg, decode(name, payload))

    def _translate(self, row: int, received: int, out: int) -> bool:
        """Turn a payload into the format of the leg that sends it, in place; return whether that is possible."""
        source, target = _NAMES[received], self._format_of(out)
        if not (is_linear(source) and is_linear(target)):
            return False
        payload = self._memory.data[row, HEADER_BYTES : self._memory.length[row]]
        translated = encode(target, decode(source, payload))
        self._memory.data[row, HEADER_BYTES : HEADER_BYTES + len(translated)] = translated
        self._memory.length[row] = HEADER_BYTES + len(translated)
        return True

    def _format_of(self, leg: int) -> str:
        return _NAMES[int(self._legs.format[leg])]

    def _send_prompts(self, now_ns: int) -> None:
        """Send the next 20 ms of every prompt, to legs that can play it."""
        playing = [leg for leg in self._prompts if self._is_able(leg)]
        if not playing:
            return
        samples, marks = np.zeros((len(playing), FRAME_SAMPLES), np.int16), np.zeros(len(playing), bool)
        for row, leg in enumerate(playing):
            prompt, frame = self._prompts[leg]
            if prompt:
                half = frame % 2 * FRAME_SAMPLES
                samples[row] = _TONE[half : half + FRAME_SAMPLES]
            # The marker tells where a talkspurt begins (RFC 3551, 4.1).
            marks[row] = frame == 0 and bool(self._legs.has_sent[leg])
            self._prompts[leg] = (prompt, frame + 1)
        self._send_made(np.array(playing, np.int64), samples, marks, now_ns)

    def _send_made(
        self, legs: NDArray[np.int64], samples: NDArray[np.int16], marks: NDArray[np.bool_], now_ns: int
    ) -> None:
        """Send one packet of samples, at 8 kHz, to each of some legs."""
        for place in np.flatnonzero(self._is_stream[legs]):
            self._to_stream(int(legs[place]), samples[place])
        by_rtp = ~self._is_stream[legs]
        legs, samples, marks = legs[by_rtp], samples[by_rtp], marks[by_rtp]
        for first in range(0, len(legs), _ROWS):
            part = legs[first : first + _ROWS]
            rows = np.arange(len(part))
            for row, leg in enumerate(part):
                payload = encode(self._format_of(int(leg)), samples[first + row])
                self._memory.data[row, HEADER_BYTES : HEADER_BYTES + len(payload)] = payload
                self._memory.length[row] = HEADER_BYTES + len(payload)
            packets = Packets(self._memory.data[: len(part)], self._memory.length[: len(part)])
            self._legs.make_headers(packets, part, samples.shape[1], marks[first : first + _ROWS])
            heard = ~self._legs.muted_out[part]
            self._dispatch(rows[heard], part[heard], now_ns)

    def _dispatch(self, rows: NDArray[np.int64], out: NDArray[np.int64], now_ns: int) -> None:
        """Send packets, as often and as late as the faults want it."""
        if self._faults.active:
            copies, delays_ns = self._faults.copies(len(rows)), self._faults.delays_ns(len(rows), now_ns)
            for row, leg, delay_ns, times in zip(rows, out, delays_ns, copies, strict=True):
                # A copy: `send_late` sends by way of row 0, where a packet of this batch may be.
                datagram = self._memory.data[row, : self._memory.length[row]].tobytes()
                for _ in range(times):
                    self._faults.keep(now_ns + int(delay_ns), int(leg), datagram)
            self.send_late(now_ns)
        else:
            self._send(rows, out)

    def _send(self, rows: NDArray[np.int64], out: NDArray[np.int64]) -> None:
        """Send packets, each from its leg's port to its leg's remote end: no two may share a system call."""
        lengths = self._memory.length[rows].tolist()
        for row, leg, length in zip(rows.tolist(), out.tolist(), lengths, strict=True):
            # What the kernel does not take is lost, as on any network.
            with contextlib.suppress(OSError):
                self.sockets[leg].sendto(self._datagrams[row][:length], self._remotes[leg])
