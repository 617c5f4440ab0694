"""The simulator as a program of its own: ``python -m pytest_ari_sla.targets.simulator``, or ``ari-sla simulator``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import secrets
import signal
import socket
import sys
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from aiohttp import web

from pytest_ari_sla.arguments import argument, parse_port, parse_port_range
from pytest_ari_sla.errors import MediaLoopFailed, UsageError
from pytest_ari_sla.targets.simulator.api.description import operations_table
from pytest_ari_sla.targets.simulator.api.routes import ROUTES
from pytest_ari_sla.targets.simulator.api.server import SimulatorServer
from pytest_ari_sla.targets.simulator.faults import FAULTS_PATH, Faults
from pytest_ari_sla.targets.simulator.media.process import MediaProcess
from pytest_ari_sla.targets.simulator.pbx.pbx import Pbx
from pytest_ari_sla.targets.simulator.pbx.state import PbxState

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["add_arguments", "main", "run"]

_SHUTDOWN_S = 0.3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the simulator's options to a parser."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=argument(parse_port), default=8088, help="port of ARI, 0 for a free one (default: %(default)s)"
    )
    parser.add_argument("--user", default="asterisk", help="ARI user (default: %(default)s)")
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE", help="file with the ARI password (default: a new one, printed)"
    )
    parser.add_argument(
        "--rtp-ports",
        type=argument(parse_port_range),
        default="30000-39999",
        metavar="LOW-HIGH",
        help="ports for RTP (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="start of the ids that it makes up")
    parser.add_argument(
        "--fault", action="append", default=[], metavar="NAME=VALUE", help="something that is to go wrong; repeatable"
    )
    parser.add_argument("--operations", action="store_true", help="print which operations there are, and end")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulator until it is interrupted; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="ari-sla simulator",
        description="An ARI server that behaves as Asterisk does. It is a simulator: no telephone is ever reached.",
    )
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def run(options: argparse.Namespace) -> int:
    """Run the simulator with parsed options; return the exit status."""
    if options.operations:
        sys.stdout.write(operations_table(ROUTES))
        return 0
    try:
        faults = Faults().with_values(dict(fault.partition("=")[::2] for fault in options.fault))
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    try:
        asyncio.run(_serve(options, faults, options.rtp_ports))
    except MediaLoopFailed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except OSError as error:
        what = error.filename or f"{options.host}:{options.port}"
        sys.stderr.write(f"the simulator cannot start: {what}: {error.strerror}\n")
        return 1
    return 0


async def _serve(options: argparse.Namespace, faults: Faults, ports: tuple[int, int]) -> None:
    """Listen until SIGTERM or SIGINT.

    Raises
    ------
    MediaLoopFailed
        If the media process dies before.
    """
    loop, stopped, media_died = asyncio.get_running_loop(), asyncio.Event(), False
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    given = options.password_file.read_text().strip() if options.password_file else ""

    def listen(server: SimulatorServer) -> None:
        nonlocal media_died
        news = media.take_news()
        for word, channel_id in news or ():
            server.hear_media(word, channel_id)
        if news is None:
            media_died = True
            stopped.set()

    password = given or secrets.token_urlsafe(12)
    with contextlib.ExitStack() as stack:
        # First, so that a taken port costs no process. 512: Asterisk's 10 (main/tcptls.c) delay bursts by a second.
        listener = stack.enter_context(socket.create_server((options.host, options.port), backlog=512))
        media = stack.enter_context(MediaProcess(options.host, ports, options.seed))
        state = PbxState(Random(options.seed), media, epoch_ns=time.time_ns())
        server = SimulatorServer(Pbx(state), options.user, password, faults, media.set_faults)
        runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            _announce(listener, options.user, "" if given else password)
            loop.add_reader(media.fileno(), listen, server)
            await stopped.wait()
        finally:
            loop.remove_reader(media.fileno())
            await runner.cleanup()
    if media_died:
        raise MediaLoopFailed("the simulator's media process died")


def _announce(listener: socket.socket, user: str, password: str) -> None:
    """Say what this is, and where; a password is printed only if it was made up here."""
    host, port = listener.getsockname()[:2]
    credentials = f"{user}:{password}@" if password else f"{user}@"
    sys.stdout.write(
        f"SIMULATOR of Asterisk's ARI: no telephone is ever reached.\n"
        f"ARI:    http://{credentials}{host}:{port}/ari\n"
        f"Faults: http://{host}:{port}{FAULTS_PATH}\n"
    )
    # Into a file, as `SimulatorProcess` reads it, text would wait until a whole block is there.
    sys.stdout.flush()
