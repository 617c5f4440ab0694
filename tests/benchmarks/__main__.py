"""The benchmark of the media path: ``python -m tests.benchmarks``; ``--help`` tells more.

Runs, in turns and within one session, our caller (every packet measured by all built-in trackers, and by two of them
only), a C program that does the same paced work without measuring (the limit of what the kernel's interface allows),
the plain asyncio way, and SIPp where it is installed; each pinned to the first core, with a reflector in C on the
second. ``--transport`` does so for streams, where the reflector plays an Asterisk that connects. Prints the medians and
the ratios. Times of single runs on a shared machine mean little; ratios within one session do.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
GENERATOR_CORE, REFLECTOR_CORE = 0, 1
FIRST_PORT, PORTS = 61_000, 256  # above those that the kernel gives out, and those of a private Asterisk
HELD_LATE_SHARE = 0.001
LIMIT, OURS, ASYNCIO = "C, measuring nothing", "pytest-ari-sla", "plain asyncio"
OURS_SIGNALLING = "… and 50 set-ups/s"
OURS_LEAN = "… two trackers only"
SIPP = "SIPp, reading nothing"
LEAN_TRACKERS = "sequence,latency"
MOST_FOR_TRACKERS = 1.5
"""With all built-in trackers our caller costs at most so many times what it costs with two."""
ASYNCIO_MOST_CALLS = 500
MEDIA = {
    "rtp": "20 ms G.711 over RTP",
    "audiosocket": "20 ms L16 over AudioSocket",
    "websocket": "20 ms G.711 over WebSockets",
}

Figures = dict[str, float]


def compile_native(folder: Path) -> None:
    """Compile the C programs into a folder."""
    for source in (HERE / "native").glob("*.c"):
        command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(folder / source.stem), str(source)]
        subprocess.run(command, check=True)


class Bench:
    """Runs one program at a time against the reflector.

    Parameters
    ----------
    native
        Where the C programs are.
    seconds
        How long each streams.
    transport
        What it streams over.
    ari_url
        An ARI to set channels up at, meanwhile; None for none.
    """

    def __init__(self, native: Path, seconds: float, transport: str, ari_url: str | None = None) -> None:
        self._native = native
        self._seconds = seconds
        self._transport = transport
        self._ari_url = ari_url

    def designs(self, calls: int) -> list[str]:
        """Return what is compared at so many calls."""
        among = [ASYNCIO] if calls <= ASYNCIO_MOST_CALLS else []
        if self._transport != "rtp":
            return [LIMIT, OURS, *among]
        signalling = [OURS_SIGNALLING] if self._ari_url else []
        return [LIMIT, OURS, OURS_LEAN, *signalling, *([SIPP] if shutil.which("sipp") else []), *among]

    def run(self, design: str, calls: int) -> Figures:
        """Return the figures of one run of a design."""
        reflector = self._start_reflector()
        try:
            command = _pinned(GENERATOR_CORE, self._command(design, calls))
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        finally:
            reflector.terminate()
            reflector.communicate()
        figures: Figures = json.loads(output)
        return figures

    def _command(self, design: str, calls: int) -> list[str]:
        if self._transport != "rtp":
            arguments = [self._transport, str(calls), str(self._seconds), str(FIRST_PORT)]
            return {
                LIMIT: [str(self._native / "paced_streams"), *arguments],
                OURS: [sys.executable, "-m", "tests.benchmarks.stream_caller", *arguments],
                ASYNCIO: [sys.executable, "-m", "tests.benchmarks.plain_asyncio_streams", *arguments],
            }[design]
        arguments = [str(calls), str(self._seconds), str(FIRST_PORT), str(PORTS)]
        caller = [sys.executable, "-m", "tests.benchmarks.caller", *arguments]
        return {
            LIMIT: [str(self._native / "paced_limit"), *arguments],
            OURS: caller,
            OURS_SIGNALLING: [*caller, "--ari", str(self._ari_url)],
            OURS_LEAN: [*caller, "--trackers", LEAN_TRACKERS],
            SIPP: [sys.executable, "-m", "tests.benchmarks.sipp_stream", *arguments, str(_core(REFLECTOR_CORE))],
            ASYNCIO: [sys.executable, "-m", "tests.benchmarks.plain_asyncio", *arguments],
        }[design]

    def _start_reflector(self) -> subprocess.Popen[str]:
        of_packets = ["reflector", str(FIRST_PORT), str(PORTS)]
        name, *arguments = of_packets if self._transport == "rtp" else ["stream_reflector", str(FIRST_PORT)]
        command = [str(self._native / name), *arguments, str(self._seconds + 30)]
        reflector = subprocess.Popen(_pinned(REFLECTOR_CORE, command), stdout=subprocess.PIPE, text=True)
        assert reflector.stdout is not None
        reflector.stdout.readline()
        return reflector


def _pinned(core: int, command: Sequence[str]) -> list[str]:
    return ["taskset", "-c", str(_core(core)), *command]


def _core(core: int) -> int:
    return core % (os.cpu_count() or 1)


def is_held(figures: Figures) -> bool:
    """Tell whether a run kept its schedule: at most 0.1 % of packets more than 5 ms late, no drop of its own.

    SIPp does not know when it sent; it must at least have sent all.
    """
    if "sent_share" in figures:
        return figures["sent_share"] >= 1 - HELD_LATE_SHARE
    return figures["late"] <= HELD_LATE_SHARE * figures["sent"] and not figures.get("receive_drops", 0)


def compare(bench: Bench, calls: int, rounds: int) -> list[tuple[str, Figures, str]]:
    """Run all designs in turns; return each with its medians, and how many of its runs were held."""
    designs = bench.designs(calls)
    runs: dict[str, list[Figures]] = {design: [] for design in designs}
    for _ in range(rounds):
        for design in designs:
            runs[design].append(bench.run(design, calls))
            time.sleep(0.5)
    return [(design, _median(runs[design]), f"{sum(map(is_held, runs[design]))}/{rounds}") for design in designs]


def _median(runs: list[Figures]) -> Figures:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def show(calls: int, transport: str, rows: list[tuple[str, Figures, str]]) -> None:
    """Print a table of one number of calls."""
    limit = figures_of(rows, LIMIT)
    sys.stdout.write(f"\n{calls:,} two-way calls of {MEDIA[transport]} on one core\n")
    sys.stdout.write(
        f"{'design':<22}{'µs CPU per call-second':>24}{'ratio':>8}{'held':>7}   measured against reflector\n"
    )
    for design, figures, held in rows:
        cost = figures["cpu_us_per_call_second"]
        error = (
            f"RTT off by {figures['error_p50_us']:.0f} µs p50, {figures['error_p99_us']:.0f} µs p99"
            if "error_p50_us" in figures
            else "-"
        )
        sys.stdout.write(f"{design:<22}{cost:>24.0f}{cost / limit:>8.2f}{held:>7}   {error}\n")
    sys.stdout.flush()
    if transport != "rtp":
        return
    share = figures_of(rows, OURS) / figures_of(rows, OURS_LEAN)
    sys.stdout.write(
        f"All built-in trackers cost {share:.2f} times {LEAN_TRACKERS.replace(',', ' and ')} alone "
        f"(at most {MOST_FOR_TRACKERS}: {'held' if share <= MOST_FOR_TRACKERS else 'BROKEN'})\n"
    )
    sys.stdout.flush()


def figures_of(rows: list[tuple[str, Figures, str]], wanted: str) -> float:
    """Return what a design costs in a table: CPU for a second of a call, in µs."""
    return next(figures for design, figures, _ in rows if design == wanted)["cpu_us_per_call_second"]


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("calls", nargs="*", type=int, default=[500, 2000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--transport", choices=sorted(MEDIA), default="rtp", help="what calls travel over")
    parser.add_argument("--asterisk", help="a binary or root folder: also with channel set-ups on a private Asterisk")
    arguments = parser.parse_args()
    if shutil.which("gcc") is None or shutil.which("taskset") is None:
        parser.error("this needs gcc and taskset (Debian: gcc libc6-dev util-linux)")
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        compile_native(Path(folder))
        url = None
        if arguments.asterisk:
            asterisk = stack.enter_context(PrivateAsterisk(arguments.asterisk))
            url = asterisk.url.replace("://", f"://{asterisk.user}:{asterisk.password}@")
        bench = Bench(Path(folder), arguments.seconds, arguments.transport, url)
        for calls in arguments.calls:
            show(calls, arguments.transport, compare(bench, calls, arguments.rounds))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
