"""What a report says of a voice bot, held to what the bot itself says: ``python -m tests.voice_bot_times FOLDER``.

FOLDER holds a provisioned Asterisk. Callers with a script talk to ``ari-sla bot``, 50 at a time, by a Local channel and
by SIP. Each greeting, turn and barge-in must be that of the bot's log but for a frame and 5 ms, at p99; and a bot that
answers 300 ms later must be 300 ± 10 ms later in the report. What is left of a turn without the media path's share (by
calls to ``ari-sla bot --echo`` before the load) must be the bot's own but for that frame and 5 ms, at p50.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
from tests.asterisk.test_voice_bot import CALLERS, FRAME_NS, TOLERANCE_NS, call_bot, differences_ns
from tests.voice_bot import BotProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

SLOWER_MS = 300
SLOWER_BY_MS = 10


def talk(
    asterisk: PrivateAsterisk, calls: int, via: str, *options: str
) -> tuple[dict[str, Any], dict[str, list[int]], float]:
    """Have callers talk to a bot.

    Returns
    -------
    The report's metrics, by how much each kind of time is off (ns), and the median turn by the bot's log, in s.
    """
    caller = CALLERS[via]
    echo = re.sub(r'.*\bto="(\w+:)?bot(@[^"]*").*', r'calibrate="\1echo\2', caller)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "echo").mkdir()
        with BotProcess(asterisk.target.endpoint, folder / "echo", "--echo", "--app", "echo"):
            metrics, bot = call_bot(asterisk, folder, calls, *options, caller=f"{caller}, {echo}")
        told = [json.loads(line) for line in (folder / "calls.jsonl").read_text().splitlines()]
        conversations = bot.conversations()
        own_ns = [turn_ns for theirs in conversations.values() for turn_ns in theirs.turns_ns]
        return metrics, differences_ns(told, conversations), float(np.median(own_ns)) / 1e9


def judged(name: str, differences: Sequence[int]) -> bool:
    """Print by how much a kind of time is off, and return whether that is little enough."""
    p50, p99, most = (value / 1e6 for value in np.percentile(np.abs(differences), [50, 99, 100]))
    holds = bool(p99 * 1e6 <= FRAME_NS + TOLERANCE_NS)
    sys.stdout.write(
        f"  {name:9} {len(differences):4} times: off by {p50:.1f} ms at p50, {p99:.1f} at p99, {most:.1f} at most"
        f"{'' if holds else ': TOO MUCH'}\n"
    )
    return holds


def main() -> int:
    """Run, compare and print; return 0 where all times are right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path, help="where a provisioned Asterisk is")
    parser.add_argument("--calls", type=int, default=50, help="at a time")
    parser.add_argument("--via", choices=CALLERS, action="append", help="default: all of them")
    options = parser.parse_args()
    holds = True
    with PrivateAsterisk(options.folder) as asterisk:
        for via in options.via or CALLERS:
            usual, differences, own_s = talk(asterisk, options.calls, via)
            slow, *_ = talk(asterisk, options.calls, via, "--fault", f"slow:{SLOWER_MS}ms")
            sys.stdout.write(f"{options.calls} calls via {via}\n")
            for name, found in differences.items():
                holds &= judged(name, found)
            later_ms = (slow["turn"]["p50"] - usual["turn"]["p50"]) * 1e3
            sys.stdout.write(f"  a bot made {SLOWER_MS} ms slower is {later_ms:.1f} ms slower\n")
            holds &= abs(later_ms - SLOWER_MS) <= SLOWER_BY_MS
            path_s = usual["media_path"]["p50"]
            left_s = usual["turn"]["p50"] - path_s
            sys.stdout.write(
                f"  the media path's share is {path_s * 1e3:.1f} ms at p50: "
                f"{left_s * 1e3:.1f} ms of a turn are left, {own_s * 1e3:.1f} by the bot's log\n"
            )
            holds &= abs(left_s - own_s) * 1e9 <= FRAME_NS + TOLERANCE_NS
            sys.stdout.flush()
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
