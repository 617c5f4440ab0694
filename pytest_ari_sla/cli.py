"""The command ``ari-sla``: the parts of the tool that run by themselves."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING

from pytest_ari_sla import __version__
from pytest_ari_sla.errors import SlaError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_COMMANDS = {
    "echo": ("pytest_ari_sla.load.echo_server", "send every packet back, with faults on request"),
    "relay": ("pytest_ari_sla.load.relay_worker", "forward calls to an echo server, and measure that leg"),
}
"""Commands that are programs of their own: a module with ``main(argv)``, and what they do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0, 1 for a failure, 2 for a wrong command line."""
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    try:
        if arguments.command in _COMMANDS:
            module = importlib.import_module(_COMMANDS[arguments.command][0])
            return int(module.main(rest))
        if rest:
            parser.error(f"unknown arguments: {' '.join(rest)}")
        return int(arguments.run(arguments))
    except SlaError as error:
        print(f"ari-sla: {error} (at fault: {error.culprit})", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ari-sla", description="Load and SLA tests of Asterisk and ARI applications")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, text) in _COMMANDS.items():
        commands.add_parser(name, help=text, add_help=False)
    asterisk = commands.add_parser("asterisk", help="run a private Asterisk until Ctrl-C")
    asterisk.add_argument("path", help="a binary, or the root folder of a file system that holds one")
    asterisk.add_argument("--port", type=int, help="port of ARI; default: a free one")
    asterisk.set_defaults(run=_run_asterisk)
    doctor = commands.add_parser("doctor", help="measure what this machine can tell and can carry")
    doctor.set_defaults(run=_examine)
    metrics = commands.add_parser("metrics", help="list all metrics")
    metrics.set_defaults(run=_list_metrics)
    return parser


def _run_asterisk(arguments: argparse.Namespace) -> int:
    from threading import Event

    from pytest_ari_sla.targets.private_asterisk import PrivateAsterisk

    with PrivateAsterisk(arguments.path, ari_port=arguments.port) as asterisk:
        scheme, _, rest = asterisk.url.partition("://")
        address = rest.removesuffix("/ari")
        print(f"Asterisk {asterisk.version} answers; Ctrl-C ends it.")
        print(f"  pytest --ari-url {scheme}://{asterisk.user}:{asterisk.password}@{address} scenarios/", flush=True)
        ended = Event()
        while asterisk.alive and not ended.wait(0.5):
            pass
        asterisk.ensure_alive()
    return 0


def _examine(_: argparse.Namespace) -> int:
    from pytest_ari_sla.load.calibration import calibrate
    from pytest_ari_sla.targets.preflight import read_machine
    from pytest_ari_sla.transport.pacing_timer import may_use_realtime

    machine = read_machine()
    result = calibrate()
    options = result.options
    rows = (
        ("clock floor", f"{result.clock_floor.percentile(50)} ns between two readings (p50)"),
        ("loopback floor", f"{result.loopback.percentile(50) / 1e3:.1f} µs for one packet, one way (p50)"),
        ("packets", f"{result.packets_per_second:,.0f} per second sent and received by one core"),
        ("calls", f"at most {result.sustainable_calls:,} two-way calls at 20 ms per core; plan for 70 % of it"),
        ("back end", result.backend),
        ("kernel time stamps", "yes" if options.kernel_time else "NO: delays include our own reading"),
        ("receive buffer", f"{options.buffer_bytes:,} bytes granted"),
        ("real-time priority", "allowed" if may_use_realtime() else "not allowed (root or CAP_SYS_NICE)"),
        ("open files", f"{machine.open_files:,} at most"),
        ("ports of the kernel", f"{machine.kernel_ports[0]}-{machine.kernel_ports[1]}"),
    )
    for name, value in rows:
        print(f"{name:<20} {value}")
    return 0


def _list_metrics(_: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from pytest_ari_sla.roles.registry import builtin_registry

    table = Table("Metric", "Kind", "Unit", "Meaning", box=None)
    for metric in builtin_registry().catalogue:
        table.add_row(metric.name, metric.kind, metric.unit, metric.description)
    Console().print(table)
    return 0
