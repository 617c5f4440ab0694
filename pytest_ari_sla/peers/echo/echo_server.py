"""The echo server: sends each RTP packet back to where it came from, at once or impaired on purpose.

It knows nobody: whoever sends a packet gets it back. It runs as a process of its own, as ``ari-sla echo`` or under
:class:`~pytest_ari_sla.peers.echo.echo_process.EchoServerProcess`.
"""

from __future__ import annotations

import argparse
import gc
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_ari_sla.arguments import argument, parse_port
from pytest_ari_sla.children.child import CONTROL_OPTION, inherited_control
from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.units import format_duration_ns, parse_duration_ns
from pytest_ari_sla.peers.control import TakeSnapshot
from pytest_ari_sla.peers.echo import stream_echo
from pytest_ari_sla.peers.echo.delay_line import DelayLine
from pytest_ari_sla.peers.echo.impairment import DEFAULT_PACKET_NS, Impairment
from pytest_ari_sla.peers.echo.impairment_log import LOG_RECORD, Action, ImpairmentLog
from pytest_ari_sla.peers.ready_loop import ControlSession, ReadyLoop
from pytest_ari_sla.peers.reflector import (
    BATCH,
    MOST_BATCHES,
    PACKET_WIDTH,
    PacketMover,
    TurnaroundMeter,
    send_stamped,
)
from pytest_ari_sla.peers.stream_command import STREAMS, transport_of
from pytest_ari_sla.rtp.header import HEADER_BYTES, PLAIN_FLAGS, header_view
from pytest_ari_sla.rtp.probe import MAGIC, PROBE_BYTES, stamp_view
from pytest_ari_sla.udp.batched import make_sender, open_udp_socket
from pytest_ari_sla.udp.datagrams import receive_drops
from pytest_ari_sla.udp.pacing_timer import ask_for_realtime

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.peers.control import AnyRequest
    from pytest_ari_sla.peers.reflector import Departures
    from pytest_ari_sla.udp.datagrams import DatagramMemory

__all__ = ["ECHO_METRICS", "EchoServer", "main"]

_TOP_PACKET_RATE = 100_000  # of 2,000 calls at 20 ms
_LEAST_WAITING, _MOST_WAITING = 1 << 12, 1 << 16  # rows of 1,601 bytes each: 105 MB at most


def _count(name: str, description: str) -> Metric:
    return Metric(name, "count", "count", description)


ECHO_METRICS = (
    _count("echo.received", "RTP packets that reached the echo server"),
    _count("echo.sent", "RTP packets that it sent back, duplicates included"),
    _count("echo.dropped", "Packets that it dropped on purpose"),
    _count("echo.duplicated", "Packets that it sent back twice on purpose"),
    _count("echo.held", "Packets that it held back on purpose, for their successor to overtake them"),
    _count("echo.crowded_out", "Packets that it had to drop since too many were waiting for their time"),
    _count("echo.refused", "Packets that its kernel refused to send"),
    _count("echo.invalid", "Datagrams that reached it and were no RTP packets; they are not sent back"),
    _count("echo.receive_drops", "Packets that were dropped in its own receive buffer"),
    Metric(
        "harness.echo_stall",
        "distribution",
        "s",
        "How long the echo server stood still, where it did for 250 ms",
    ),
    Metric(
        "harness.echo_turnaround",
        "distribution",
        "s",
        "Time that the echo server held a packet, from the kernel's time of arrival until after the send, beyond the "
        "delay it was told to add",
    ),
)
"""What the echo server tells of itself."""


class EchoServer:
    """Echoes what one socket receives.

    Parameters
    ----------
    loop
        Where the socket is watched.
    udp
        From ``open_udp_socket``; stays the caller's to close.
    impairment
        What to do to packets; None: nothing.
    log
        Where to note what was done to each packet.
    """

    def __init__(
        self,
        loop: ReadyLoop,
        udp: socket.socket,
        impairment: Impairment | None = None,
        log: ImpairmentLog | None = None,
    ) -> None:
        self._udp = udp
        self._stalls = loop.stalls
        self._impairment = impairment or Impairment()
        self._log = log
        self._counts = dict.fromkeys((metric.name for metric in ECHO_METRICS if metric.kind == "count"), 0)
        self._mover = PacketMover()
        self._turnaround = TurnaroundMeter()
        self._keys = _PacketKeys(self._mover.memory)
        # Where nothing is decided or noted, no packet's key needs to be read.
        self._is_plain = self._impairment.is_none and log is None
        # Rows are reserved once: memory that is asked for while packets pass would delay them.
        self._waiting = DelayLine(self._places() if self._impairment.delays else 0, PACKET_WIDTH)
        self._waiting_sender = make_sender(self._waiting.memory)
        loop.watch(udp, self._drain)

    def _places(self) -> int:
        """Return how many packets may have to wait at one time."""
        rate = _TOP_PACKET_RATE * (1 + self._impairment.duplicate)
        return int(np.clip(rate * self._impairment.longest_delay_ns / 1e9, _LEAST_WAITING, _MOST_WAITING))

    def next_due_ns(self) -> int | None:
        """When :meth:`release` is to be called (``time.monotonic_ns``); None while no packet waits."""
        return self._waiting.next_due_ns

    def snapshot(self) -> Snapshot:
        """Return all figures so far."""
        counts = self._counts | {"echo.receive_drops": receive_drops(self._udp)}
        times = {"harness.echo_stall": self._stalls, "harness.echo_turnaround": self._turnaround.histogram()}
        return Snapshot({**counts, **times})

    def _drain(self) -> None:
        """Deal with what has come; what is left over keeps the socket ready."""
        for rows, invalid in self._mover.batches(self._udp):
            self._counts["echo.invalid"] += invalid
            self._counts["echo.received"] += len(rows)
            if not len(rows):
                continue
            if self._is_plain:
                self._note_sent(self._mover.send(self._udp, rows), self._mover.arrival_ns(rows))
            else:
                self._impair(rows)

    def _note_sent(self, departures: Departures, wanted_ns: NDArray[np.int64]) -> None:
        """Count packets that were sent, or refused, and should have been sent at ``wanted_ns``."""
        is_sent = departures.is_sent
        sent = int(np.count_nonzero(is_sent))
        self._counts["echo.sent"] += sent
        self._counts["echo.refused"] += len(is_sent) - sent
        self._turnaround.record((departures.ended_ns - wanted_ns)[is_sent])

    def _impair(self, rows: NDArray[np.intp]) -> None:
        records = self._keys.records(rows)
        records["arrival_ns"] = self._mover.arrival_ns(rows)
        decisions = self._impairment.decide(records["leg"], records["number"])
        records["delay_ns"] = decisions.delay_ns
        records["held"] = decisions.held
        records["action"][decisions.dropped] = Action.DROPPED
        self._counts["echo.dropped"] += int(np.count_nonzero(decisions.dropped))
        self._counts["echo.duplicated"] += int(np.count_nonzero(decisions.duplicated))
        self._counts["echo.held"] += int(np.count_nonzero(decisions.held))
        self._note(records[decisions.dropped])
        copies = np.repeat(np.arange(len(rows)), np.where(decisions.dropped, 0, 1 + decisions.duplicated))
        records = records[copies]
        # The copies of a packet stand side by side: the second of two alike is the duplicate.
        records["action"][1:][copies[1:] == copies[:-1]] = Action.SENT_AGAIN
        if self._impairment.delays:
            self._let_wait(rows[copies], records)
        else:
            self._finish(self._mover.send(self._udp, rows[copies]), records)

    def _let_wait(self, rows: NDArray[np.intp], records: NDArray[np.void]) -> None:
        room = self._waiting.room
        # What finds no room is dropped and told as a fault of ours: a loss that nobody asked for.
        taken = records[:room]
        # On the monotonic clock, by which the loop waits.
        due_ns = taken["arrival_ns"] + taken["delay_ns"] - self._mover.clock.epoch_ns
        self._waiting.push(self._mover.memory, rows[:room], due_ns, taken)
        crowded_out = records[room:]
        crowded_out["action"] = Action.CROWDED_OUT
        self._counts["echo.crowded_out"] += len(crowded_out)
        self._note(crowded_out)

    def release(self) -> None:
        """Send back what is due."""
        # A bound, so that receiving gets its turn; the rest is due at once again.
        for _ in range(MOST_BATCHES):
            rows = self._waiting.due(time.monotonic_ns(), BATCH)
            departures = send_stamped(self._waiting_sender, self._udp, rows, self._mover.clock)
            self._finish(departures, self._waiting.records[rows])
            self._waiting.free(rows)
            if len(rows) < BATCH:
                return

    def _finish(self, departures: Departures, records: NDArray[np.void]) -> None:
        self._note_sent(departures, records["arrival_ns"] + records["delay_ns"])
        refused = ~departures.is_sent
        records["done_ns"] = np.where(refused, 0, departures.ended_ns - records["arrival_ns"])
        records["action"][refused] = Action.REFUSED
        self._note(records)

    def _note(self, records: NDArray[np.void]) -> None:
        if self._log is not None:
            self._log.append(records)


class _PacketKeys:
    """Reads what tells packets apart out of a memory of datagrams."""

    def __init__(self, memory: DatagramMemory) -> None:
        self._length = memory.length
        self._headers = header_view(memory.data)
        self._stamps = stamp_view(memory.data[:, HEADER_BYTES:])

    def records(self, rows: NDArray[np.intp]) -> NDArray[np.void]:
        """Return new records of these rows: LOG_RECORD, (n,), with leg, number and whether a probe told them.

        Without a probe these are SSRC and sequence number, so that faults repeat after 65,536 packets.
        """
        headers, stamps = self._headers[rows], self._stamps[rows]
        # Behind an extension or contributing sources the probe would stand elsewhere.
        has_probe = (stamps["magic"] == MAGIC) & (headers["flags"] == PLAIN_FLAGS)
        has_probe &= self._length[rows] >= HEADER_BYTES + PROBE_BYTES
        records = np.zeros(len(rows), LOG_RECORD)
        records["leg"] = np.where(has_probe, stamps["leg"], headers["ssrc"])
        records["number"] = np.where(has_probe, stamps["number"], headers["sequence"])
        records["has_probe"] = has_probe
        return records


def _share(text: str) -> float:
    """Read ``2%`` or ``0.02``."""
    try:
        return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        message = f"{text!r} is not a share; write it like 2% or 0.02"
        raise argparse.ArgumentTypeError(message) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("ari-sla echo", description="Send every RTP packet back to where it came from.")
    parser.add_argument(
        "--transport",
        choices=("rtp", *STREAMS),
        default="rtp",
        help="what to send back (default: %(default)s); see --transport NAME --help for the options of the others",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument(
        "--port", type=argument(parse_port), default=0, help="UDP port to listen at (default: a free one)"
    )
    parser.add_argument(
        "--loss", type=_share, default=0.0, metavar="SHARE", help="share of packets to drop, such as 2%%"
    )
    parser.add_argument("--loss-burst", type=float, metavar="PACKETS", help="mean number of packets lost in a row")
    parser.add_argument(
        "--loss-every", type=int, metavar="N", help="drop each packet whose number can be divided by N, and no others"
    )
    parser.add_argument(
        "--delay", type=argument(parse_duration_ns), default=0, metavar="TIME", help="delay to add, such as 30ms"
    )
    parser.add_argument(
        "--jitter", type=argument(parse_duration_ns), default=0, metavar="TIME", help="vary the delay by ± this much"
    )
    parser.add_argument("--duplicate", type=_share, default=0.0, metavar="SHARE", help="share of packets to send twice")
    parser.add_argument(
        "--reorder", type=_share, default=0.0, metavar="SHARE", help="share to hold back, to be overtaken"
    )
    parser.add_argument("--seed", type=int, default=0, help="same seed, same faults (default: %(default)s)")
    parser.add_argument(
        "--packet-time",
        type=argument(parse_duration_ns),
        default=DEFAULT_PACKET_NS,
        metavar="TIME",
        help=f"time between a stream's packets, for --reorder (default: {format_duration_ns(DEFAULT_PACKET_NS)})",
    )
    parser.add_argument(
        "--log", type=Path, metavar="FILE", help="at the end, write what was done to each packet (.npz)"
    )
    parser.add_argument(
        "--realtime",
        choices=("auto", "off"),
        default="auto",
        help="run under SCHED_FIFO where allowed, so that nobody's round trip waits for other programs",
    )
    parser.add_argument(CONTROL_OPTION, type=int, help=argparse.SUPPRESS)
    return parser


def _impairment(options: argparse.Namespace) -> Impairment:
    return Impairment(
        loss=options.loss,
        loss_burst=options.loss_burst,
        loss_every=options.loss_every,
        delay_ns=options.delay,
        jitter_ns=options.jitter,
        duplicate=options.duplicate,
        reorder=options.reorder,
        seed=options.seed,
        packet_ns=options.packet_time,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run an echo server until it is told to stop (Ctrl-C, SIGTERM, or the end of its control connection)."""
    if transport_of(argv) != "rtp":
        return stream_echo.main(argv)
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        impairment = _impairment(options)
        if options.log is not None:
            options.log.open("ab").close()  # at the end it would be too late to say that it cannot be written
        udp = open_udp_socket((options.host, options.port))
    except (ValueError, OSError) as error:
        parser.error(str(error))
    log = ImpairmentLog() if options.log else None
    with udp, ReadyLoop() as loop:
        server = EchoServer(loop, udp, impairment, log)
        _attend(loop, server, udp.getsockname(), options.control_fd)
        # The collector then never walks what start-up made: its pauses would be in somebody's round trip.
        gc.freeze()
        if options.realtime == "auto":
            ask_for_realtime()
        loop.run(server.next_due_ns, server.release)
        if options.control_fd is None:
            _say(server.snapshot())
    if log is not None:
        log.save(options.log)
    return 0


def _attend(loop: ReadyLoop, server: EchoServer, address: tuple[str, int], control_fd: int | None) -> None:
    """Arrange for the loop's end, and tell where the server listens."""

    def answer(request: AnyRequest) -> Any:
        if isinstance(request, TakeSnapshot):
            return server.snapshot().to_plain()
        message = f"an echo server has no answer to {type(request).__name__}"
        raise UsageError(message)

    signal.signal(signal.SIGTERM, lambda *_: loop.stop())
    if control_fd is None:
        signal.signal(signal.SIGINT, lambda *_: loop.stop())
        sys.stdout.write(f"echo server at {address[0]}:{address[1]}\n")
        sys.stdout.flush()
    else:
        ControlSession(loop, inherited_control(control_fd), answer, loop.stop).greet(list(address))


def _say(snapshot: Snapshot) -> None:
    """Print the counts for a person."""
    for metric in ECHO_METRICS:
        if metric.kind == "count":
            sys.stdout.write(f"{snapshot.count(metric.name):>12,}  {metric.description}\n")


if __name__ == "__main__":
    sys.exit(main())
