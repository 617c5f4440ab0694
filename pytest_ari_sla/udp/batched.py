"""Batched datagrams by whatever means this system has, behind one interface."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.udp import mmsg, mmsg_python
from pytest_ari_sla.udp.datagrams import DatagramMemory, open_udp_socket

if TYPE_CHECKING:
    import socket

    import numpy as np
    from numpy.typing import NDArray

    from pytest_ari_sla.udp.datagrams import Burst, Receiver, Sender, StreamReader, StreamWriter

__all__ = [
    "DatagramMemory",
    "backend",
    "make_burst",
    "make_receiver",
    "make_sender",
    "make_stream_reader",
    "make_stream_writer",
    "make_timer",
    "open_udp_socket",
]

BACKEND_VARIABLE = "ARI_SLA_UDP"
"""Environment variable that forces a back end: ``mmsg`` or ``python``."""


def backend() -> str:
    """Name of the back end in use: ``mmsg`` (batches by the kernel) or ``python`` (its portable twin).

    Raises
    ------
    UsageError
        The environment asks for another one.
    """
    chosen = os.environ.get(BACKEND_VARIABLE) or ("mmsg" if mmsg.is_available() else "python")
    if chosen not in ("mmsg", "python"):
        raise UsageError(f"{BACKEND_VARIABLE} is {chosen!r}; it can be mmsg or python")
    return chosen


def make_receiver(memory: DatagramMemory) -> Receiver:
    """Return what receives into ``memory``."""
    return mmsg.MmsgReceiver(memory) if backend() == "mmsg" else mmsg_python.PythonReceiver(memory)


def make_sender(memory: DatagramMemory) -> Sender:
    """Return what sends from ``memory``."""
    return mmsg.MmsgSender(memory) if backend() == "mmsg" else mmsg_python.PythonSender(memory)


def make_stream_reader(memory: DatagramMemory) -> StreamReader:
    """Return what reads connections into ``memory``."""
    return mmsg.MmsgStreamReader(memory) if backend() == "mmsg" else mmsg_python.PythonStreamReader(memory)


def make_stream_writer(rows: NDArray[np.uint8]) -> StreamWriter:
    """Return what writes ``rows`` (n, width) to connections."""
    return mmsg.MmsgStreamWriter(rows) if backend() == "mmsg" else mmsg_python.PythonStreamWriter(rows)


def make_burst(
    memory: DatagramMemory, before: bytearray, after: bytearray, sending: socket.socket, stamp_every: int
) -> Burst:
    """Return what sends packets made of ``before``, a row of ``memory``, and ``after`` by a socket.

    Where the system can, it notes when every so many-th row leaves, from the first on.
    """
    if backend() == "mmsg":
        return mmsg.MmsgBurst(memory, before, after, sending, stamp_every)
    return mmsg_python.PythonBurst(memory, before, after, sending)


def make_timer(first_ns: int, period_ns: int) -> mmsg.TimerFd | mmsg_python.PythonTimer:
    """Return a timer that fires at ``first_ns`` (monotonic) and every ``period_ns`` after it."""
    if backend() == "mmsg":
        return mmsg.TimerFd(first_ns, period_ns)
    return mmsg_python.PythonTimer(first_ns, period_ns)
