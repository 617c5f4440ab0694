"""The program ``ari-sla bot``."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from pytest_ari_sla.ari.endpoint import AriEndpoint, parse_ari_url
from pytest_ari_sla.ari_client.faults import error_of_answer, error_of_failure
from pytest_ari_sla.bot.application import BotCrashed, BotPlan, VoiceBot
from pytest_ari_sla.bot.media import TRANSPORTS
from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.metrics.units import parse_duration_ns

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FAULTS", "main", "with_fault"]

FAULTS = {
    "slow:TIME": "answer later by this time",
    "silence": "answer calls, and say nothing",
    "hang-up:TIME": "hang up so long after the answer",
    "ignore-barge-in": "speak on when interrupted",
    "leak": "leave channels and bridges behind",
    "crash:N": "die with the Nth call",
    "clip:TIME": "with --echo: swallow the beginning of whatever callers say",
}

_CRASHED = 3
_CONNECT_S = 300.0  # aiohttp's own limit


def main(argv: Sequence[str]) -> int:
    """Run the bot until Ctrl-C, or until Asterisk ends the connection; return the exit code."""
    arguments = _parser().parse_args(argv)
    if not arguments.url:
        raise UsageError("which Asterisk? ari-sla bot URL, or ARI_URL in the environment")
    endpoint = parse_ari_url(arguments.url)
    user, password = endpoint.user or arguments.ari_user, endpoint.password or arguments.ari_password
    plan = BotPlan(
        endpoint.base_url,
        user,
        password,
        arguments.app,
        host=arguments.host,
        transport=arguments.transport,
        echoes=arguments.echo,
    )
    for fault in arguments.fault:
        plan = with_fault(plan, fault)
    with ExitStack() as stack:
        log = sys.stdout if arguments.log is None else stack.enter_context(arguments.log.open("w", encoding="utf-8"))
        try:
            asyncio.run(_take_calls(VoiceBot(plan, log), endpoint))
        except* BotCrashed as crash:
            sys.stderr.write(f"{crash.exceptions[0]}\n")
            os._exit(_CRASHED)
    return 0


async def _take_calls(bot: VoiceBot, endpoint: AriEndpoint) -> None:
    """Run the bot; an Asterisk that does not let it in is named as for a load."""
    try:
        await bot.run()
    except aiohttp.WSServerHandshakeError as refused:
        raise error_of_answer(endpoint, "GET", "/events", refused.status, b"") from refused
    except aiohttp.ClientError as failure:
        raise error_of_failure(failure, endpoint, "GET /events", _CONNECT_S) from failure


def with_fault(plan: BotPlan, fault: str) -> BotPlan:
    """Return a plan with a fault, as the command line names it.

    Raises
    ------
    UsageError
        There is none of that name, or its value cannot be read.
    """
    name, _, value = fault.partition(":")
    manners = plan.manners
    match name:
        case "slow":
            return replace(
                plan, manners=replace(manners, answer_after_ns=manners.answer_after_ns + parse_duration_ns(value))
            )
        case "silence":
            return replace(plan, manners=replace(manners, is_silent=True))
        case "ignore-barge-in":
            return replace(plan, manners=replace(manners, ignores_barge_in=True))
        case "hang-up":
            return replace(plan, hang_up_after_s=parse_duration_ns(value) / 1e9)
        case "leak":
            return replace(plan, leaks=True)
        case "clip" if plan.echoes:
            return replace(plan, clips_ns=parse_duration_ns(value))
        case "crash" if value.isdecimal():
            return replace(plan, crashes_after=int(value))
    raise UsageError(f"--fault {fault}: there are {', '.join(FAULTS)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ari-sla bot",
        description="A voice bot to try scripts on: greets, listens, answers, and stops when it is interrupted.",
    )
    parser.add_argument("url", metavar="URL", nargs="?", default=os.environ.get("ARI_URL"), help="ARI; or ARI_URL")
    parser.add_argument("--ari-user", default=os.environ.get("ARI_USER", ""), metavar="NAME", help="user; or ARI_USER")
    parser.add_argument(
        "--ari-password", default=os.environ.get("ARI_PASSWORD", ""), metavar="TEXT", help="password; or ARI_PASSWORD"
    )
    parser.add_argument("--app", default="bot", metavar="NAME", help="the Stasis application that it is (default: bot)")
    parser.add_argument(
        "--echo", action="store_true", help="send back what callers say at once, as load(calibrate=…) wants it"
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address of its media (default: 127.0.0.1)")
    parser.add_argument(
        "--transport", choices=TRANSPORTS, default="rtp", help="what its media travels by (default: rtp)"
    )
    parser.add_argument(
        "--log", type=Path, metavar="FILE", help="where it tells what it hears and says; default: stdout"
    )
    faults = "; ".join(f"{name}: {text}" for name, text in FAULTS.items())
    parser.add_argument("--fault", action="append", default=[], metavar="FAULT", help=faults)
    return parser
