"""How much the simulator carries on one core: ``python -m tests.benchmarks.simulator_capacity``.

The whole simulator (HTTP and media process) runs on the first core, the generator on the second. Echo calls are
set up, 16 at a time, then each sends a packet every 20 ms; the time there and back is from just before a batch is sent
until the kernel received its packets. Ends with 1 if p99 is 5 ms or more, a packet is lost, or less than 100 calls are
set up in a second. On a machine that does other work at the same time the figures mean nothing, unless ``--realtime``
puts simulator and generator before that work (SCHED_FIFO, root only).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import numpy as np

from pytest_ari_sla.targets.simulator.process import SimulatorProcess
from pytest_ari_sla.udp.batched import DatagramMemory, make_receiver, make_sender, open_udp_socket

if TYPE_CHECKING:
    import socket

    from numpy.typing import NDArray

SIMULATOR_CORE, GENERATOR_CORE = 0, 1
AT_ONCE = 16
SLOTS = 20  # of 1 ms: each call sends in one of them
HEADER_BYTES, PACKET_BYTES = 12, 172
LIMIT_RTT_MS, LIMIT_SETUPS = 5.0, 100.0


class Setup:
    """Puts calls into the simulator's Echo()."""

    def __init__(self, simulator: SimulatorProcess, media: socket.socket) -> None:
        self._url = simulator.url
        self._headers = {"Authorization": simulator.endpoint.authorization}
        self._media_address = f"127.0.0.1:{media.getsockname()[1]}"
        self._started: dict[str, asyncio.Event] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def run(self, calls: int) -> list[int]:
        """Set up calls and return the port of each."""
        async with aiohttp.ClientSession(headers=self._headers) as session:
            async with session.ws_connect(self._url + "/events", params={"app": "capacity"}) as events:
                listening = asyncio.create_task(self._listen(events))
                ports = await asyncio.gather(*(self._set_up(session, number) for number in range(calls)))
                listening.cancel()
        return ports

    async def _listen(self, events: aiohttp.ClientWebSocketResponse) -> None:
        async for message in events:
            event = message.json()
            if event["type"] == "StasisStart":
                self._started[event["channel"]["id"]].set()

    async def _set_up(self, session: aiohttp.ClientSession, number: int) -> int:
        channel = f"capacity-{number:06d}-end"
        started = self._started[channel] = asyncio.Event()
        query = {"app": "capacity", "channelId": channel, "external_host": self._media_address, "format": "ulaw"}
        async with self._turns:
            async with session.post(self._url + "/channels/externalMedia", params=query) as response:
                port = int((await response.json())["channelvars"]["UNICASTRTP_LOCAL_PORT"])
            await started.wait()
            target: dict[str, str | int] = {"context": "default", "extension": "echo", "priority": 1}
            async with session.post(f"{self._url}/channels/{channel}/continue", params=target) as response:
                response.raise_for_status()
        return port


class Stream:
    """Sends and receives the packets of all calls over one socket.

    Attributes
    ----------
    sent
        Packets sent so far.
    """

    def __init__(self, media: socket.socket, ports: list[int]) -> None:
        self._media = media
        self._memory = DatagramMemory.allocate(len(ports), PACKET_BYTES)
        self._memory.data[:, 0] = 0x80
        self._memory.length[:] = PACKET_BYTES
        for row, port in enumerate(ports):
            self._memory.set_address(row, ("127.0.0.1", port))
        self._received = DatagramMemory.allocate(4096, PACKET_BYTES + 1)
        self._sender, self._receiver = make_sender(self._memory), make_receiver(self._received)
        self._rtt_ns: list[NDArray[np.int64]] = []
        self.sent = 0

    def run(self, seconds: float) -> NDArray[np.int64]:
        """Stream and return the time there and back of every packet, in ns."""
        rows = [np.arange(slot, len(self._memory), SLOTS) for slot in range(SLOTS)]
        start_ns = time.monotonic_ns() + 100_000_000
        for slot in range(int(seconds * 1000)):
            wait_s = (start_ns + slot * 1_000_000 - time.monotonic_ns()) / 1e9
            if wait_s > 0:
                time.sleep(wait_s)
            self._send(rows[slot % SLOTS], slot // SLOTS)
            if slot % 5 == 0:
                self._receive()
        time.sleep(0.3)
        self._receive()
        return np.concatenate(self._rtt_ns)

    def _send(self, rows: NDArray[np.intp], number: int) -> None:
        data = self._memory.data
        data[rows, 2:4] = np.frombuffer((number & 0xFFFF).to_bytes(2), np.uint8)
        data[rows, 4:8] = np.frombuffer((number * 160 & 0xFFFFFFFF).to_bytes(4), np.uint8)
        data[rows, HEADER_BYTES : HEADER_BYTES + 8] = np.frombuffer(time.time_ns().to_bytes(8), np.uint8)
        self.sent += self._sender.send_rows(self._media, rows)

    def _receive(self) -> None:
        while count := self._receiver.receive(self._media, 0, len(self._received)):
            stamps = self._received.data[:count, HEADER_BYTES : HEADER_BYTES + 8].copy().view(">i8")[:, 0]
            self._rtt_ns.append(self._received.arrival_ns(slice(0, count)) - stamps.astype(np.int64))


def family(pid: int) -> list[int]:
    """Return a process and its children."""
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process and its children have used."""
    stats = [Path(f"/proc/{one}/schedstat").read_text().split()[0] for one in family(pid)]
    return sum(map(int, stats)) / 1e9


def put_before_all_else(pids: list[int]) -> None:
    """Let processes run whenever they can."""
    for pid in pids:
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(1))


def main(calls: int, seconds: float, *, realtime: bool) -> int:
    """Measure, print the figures, and return the exit status."""
    os.sched_setaffinity(0, {SIMULATOR_CORE})
    with SimulatorProcess() as simulator, open_udp_socket(("127.0.0.1", 0)) as media:
        os.sched_setaffinity(0, {GENERATOR_CORE})
        if realtime:
            put_before_all_else([os.getpid(), *family(simulator.pid)])
        started_s = time.perf_counter()
        ports = asyncio.run(Setup(simulator, media).run(calls))
        setups = calls / (time.perf_counter() - started_s)
        stream, used_s = Stream(media, ports), cpu_s(simulator.pid)
        rtt_ms = stream.run(seconds) / 1e6
        load = (cpu_s(simulator.pid) - used_s) / seconds
    p50, p99, p999 = np.percentile(rtt_ms, (50, 99, 99.9))
    lost = stream.sent - len(rtt_ms)
    sys.stdout.write(f"set-ups         {setups:8.0f} per second\n")
    sys.stdout.write(f"packets         {stream.sent:8d} sent, {lost} lost\n")
    sys.stdout.write(f"RTT             {p50:8.2f} ms p50, {p99:.2f} p99, {p999:.2f} p99.9, {rtt_ms.max():.2f} max\n")
    sys.stdout.write(f"simulator       {load:8.0%} of its core\n")
    return int(bool(lost) or p99 >= LIMIT_RTT_MS or setups < LIMIT_SETUPS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.simulator_capacity")
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--realtime", action="store_true")
    options = parser.parse_args()
    sys.exit(main(options.calls, options.seconds, realtime=options.realtime))
