"""How often the pack of known faults finds each: ``python -m tests.bug_pack_runs FOLDER_OF_ASTERISK [--runs 10]``.

Prints a table, and ends with 1 where a fault was found less often than in nine of ten runs. With ``--none``, of a
target that is to show none (the simulator, where no folder is given), it ends with 1 where any was found.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from pytest_ari_sla.bugs.plugin import PROPERTY

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]
PACK = ROOT / "scenarios" / "asterisk_bugs"
ENOUGH = 0.9


def run(arguments: Sequence[str]) -> dict[str, str]:
    """Run the pack once; return what came of each fault, in words."""
    with tempfile.TemporaryDirectory() as name:
        junit = Path(name) / "junit.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(PACK), *arguments]
        reports = ["--junitxml", str(junit), "--sla-report", str(Path(name) / "report")]
        done = subprocess.run([*command, *reports], cwd=ROOT, text=True, capture_output=True, check=False)
        if not junit.exists():
            sys.exit(f"the pack did not run:\n{done.stdout}{done.stderr}")
        document = ElementTree.parse(junit)
    rows = (item.get("value", "") for item in document.iter("property") if item.get("name") == PROPERTY)
    return {row[0]: row[-1] for row in map(ast.literal_eval, rows)}


def main() -> int:
    """Run, count and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("asterisk", nargs="?", help="folder or binary; without it, the simulator")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--none", action="store_true", help="nothing may be found")
    parser.add_argument("more", nargs="*", help="for pytest, after --: -n 2, -k NAME")
    options = parser.parse_args()
    target = ["--asterisk", options.asterisk] if options.asterisk else ["--ari-target", "simulator"]
    found: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    for number in range(1, options.runs + 1):
        words = run([*target, *options.more])
        tried.update(fault for fault, text in words.items() if "was not tried" not in text)
        found.update(fault for fault, text in words.items() if text.startswith("has "))
        missed = [text for text in words.values() if not text.startswith("has ")]
        sys.stdout.write(f"run {number}: {len(words) - len(missed)} of {len(words)} found; {'; '.join(missed)}\n")
        sys.stdout.flush()
    for fault in tried:
        sys.stdout.write(f"{fault:<24} {found[fault]} of {tried[fault]}\n")
    if options.none:
        return int(any(found.values()))
    return int(any(found[fault] < ENOUGH * options.runs for fault in tried))


if __name__ == "__main__":
    sys.exit(main())
