"""What is measured as a round trip lies between our socket and the peer's: not when anybody looked into either."""

from __future__ import annotations

import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, cast

import pytest

from pytest_ari_sla.media.caller_worker import CallerWorker
from pytest_ari_sla.media.transport import MediaSite
from pytest_ari_sla.session.plugins.registry import builtin_registry
from pytest_ari_sla.udp.datagrams import SO_TIMESTAMPNS
from pytest_ari_sla.udp.port_leases import PortManager
from tests.benchmarks.caller import RECORD_OFFSET
from tests.benchmarks.stream_caller import StreamReflectorError
from tests.unit.stream_media.peers import connect_to, finish, plan_for

if TYPE_CHECKING:
    from pytest_ari_sla.stream_media.transport import StreamEndpoint

FRAMES = 100
HELD_S = 0.003


def reflect(peer: socket.socket, done: threading.Event) -> None:
    """Hold each frame for a while, and send it back with a record of when it came and when it went."""
    waiting = b""
    while not done.is_set():
        data, ancillary, _, _ = peer.recvmsg(4096, 64)  # silence comes as long as there is a connection
        came_ns = time.time_ns()
        for _, kind, value in ancillary:
            if kind == SO_TIMESTAMPNS:
                seconds, ns = struct.unpack("@qq", value[:16])
                came_ns = seconds * 1_000_000_000 + ns
        waiting += data
        while len(waiting) >= 3 and len(waiting) >= (end := 3 + int.from_bytes(waiting[1:3], "big")):
            message, waiting = bytearray(waiting[:end]), waiting[end:]
            time.sleep(HELD_S)
            at = 3 + RECORD_OFFSET
            message[at : at + 16] = struct.pack("=qq", came_ns, time.time_ns())
            peer.sendall(message)


async def test_round_trips_agree_with_the_peers_own_record() -> None:
    """It holds frames for 3 ms, which are in the round trip; less its record, next to nothing is left."""
    registry = builtin_registry()
    with PortManager(host="127.0.0.1") as ports:
        trackers = [*registry.trackers.values(), StreamReflectorError(swapped=True)]
        transport, site = registry.transport("audiosocket"), MediaSite("127.0.0.1", ports)
        async with CallerWorker(plan_for("audiosocket", 1), transport, site, trackers) as caller:
            endpoint = cast("StreamEndpoint", caller.take_call()[0])
            assert endpoint.offer.data is not None
            with connect_to(endpoint.offer.external_host) as peer:
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peer.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
                peer.sendall(b"\x01\x00\x10" + bytes.fromhex(endpoint.offer.data.replace("-", "")))
                done = threading.Event()
                reflecting = threading.Thread(target=reflect, args=(peer, done))
                reflecting.start()
                caller.start_leg(endpoint, "", FRAMES)
                await finish(caller, [endpoint], FRAMES)
                done.set()
                reflecting.join()
    total = caller.snapshot()
    assert total.histogram("rtt").percentile(50) >= HELD_S * 1e9
    # Most frames, on whatever machine: of those that the peer read together, it knows of the last one only.
    assert 0 <= total.histogram("reflector_error").percentile(50) < 2_000_000
    assert total.histogram("reflector_error").count == pytest.approx(FRAMES, abs=FRAMES // 2)
