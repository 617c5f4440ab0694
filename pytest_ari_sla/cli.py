"""The command ``ari-sla``: the parts of the tool that run by themselves."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_ari_sla import __version__
from pytest_ari_sla.arguments import argument, parse_port, parse_secret_file
from pytest_ari_sla.blame.sentences import at_fault
from pytest_ari_sla.errors import SlaError, UsageError
from pytest_ari_sla.reporting.wording.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_COMMANDS = {
    "bot": ("pytest_ari_sla.bot.program", "a voice bot to try scripts on"),
    "echo": ("pytest_ari_sla.peers.echo.echo_server", "send every packet back, with faults on request"),
    "relay": ("pytest_ari_sla.peers.relay.relay_worker", "forward calls to an echo server, and measure that leg"),
    "simulator": ("pytest_ari_sla.targets.simulator.program", "simulate ARI and media, for tests of tests"),
}
"""Commands that are programs of their own: a module with ``main(argv)``, and what they do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0, 1 for a failure, 2 for a wrong command line."""
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)  # what follows a program's name is for that to read
    try:
        if arguments.command in _COMMANDS:
            module = importlib.import_module(_COMMANDS[arguments.command][0])
            return int(module.main(rest))
        if rest:
            parser.error(f"unknown arguments: {' '.join(rest)}")
        code = int(arguments.run(arguments))
        sys.stdout.flush()  # here, where a broken pipe is caught, and not at exit
        return code
    except UsageError as error:
        print(f"ari-sla: {error}", file=sys.stderr)
        return 2
    except SlaError as error:
        print(f"ari-sla: {at_fault(str(error), error.culprit)}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read, such as `head`, has seen enough; at exit, Python would flush into the pipe once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"ari-sla: {where}{error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130  # 128 + SIGINT, as shells tell it


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ari-sla", description="Load and SLA tests of Asterisk and ARI applications")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, text) in _COMMANDS.items():
        commands.add_parser(name, help=text, add_help=False)
    asterisk = commands.add_parser("asterisk", help="run a private Asterisk until Ctrl-C")
    asterisk.add_argument("path", help="a binary, or the root folder of a file system that holds one")
    asterisk.add_argument(
        "--port", type=argument(partial(parse_port, lowest=1)), help="port of ARI; default: a free one"
    )
    asterisk.set_defaults(run=_run_asterisk)
    sweep = commands.add_parser("sweep", help="remove what dead runs left at an Asterisk")
    _add_sweep_arguments(sweep)
    demo = commands.add_parser("demo", help="make first calls, on the simulator, and a report")
    demo.add_argument("--asterisk", type=Path, metavar="PATH", help="on a private Asterisk of this binary or folder")
    where = Path("reports/demo")
    demo.add_argument("--report", type=Path, default=where, metavar="FOLDER", help="default: %(default)s")
    demo.set_defaults(run=_run_demo)
    doctor = commands.add_parser("doctor", help="measure what this machine can tell and can carry")
    doctor.set_defaults(run=_examine)
    metrics = commands.add_parser("metrics", help="list all metrics")
    metrics.set_defaults(run=_list_metrics)
    _add_report_commands(commands.add_parser("report", help="render, merge or compare stored reports"))
    init = commands.add_parser("init", help="write a first scenario, and a CI job around it")
    init.add_argument("folder", nargs="?", type=Path, default=Path(), help="default: here")
    init.add_argument("--ci", default="github", help="github, gitlab or none (default: %(default)s)")
    init.add_argument(
        "--containers", action="store_true", help="instead, files for containers: load generator and Asterisk"
    )
    init.set_defaults(run=_write_project)
    new = commands.add_parser("new", help="write a package that adds a tracker, codec or topology")
    new.add_argument("kind", help="tracker, codec or topology")
    new.add_argument("name", help="lower-case words joined by '-', such as packet-size")
    new.add_argument("--in", dest="folder", type=Path, default=Path(), metavar="FOLDER", help="default: here")
    new.set_defaults(run=_write_plugin)
    return parser


def _add_report_commands(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    render = actions.add_parser("render", help="make HTML and Markdown anew from report.json")
    render.add_argument("folder", type=Path, help="folder of a report")
    render.set_defaults(run=_render_report)
    merge = actions.add_parser("merge", help="make one report of several runs, such as the jobs of a CI matrix")
    merge.add_argument("folders", type=Path, nargs="+", metavar="folder", help="folders of reports")
    merge.add_argument("--output", "-o", type=Path, required=True, metavar="FOLDER", help="folder of the new report")
    merge.set_defaults(run=_merge_reports)
    for action in (render, merge):
        action.add_argument("--templates", type=Path, metavar="FOLDER", help="your own templates")
    compare = actions.add_parser("compare", help="tell what became better or worse; ends with 1 if anything is worse")
    compare.add_argument("before", type=Path, help="report of the earlier run: its folder, or report.json")
    compare.add_argument("after", type=Path, help="report of the later run")
    compare.add_argument("--max-regression", default="10%", metavar="SHARE", help="change that is accepted (10%%)")
    compare.add_argument(
        "--floor", default="100us", metavar="TIME", help="time that a figure may get worse by in any case (100us)"
    )
    compare.add_argument(
        "--output", "-o", type=Path, metavar="FOLDER", help="write the later report with the comparison"
    )
    compare.set_defaults(run=_compare_reports)


def _add_sweep_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Remove channels, bridges and recordings of runs that are dead; those of live runs stay."
    parser.add_argument("url", metavar="URL", nargs="?", default=os.environ.get("ARI_URL"), help="ARI; or ARI_URL")
    parser.add_argument("--ari-user", metavar="NAME", default=os.environ.get("ARI_USER"), help="user; or ARI_USER")
    parser.add_argument("--ari-password-file", metavar="FILE", help="file of the password; or ARI_PASSWORD")
    parser.add_argument("--ari-ca-file", metavar="FILE", help="CA that signed the certificate of an https target")
    parser.add_argument("--ari-tls-verify", choices=("yes", "no"), default="yes", help="check the certificate")
    parser.add_argument("--run", dest="only", metavar="sla-ID", help="this run only, even if it seems to live")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.set_defaults(run=_sweep)


def _sweep(arguments: argparse.Namespace) -> int:
    from pytest_ari_sla.ari_client.removal.leftovers import sweep_dead_runs
    from pytest_ari_sla.ari_client.removal.sweep import Sweeper
    from pytest_ari_sla.ari_client.tls import tls_context
    from pytest_ari_sla.settings import TlsTrust
    from pytest_ari_sla.targets.external import external_target

    if not arguments.url:
        raise UsageError("no target: give its URL, or ARI_URL")
    password = os.environ.get("ARI_PASSWORD")
    if arguments.ari_password_file is not None:
        try:
            password = parse_secret_file(arguments.ari_password_file)
        except (UsageError, OSError) as error:
            raise UsageError(f"--ari-password-file: {error}") from error
    # Nothing is sent to a media address here: any will do.
    target = external_target(arguments.url, user=arguments.ari_user, password=password, media_host="127.0.0.1")
    trust = TlsTrust(arguments.ari_ca_file, verify=arguments.ari_tls_verify == "yes")
    sweeper = Sweeper(target.endpoint, tls_context(trust))
    told = sweep_dead_runs(sweeper, only=arguments.only, dry_run=arguments.dry_run)
    for run in told:
        print(run.sentence)
    if not told:
        print("nothing of this tool is left there")
    return int(any(run.left for run in told))


def _run_asterisk(arguments: argparse.Namespace) -> int:
    from threading import Event

    from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk

    with PrivateAsterisk(arguments.path, ari_port=arguments.port) as asterisk:
        scheme, _, rest = asterisk.url.partition("://")
        address = rest.removesuffix("/ari")
        print(f"Asterisk {asterisk.version} answers; Ctrl-C ends it.")
        # Flushed: a script may read it from a pipe.
        print(f"  pytest --ari-url {scheme}://{asterisk.user}:{asterisk.password}@{address} scenarios/", flush=True)
        ended = Event()
        while asterisk.alive and not ended.wait(0.5):
            pass
        asterisk.ensure_alive()
    return 0


def _run_demo(arguments: argparse.Namespace) -> int:
    from pytest_ari_sla.scaffold.demo import run_demo

    return run_demo(arguments.report, arguments.asterisk)


def _examine(_: argparse.Namespace) -> int:
    import asyncio

    from pytest_ari_sla.session.machine.doctor import examine

    print("Measuring this machine takes half a minute …", file=sys.stderr, flush=True)
    for name, value in asyncio.run(examine()):
        print(f"{name:<20} {value}")
    return 0


def _list_metrics(_: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from pytest_ari_sla.session.plugins.registry import builtin_registry

    table = Table("Metric", "Kind", "Unit", "Meaning", box=None)
    for metric in builtin_registry().catalogue:
        table.add_row(metric.name, metric.kind, metric.unit, metric.definition)
    # In a pipe there is no width to keep to: every metric is one line, as grep wants it.
    Console(width=None if sys.stdout.isatty() else 1000).print(table)
    return 0


def _render_report(arguments: argparse.Namespace) -> int:
    from pytest_ari_sla.reporting.report_folder import render

    return _name_files(render(arguments.folder, arguments.templates))


def _merge_reports(arguments: argparse.Namespace) -> int:
    from pytest_ari_sla.reporting.report_folder import merge

    return _name_files(merge(arguments.folders, arguments.output, arguments.templates))


def _compare_reports(arguments: argparse.Namespace) -> int:
    from pytest_ari_sla.metrics.units import parse_duration_ns, parse_share
    from pytest_ari_sla.reporting.comparison import compare_runs
    from pytest_ari_sla.reporting.places import check_folder
    from pytest_ari_sla.reporting.record.record_file import read_record
    from pytest_ari_sla.reporting.report_folder import write_reports
    from pytest_ari_sla.session.plugins.registry import builtin_registry

    before, after = read_record(arguments.before), read_record(arguments.after)
    if arguments.output is not None:
        check_folder(arguments.output)
    allowed = parse_share(arguments.max_regression)
    floor_s = parse_duration_ns(arguments.floor) / 1e9
    compared = compare_runs(before, after, builtin_registry().catalogue, allowed, floor_s)
    if arguments.output is not None:
        _name_files(write_reports(compared, arguments.output))
    found = {scenario.nodeid: scenario.baseline for scenario in compared.scenarios if scenario.baseline is not None}
    if not found:
        raise UsageError("these reports have no scenario in common")
    for nodeid, baseline in found.items():
        print(clean(nodeid))
        for item in baseline.comparisons:
            print(f"  {clean(item.sentence)}")
    return int(any(item.verdict == "worse" for baseline in found.values() for item in baseline.comparisons))


def _write_project(arguments: argparse.Namespace) -> int:
    from pytest_ari_sla.scaffold.project import write_containers, write_project

    if arguments.containers:
        _name_files(write_containers(arguments.folder))
        print("Try it: ARI_PASSWORD=… docker compose up --build --exit-code-from load")
        return 0
    _name_files(write_project(arguments.folder, arguments.ci))
    print("Try it: pytest scenarios/")
    return 0


def _write_plugin(arguments: argparse.Namespace) -> int:
    from pytest_ari_sla.scaffold.skeleton import write_skeleton

    return _name_files(write_skeleton(arguments.kind, arguments.name, arguments.folder))


def _name_files(paths: Sequence[Path]) -> int:
    for path in paths:
        print(path)
    return 0
