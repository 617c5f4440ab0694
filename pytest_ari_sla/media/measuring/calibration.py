"""What this machine can tell: measured on its own loopback, before any figure is believed."""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.udp.batched import backend, make_receiver, make_sender
from pytest_ari_sla.udp.datagrams import DatagramMemory, open_udp_socket, prepare_socket

if TYPE_CHECKING:
    from pytest_ari_sla.udp.datagrams import ReceiveOptions, Receiver, Sender

__all__ = ["Calibration", "calibrate", "clock_floor", "packet_backend", "receive_buffer_bytes"]

_CLOCK_READINGS = 2_000
_SINGLE_PACKETS = 300
_PACKET_BYTES = 172  # 20 ms of G.711, and an RTP header


@dataclass(frozen=True)
class Calibration:
    """The floor below which figures of this machine mean nothing.

    Attributes
    ----------
    clock_floor
        Two readings of the clock in a row, in ns.
    loopback
        A single packet over loopback, from before the send to the kernel's stamp, in ns: no one-way delay here is less.
    backend
        ``mmsg`` or ``python``.
    options
        What the kernel grants a receiving socket.
    """

    clock_floor: Histogram
    loopback: Histogram
    backend: str
    options: ReceiveOptions


def packet_backend() -> str:
    """Return how this machine moves datagrams: ``mmsg`` (many with one system call) or ``python`` (one by one)."""
    return backend()


def receive_buffer_bytes() -> int:
    """Return what the kernel grants a socket that receives media."""
    with open_udp_socket(("127.0.0.1", 0)) as probe:
        return probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def clock_floor(readings: int = _CLOCK_READINGS) -> Histogram:
    """Return the differences between readings of CLOCK_REALTIME taken one after the other, in ns."""
    stamps = np.array([time.time_ns() for _ in range(readings)], np.int64)
    floor = Histogram()
    floor.record(np.diff(stamps))
    return floor


def calibrate() -> Calibration:
    """Measure this machine, for a moment."""
    with open_udp_socket(("127.0.0.1", 0)) as sending, open_udp_socket(("127.0.0.1", 0)) as receiving:
        options = prepare_socket(receiving)
        outgoing = DatagramMemory.allocate(1, _PACKET_BYTES)
        # one byte more, by which a longer datagram would be known
        incoming = DatagramMemory.allocate(1, _PACKET_BYTES + 1)
        outgoing.length[:] = _PACKET_BYTES
        outgoing.set_address(0, receiving.getsockname())
        loopback = _single_packets(sending, receiving, make_sender(outgoing), make_receiver(incoming), incoming)
    return Calibration(clock_floor(), loopback, backend(), options)


def _single_packets(
    sending: socket.socket, receiving: socket.socket, sender: Sender, receiver: Receiver, incoming: DatagramMemory
) -> Histogram:
    loopback = Histogram()
    row = np.zeros(1, np.intp)
    for _ in range(_SINGLE_PACKETS):
        sent_ns = time.time_ns()  # CLOCK_REALTIME, as the kernel's stamp
        sender.send_rows(sending, row)
        select.select([receiving], [], [], 1.0)
        if receiver.receive(receiving, 0, 1):
            loopback.record(incoming.arrival_ns(slice(0, 1)) - sent_ns)
    return loopback
