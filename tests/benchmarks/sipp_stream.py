"""SIPp's ``rtp_stream`` against a reflector: prints what it cost, and how much of its schedule it sent.

Usage: ``python -m tests.benchmarks.sipp_stream CALLS SECONDS PORT PORTS ANSWERER_CORE``. SIPp plays a file and reads
nothing of what comes back: the kernel drops that. A second SIPp answers the calls, on a core of its own. One line of
JSON comes out.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.processor_time import used_s

SCENARIOS = Path(__file__).parent / "sipp"
CALLS_PER_SECOND = 200
SETTLE_S = 2.0
PACKETS_PER_SECOND = 50
FRAMES, FRAME_BYTES = 400, 160
FIRST_MEDIA_PORT = 20_000


def free_port() -> int:
    """Return a UDP port that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        port: int = udp.getsockname()[1]
        return port


def datagrams_sent() -> int:
    """Return how many UDP datagrams this machine has sent, ever."""
    names, values = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line[:4] == "Udp:")
    return int(values[names.index("OutDatagrams")])


def start(stack: ExitStack, folder: Path, command: list[str]) -> subprocess.Popen[bytes]:
    """Start a SIPp that ends with the stack."""
    quiet = [*command, "-i", "127.0.0.1", "-nostdin"]
    process = stack.enter_context(subprocess.Popen(quiet, cwd=folder, stdout=subprocess.DEVNULL))
    stack.callback(process.kill)
    return process


def run(calls: int, seconds: float, port: int, ports: int, answerer_core: int) -> dict[str, float]:
    """Stream, and return the figures."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        lines = ["SEQUENTIAL", *(str(port + 2 * number) for number in range(ports))]
        (folder / "ports.csv").write_text("\n".join(lines) + "\n")
        (folder / "audio.ulaw").write_bytes(b"\xd5" * FRAMES * FRAME_BYTES)
        answering, calling = free_port(), free_port()
        answer = ["sipp", "-sf", str(SCENARIOS / "answerer.xml"), "-inf", "ports.csv", "-p", str(answering)]
        start(stack, folder, ["taskset", "-c", str(answerer_core), *answer, "-mp", str(FIRST_MEDIA_PORT - 100)])
        time.sleep(0.5)
        call = ["sipp", f"127.0.0.1:{answering}", "-sf", str(SCENARIOS / "caller.xml"), "-p", str(calling)]
        limits = ["-m", str(calls), "-l", str(calls), "-r", str(CALLS_PER_SECOND)]
        media = ["-mi", "127.0.0.1", "-mp", str(FIRST_MEDIA_PORT)]
        caller = start(stack, folder, [*call, *limits, *media])
        time.sleep(calls / CALLS_PER_SECOND + SETTLE_S)
        used_before_s, sent_before = used_s(caller.pid), datagrams_sent()
        time.sleep(seconds)
        cost_s, sent = used_s(caller.pid) - used_before_s, datagrams_sent() - sent_before
        if caller.poll() is not None:
            message = f"SIPp ended with code {caller.returncode}"
            raise RuntimeError(message)
    due = calls * seconds * PACKETS_PER_SECOND
    # The reflector sends as many as it gets.
    return {"cpu_us_per_call_second": cost_s * 1e6 / calls / seconds, "sent_share": min(sent / 2 / due, 1.0)}


if __name__ == "__main__":
    count, duration, first, number, core = sys.argv[1:6]
    sys.stdout.write(json.dumps(run(int(count), float(duration), int(first), int(number), int(core))) + "\n")
