"""What this machine can tell and can carry: measured on its own loopback, before any figure is believed."""

from __future__ import annotations

import select
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.udp.batched import backend, make_receiver, make_sender
from pytest_ari_sla.udp.datagrams import DatagramMemory, open_udp_socket, prepare_socket

if TYPE_CHECKING:
    import socket

    from pytest_ari_sla.udp.datagrams import ReceiveOptions, Receiver, Sender

__all__ = ["Calibration", "calibrate", "clock_floor"]

_CLOCK_READINGS = 2_000
_SINGLE_PACKETS = 300
_PACKET_BYTES = 172
_BATCH = 128
_PACKETS_PER_CALL_SECOND = 100
"""At 20 ms: 50 out and 50 in."""


@dataclass(frozen=True)
class Calibration:
    """The floor below which figures of this machine mean nothing, and its ceiling.

    Attributes
    ----------
    clock_floor
        Two readings of the clock in a row, in ns.
    loopback
        A single packet over loopback, from before the send to the kernel's stamp, in ns: no one-way delay here is less.
    packets_per_second
        Packets that one core sends and receives over loopback when it does nothing else.
    backend
        ``mmsg`` or ``python``.
    options
        What the kernel grants a receiving socket.
    """

    clock_floor: Histogram
    loopback: Histogram
    packets_per_second: float
    backend: str
    options: ReceiveOptions

    @property
    def sustainable_calls(self) -> int:
        """Two-way calls at 20 ms that one core could move, if moving packets were all it did."""
        return int(self.packets_per_second / (_PACKETS_PER_CALL_SECOND / 2))


def clock_floor(readings: int = _CLOCK_READINGS) -> Histogram:
    """Return the differences between readings of CLOCK_REALTIME taken one after the other, in ns."""
    stamps = np.array([time.time_ns() for _ in range(readings)], np.int64)
    floor = Histogram()
    floor.record(np.diff(stamps))
    return floor


def calibrate(seconds: float = 0.5) -> Calibration:
    """Measure this machine; takes about as long as ``seconds`` says."""
    with open_udp_socket(("127.0.0.1", 0)) as sending, open_udp_socket(("127.0.0.1", 0)) as receiving:
        options = prepare_socket(receiving)
        outgoing = DatagramMemory.allocate(_BATCH, _PACKET_BYTES)
        incoming = DatagramMemory.allocate(_BATCH, _PACKET_BYTES + 1)
        outgoing.length[:] = _PACKET_BYTES
        for row in range(_BATCH):
            outgoing.set_address(row, receiving.getsockname())
        sender, receiver = make_sender(outgoing), make_receiver(incoming)
        loopback = _single_packets(sending, receiving, sender, receiver, incoming)
        rate = _flood(sending, receiving, sender, receiver, seconds)
    return Calibration(clock_floor(), loopback, rate, backend(), options)


def _single_packets(
    sending: socket.socket, receiving: socket.socket, sender: Sender, receiver: Receiver, incoming: DatagramMemory
) -> Histogram:
    loopback = Histogram()
    row = np.zeros(1, np.intp)
    for _ in range(_SINGLE_PACKETS):
        sent_ns = time.time_ns()
        sender.send_rows(sending, row)
        select.select([receiving], [], [], 1.0)
        if receiver.receive(receiving, 0, 1):
            loopback.record(incoming.arrival_ns(slice(0, 1)) - sent_ns)
    return loopback


def _flood(
    sending: socket.socket, receiving: socket.socket, sender: Sender, receiver: Receiver, seconds: float
) -> float:
    """Return packets per second, sent and received in batches by this one thread."""
    rows = np.arange(_BATCH)
    received = 0
    began_ns = time.perf_counter_ns()
    while (elapsed_ns := time.perf_counter_ns() - began_ns) < seconds * 1e9:
        sender.send_rows(sending, rows)
        received += receiver.receive(receiving, 0, _BATCH)
    return received / (elapsed_ns / 1e9)
